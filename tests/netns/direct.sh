# `direct`: guests have the VIP on a loopback, and their kernels, as they come, talk about it.

# A kernel asks for its client in the name of the VIP that it answers from. Who was asked learns the
# guest's own address instead, without ever having heard of it.
#
# direct_asks_in_its_own_name VIP ADDRESS CLIENT: g1's address, and its client's.
direct_asks_in_its_own_name() {
    forget_neighbor client "$2"
    forget_neighbor g1 "$3"
    ask client "$(host_of "$1")" 10 && neighbor_is client "$2" "${mac[g1]}" && neighbor_is g1 "$3" "${mac[client]}"
}

# In IPv6 a kernel uses only addresses of the NIC that it asks by, so that one gets the VIP too.
with_vip_on_nic() {
    local verdict=0
    inside g1 ip address add "$direct_vip6/128" dev p1 nodad
    "$@" || verdict=1
    inside g1 ip address delete "$direct_vip6/128" dev p1
    return "$verdict"
}

# Its own calls find their way, also when nothing is known of the others.
direct_calls_out() {
    forget_neighbor g1 "${address[g2]}"
    forget_neighbor g1 "$client_address"
    curl_says g1 "${address[g2]}" g2 && ping_all g1 "$client_address" 84
}

# claims_are_kept VIP CLAIM…: whatever a guest claims, the client goes on as before.
claims_are_kept() {
    local claimed=$1 before after
    shift
    ask client "$(host_of "$claimed")" 2
    before=$(suppressed)
    "$@"
    after=$(suppressed)
    echo "vip_suppressed: $before before, $after after"
    ((after > before)) && neighbor_is client "$claimed" "02:6[cd]:.*" && requests_are_spread client "$claimed"
}

claim_by_arp() {
    inside g1 arping -A -c 1 -I p1 "$direct_vip" || true
    inside g1 arping -U -c 1 -I p1 "$direct_vip" || true
}

# Given the VIP on its NIC as well, a kernel asks whether anybody has it, and says that it is there.
claim_by_discovery() {
    sysctl_inside g1 net.ipv6.conf.p1.ndisc_notify=1
    inside g1 ip address add "$direct_vip6/128" dev p1
    sleep 2.5
    inside g1 ip address show dev p1
    inside g1 ip address delete "$direct_vip6/128" dev p1
}

suppressed() { console show counters drops | awk '/vip_suppressed/ { sum += $NF } END { print sum + 0 }'; }

forget_neighbor() { ip -n "$(space "$1")" neighbor flush to "$2"; }
