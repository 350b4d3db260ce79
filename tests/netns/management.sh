# The management address: who reaches it from where, whom it asks, and who lends it.

own=10.0.2.15
own6=fd00::15
own_mac_beginning=02:6e
# In the VLAN of the trunk and of the access ports.
own_on_vlan=10.0.20.15
lent_beginning=10.0.2.7

write_management() {
    echo "set system address $own/24 gateway $client_address"
    echo "set system address $own6/64 gateway $client_address6"
}

# manage WORDS…: says where it is, in place of what was said before.
manage() {
    console configure && console delete system address && console set system address "$@" &&
        console commit && console exit
}

# is_found SPACE ADDRESS: it answers pings, with a MAC of its own.
is_found() {
    ping_all "$1" "$2" 84 && ip -n "$(space "$1")" neighbor show to "$2" | tee /dev/stderr |
        grep "$own_mac_beginning"
}

# is_kept_from SPACE ADDRESS: it answers nothing there.
is_kept_from() {
    ! inside "$1" ping -c 2 -i 0.2 -W 1 "$2" && ! inside "$1" ncat -z -w 1 "$2" 22
}

# routed_is_kept_out: a guest that has a router send its packets back does not reach it either.
routed_is_kept_out() {
    local where verdict=0
    where=$(space g1)
    ip -n "$where" route add "$own" via "$client_address"
    is_kept_from g1 "$own" || verdict=1
    ip -n "$where" route delete "$own"
    return "$verdict"
}

# pings ADDRESS: the appliance is answered twice.
pings() { console ping "$1" count 2 | tee /dev/stderr | grep "2 sent, 2 received, 0% lost"; }

# does_not_ping ADDRESS WHY
does_not_ping() {
    ! console ping "$1" count 1 >"$run/ping" && grep --quiet "$2" "$run/ping"
}

is_on_vlan() {
    manage "$own_on_vlan/24" gateway "${vlan_address[trunk]}" vlan "$access_vlan" &&
        is_found trunk "$own_on_vlan" && pings "${vlan_address[trunk]}"
}

# A server whose leases are to be renewed after seconds.
is_lent() {
    background_inside client dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 \
        --interface=up0 --bind-interfaces --dhcp-authoritative --log-dhcp \
        --dhcp-range="${lent_beginning}0,${lent_beginning}9,255.255.255.0,2m" \
        --dhcp-option=option:router,"$client_address" --dhcp-option-force=option:T1,3 \
        --dhcp-leasefile="$run/leases" --log-facility="$run/dnsmasq.log"
    manage dhcp && within 10 has_lease && is_found client "$(lent)" && pings "$far_address"
}

has_lease() { console show system | grep --quiet "$lent_beginning[0-9]/24 gateway $client_address, by DHCP"; }

# lent: the address that was lent.
lent() { console show system | grep --only-matching "$lent_beginning[0-9]" | head --lines 1; }

is_renewed() {
    within 10 has_acknowledged 3 && has_lease && is_kept_from g1 "$(lent)"
}

# has_acknowledged COUNT: the server has lent the address, and again and again.
has_acknowledged() { (($(grep --count DHCPACK "$run/dnsmasq.log") >= $1)); }
