#!/usr/bin/env bash
# Foreign programs through the appliance: the image on taps, each tap in a network namespace of its
# own, and there what people really run: ping, tracepath, curl, nginx, iperf3, long datagrams.
#
#   tests/netns.sh IMAGE
#
# Needs root. All that it makes are namespaces called fulcrum-PID-…, and they go with it. The tests
# stand here, one line each; what they do lies in tests/netns, one story a file.
#
#                                client ── up0 ┃           ┃ p1 ── g1  nginx, iperf3, echo
#    far ── hop ──(a link of 1280 bytes)── ┘   ┃ appliance ┃
#                                              ┃           ┃ p2 ── g2  the same, by a NIC without offloads
#              trunk (tagged), e1000e ── up1   ┃           ┃ p3, p4 ── a1, a2  in a VLAN that they do not know of, a1 by vmxnet3
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in lib/say lib/install lib/check lib/spaces lib/appliance netns/world netns/vlans netns/talk netns/paths netns/direct \
    netns/offload netns/checks netns/management netns/ends; do
    # shellcheck source=/dev/null
    source "$root/tests/$piece.sh"
done

main() {
    enter_with "$@"
    make_world
    start_servers

    check_neighbors
    check_version IPv4 "$vip" "${address[g1]}" "${address[g2]}"
    check_version IPv6 "$vip6" "${address6[g1]}" "${address6[g2]}"
    check_paths
    check_direct
    check_vlan
    check_edges
    check_offloads
    check_checks IPv4 "$vip" ""
    check_checks IPv6 "$vip6" -6
    check_probes
    check_management
    check_ends

    print_verdict
}

check_neighbors() {
    check "the VIP has its virtual MAC for a real ARP" vip_has_its_mac
    check "the IPv6 VIP has a virtual MAC for a real neighbor discovery" vip6_has_a_mac
}

# check_version VERSION VIP G1 G2: all that people do all day.
check_version() {
    local version=$1 to=$2 g1=$3 g2=$4
    check "$version: ping to the VIP" ping_all client "$to" 84
    check "$version: ping from client to guest, full frames" ping_all client "$g1" 1500
    check "$version: ping from guest to guest" ping_all g1 "$g2" 84
    check "$version: curl from guest to guest" curl_says g1 "$g2" g2
    check "$version: 60 requests to nginx through the VIP, by both guests" requests_are_spread client "$to"
    check "$version: 20 requests of one client to a persistent service, by one guest" requests_stay "$to"
    check "$version: a guest calls the VIP that it serves itself" requests_are_spread g1 "$to"
    check "$version: 20 MB through the VIP arrive as they were sent" download_is_whole client "$to" 20000000
    check "$version: iperf3 TCP from guest to guest" iperf g1 "$g2"
    check "$version: iperf3 TCP from guest to guest, the called one sends" iperf g1 "$g2" --reverse
    check "$version: iperf3 TCP through the VIP" iperf client "$to"
    check "$version: iperf3 TCP through the VIP, the guest sends" iperf client "$to" --reverse
    check "$version: iperf3 UDP from guest to guest" iperf_udp g2 "$g1"
    check "$version: iperf3 UDP through the VIP" iperf_udp client "$to"
    check "$version: 100 datagrams of 8 KiB through the VIP, all answered, by both guests" datagrams client "$to"
    check "$version: a guest's datagrams of 8 KiB to the VIP that it serves itself" datagrams g1 "$to"
    check "$version: a connection with pauses outlives a drain" long_flow "$to"
}

# Behind two routers and the small link between them.
check_paths() {
    check "IPv4: tracepath to the VIP finds the small link and the end" path_is_traced "$vip"
    check "IPv6: tracepath to the VIP finds the small link and the end" path_is_traced "$vip6"
    check "IPv4: 1 MB arrives behind the small link, and both guests know of it" small_path "$vip" "$far_address"
    check "IPv6: 1 MB arrives behind the small link, and both guests know of it" small_path "$vip6" "$far_address6"
    check "IPv4 direct: the same" small_path "$direct_vip" "$far_address"
    check "IPv6 direct: the same" small_path "$direct_vip6" "$far_address6"
}

check_direct() {
    check "direct: 60 requests, by both guests" requests_are_spread client "$direct_vip"
    check "direct, IPv6: 60 requests, by both guests" requests_are_spread client "$direct_vip6"
    check "direct: 100 datagrams of 8 KiB" datagrams client "$direct_vip"
    check "direct, IPv6: 100 datagrams of 8 KiB" datagrams client "$direct_vip6"
    check "direct: a guest asks for its client in the VIP's name, and is heard in its own" \
        direct_asks_in_its_own_name "$direct_vip" "${address[g1]}" "$client_address"
    check "direct, IPv6: a guest asks for its client in the VIP's name, and is heard in its own" \
        with_vip_on_nic direct_asks_in_its_own_name "$direct_vip6" "${address6[g1]}" "$client_address6"
    check "direct: a guest's own calls go on" direct_calls_out
    check "direct: what a guest announces by ARP stays with it" claims_are_kept "$direct_vip" claim_by_arp
    check "direct, IPv6: what a guest announces stays with it" claims_are_kept "$direct_vip6" claim_by_discovery
}

check_vlan() {
    check "VLAN: 60 requests, by both guests" requests_are_spread client "$vlan_vip"
    check "VLAN, IPv6: 60 requests, by both guests" requests_are_spread client "$vlan_vip6"
    check "VLAN: ping from client to guest, full frames" ping_all client "${vlan_address[g1]}" 1500
    check "VLAN: 20 MB arrive as they were sent" download_is_whole client "$vlan_vip" 20000000
    check "VLAN, IPv6: 20 MB arrive as they were sent" download_is_whole client "$vlan_vip6" 20000000
    check "VLAN: its VIP is nobody's without a tag" is_silent_on up0 "$vlan_vip"
}

check_edges() {
    check "access ports: 60 requests from the trunk, by both guests" access_is_spread "$access_vip"
    check "access ports, IPv6: 60 requests from the trunk, by both guests" access_is_spread "$access_vip6"
    check "access ports: ping from the trunk, full frames" ping_all trunk "${address[a1]}" 1500
    check "access ports, IPv6: ping from a guest to the trunk" ping_all a2 "${vlan_address6[trunk]}" 84
    check "access ports: 20 MB arrive as they were sent" download_is_whole trunk "$access_vip" 20000000
    check "access ports, IPv6: 20 MB arrive as they were sent" download_is_whole trunk "$access_vip6" 20000000
    check "isolated guests do not reach each other" are_apart "${address[a2]}" "${address6[a2]}"
    check "an isolated guest is served by an isolated one" neighbour_serves "$neighbour_vip"
    check "IPv6: an isolated guest is served by an isolated one" neighbour_serves "$neighbour_vip6"
    check "what is learned in the VLAN is at its ports" vlan_is_apart
}

# g2 has none whatever is said; all others had them all so far.
check_offloads() {
    check "offloads of client and guest: all" bulk
    offloads off client
    check "offloads of client and guest: the guest's" bulk
    offloads off g1
    check "offloads of client and guest: none" bulk
    offloads on client
    check "offloads of client and guest: the client's" bulk
    checksums_only client
    checksums_only g1
    check "offloads of client and guest: checksums, but no segmentation" bulk
    offloads on client g1
    check "the appliance finishes and cuts for a NIC that cannot, and for no other" does_only_what_is_needed
    check "no stack was given a wrong checksum" no_wrong_checksums
    check "no NIC was given what it could not do" no_refused_offloads
}

# check_checks VERSION VIP SUFFIX: of a service's name.
check_checks() {
    local version=$1 to
    to=$(host_of "$2")
    check "$version: HTTP check: a guest without its page gets no request, until it has it again" \
        page_decides "checked-http$3" "$to:$checked_http"
    check "$version: HTTP check: a guest with another text gets no request" \
        only_serves g1 "checked-text$3" "$to:$checked_text" "text not found"
    check "$version: TCP check: a guest with a closed port gets no request" \
        only_serves g1 "checked-tcp$3" "$to:$checked_tcp" refused
    check "$version: ICMP check: a guest that ignores echoes gets no request, until it answers again" \
        echo_decides "checked-icmp$3" "$to:$checked_icmp"
    check "$version: UDP check: a guest where nobody listens gets no request" \
        only_serves g1 "checked-udp$3" "$to:$checked_udp" "port unreachable"
    check "$version: an agent that is asked halves its guest's weight, drains it, and brings it back" \
        agent_steers "pulled$3" "$to:$pulled"
}

check_probes() {
    check "a guest without a route is asked from a probe source" source_is_needed_without_route
    check "probes passed and failed, and every answer was understood" answers_are_understood
}

check_management() {
    check "the management address is found on the uplink" is_found client "$own"
    check "IPv6: the management address is found on the uplink" is_found client "$own6"
    check "the management address answers from afar" ping_all far "$own" 84
    check "nothing listens at the management address, which is said" is_refused "$own" 22
    check "a guest does not reach the management address" is_kept_from g1 "$own"
    check "IPv6: a guest does not reach the management address" is_kept_from g1 "$own6"
    check "a guest does not reach it by way of a router" routed_is_kept_out
    check "ping from it to the client" pings "$client_address"
    check "IPv6: ping from it to the client" pings "$client_address6"
    check "ping from it by the gateway" pings "$far_address"
    check "IPv6: ping from it by the gateway" pings "$far_address6"
    check "ping from it to nobody" does_not_ping 10.0.2.99 "nobody on the uplinks says where"
    check "ping from it to a guest is refused" does_not_ping "${address[g1]}" "is guest g1's"
    check "in a VLAN the management address is found there" is_on_vlan
    check "in a VLAN a guest of that VLAN does not reach it" is_kept_from a1 "$own_on_vlan"
    check "in a VLAN it is not where it was" is_kept_from client "$own"
    check "a DHCP server lends the management address" is_lent
    check "the lease is renewed, and a guest does not reach what is lent" is_renewed
}

check_ends() {
    check "IPv4: a closed port behind the VIP: the client hears of it" hears_refusal "$vip" "$closed_port"
    check "IPv6: a closed port behind the VIP: the client hears of it" hears_refusal "$vip6" "$closed_port"
    check "IPv4: a service without guests refuses a connection" is_refused "$vip" 81
    check "IPv6: a service without guests refuses a connection" is_refused "$vip6" 81
    check "IPv4: a service without guests refuses a datagram" hears_refusal "$vip" 81
    check "IPv6: a service without guests refuses a datagram" hears_refusal "$vip6" 81
    check "a guest that goes away is left out" dead_guest
}

require_tools() {
    require_program qemu-system-x86_64 qemu-system-x86
    require_program ip iproute2
    require_program ping iputils-ping
    require_program tracepath iputils-tracepath
    require_program arping iputils-arping
    require_program ethtool ethtool
    require_program curl curl
    require_program iperf3 iperf3
    require_program ncat ncat
    require_program dnsmasq dnsmasq-base
    require_program python3 python3
    # What nginx is linked with; itself it is only unpacked, since installing would start it.
    require libpcre2-8-0 test -e /usr/lib/x86_64-linux-gnu/libpcre2-8.so.0
    require libssl3 test -e /usr/lib/x86_64-linux-gnu/libssl.so.3
    install_missing
    nginx=$root/build/nginx/usr/sbin/nginx
    has nginx && nginx=$(command -v nginx)
    [[ -x $nginx ]] || unpack_package nginx "$root/build/nginx"
}

main "$@"
