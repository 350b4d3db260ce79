#!/usr/bin/env bash
# Attack tools of Debian's packages, run by a guest against the guests beside it, and what comes of
# them: each is seen to do its work (a counter of the attacker's port grows), and its victims notice
# nothing (who they believe is where, their routes, their pings and requests).
#
#   tests/attacks.sh IMAGE
#
# Needs root. All that the tools can reach are namespaces called fulcrum-PID-…, which go with this
# script; each runs for some seconds. The attacks stand here, one line each; the world and what its
# victims have to show lie in tests/attacks.
#
#    client ── up0 ┃           ┃ p1 ── m        the attacker: a guest that is defined
#                  ┃ appliance ┃ p2, p3 ── v, w its victims: guests too, both serve the VIP
#                  ┃           ┃ p4 ── u        the attacker on a port where nobody is defined
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in lib/say lib/install lib/check lib/spaces lib/appliance netns/talk attacks/tools attacks/world attacks/victims; do
    # shellcheck source=/dev/null
    source "$root/tests/$piece.sh"
done

main() {
    enter_with "$@"
    make_world

    check "before any attack: everybody is reached, by the attacker too" everybody_is_reached
    claim_addresses
    play_router
    serve_dhcp
    talk_as_a_switch
    fill_tables
    evade_and_flood
    check "after all of them: the attacker itself is served as anybody" ping_all m "$client_address" 84
    print_verdict
}

# attack PORT REASON WHAT TOOL…: frames of that port are dropped for that reason; nobody else sees of it.
claim_addresses() {
    attack p1 arp_spoof "dsniff: arpspoof says to v that it is the client" \
        arpspoof -i p1 -t "${address[v]}" "$client_address"
    attack p1 arp_spoof "dsniff: arpspoof says to the client that it is v" \
        arpspoof -i p1 -t "$client_address" "${address[v]}"
    attack p1 arp_spoof "dsniff: arpspoof says to everybody that it is the VIP" arpspoof -i p1 "$vip"
    attack p1 nd_spoof "thc-ipv6: fake_advertise6 claims the client's address" \
        atk6-fake_advertise6 -n 20 -w 0 p1 "$client_address6"
    attack p1 nd_spoof "thc-ipv6: fake_advertise6 claims the VIP" atk6-fake_advertise6 -n 20 -w 0 p1 "$vip6"
    attack p1 ip6_ext "thc-ipv6: fake_advertise6 does so behind a one-shot fragment header" \
        atk6-fake_advertise6 -f -n 20 -w 0 p1 "$client_address6"
    attack p1 ip6_ext "thc-ipv6: fake_advertise6 does so behind large destination options" \
        atk6-fake_advertise6 -D -n 20 -w 0 p1 "$client_address6"
    attack p1 ra_guard "thc-ipv6: fake_advertise6 does so behind hop-by-hop options" \
        atk6-fake_advertise6 -H -n 20 -w 0 p1 "$client_address6"
    attack p1 nd_spoof "ipv6toolkit: na6 claims v's address" \
        na6 -i p1 -s "${address6[v]}" -d ff02::1 -t "${address6[v]}" -E "${mac[m]}" -o -l -z 1
    attack p1 spoof_mac "thc-ipv6: flood_advertise6 claims any address from any MAC" atk6-flood_advertise6 p1
}

play_router() {
    attack p1 ra_guard "thc-ipv6: fake_router26 advertises itself" \
        atk6-fake_router26 -A fd00:bad::/64 -i 1 p1
    attack p1 ra_guard "thc-ipv6: fake_router26 does so behind hop-by-hop options" \
        atk6-fake_router26 -E H -A fd00:bad::/64 -i 1 p1
    attack p1 ra_guard "thc-ipv6: fake_router26 does so behind a fragment header" \
        atk6-fake_router26 -E 1 -A fd00:bad::/64 -i 1 p1
    attack p1 ip6_ext "thc-ipv6: fake_router26 does so by its full evasion" \
        atk6-fake_router26 -E F -A fd00:bad::/64 -i 1 p1
    attack p1 spoof_mac "thc-ipv6: flood_router26 advertises routers and prefixes without end" \
        atk6-flood_router26 p1
    attack p1 ra_guard "thc-ipv6: kill_router6 says that the client is no router any more" \
        atk6-kill_router6 p1 "$client_link_local"
    attack p1 spoof_mac "thc-ipv6: redir6 sends v elsewhere" \
        atk6-redir6 p1 "${address6[v]}" "$client_address6" "$client_link_local" "$attacker_link_local"
    attack p1 ip6_ext "ipv6toolkit: ra6 advertises a router in pieces" \
        ra6 -i p1 -d ff02::1 -t 9000 -P fd00:bad::/64 -u 1400 -y 1200 -l -z 1
    attack p1 ra_guard "ipv6toolkit: rd6 redirects v" \
        rd6 -i p1 -s "$client_link_local" -d "${address6[v]}" -t "$attacker_link_local" -r "$client_address6" -l -z 1
}

serve_dhcp() {
    attack p1 dhcp_guard "thc-ipv6: fake_dhcps6 answers v, which asks for a DHCPv6 server" \
        atk6-fake_dhcps6 p1 fd00:bad::/64 fd00:bad::1
    attack p1 spoof_mac "yersinia: asks for every address of a DHCP server" yersinia dhcp -attack 1 -interface p1
}

talk_as_a_switch() {
    attack p1 link_local "yersinia: floods configuration BPDUs" yersinia stp -attack 2 -interface p1
    attack p1 spoof_mac "yersinia: floods CDP" yersinia cdp -attack 1 -interface p1
    attack p1 disguise "yersinia: asks for a trunk by DTP" yersinia dtp -attack 1 -source "${mac[m]}" -interface p1
}

fill_tables() {
    attack p1 spoof_mac "dsniff: macof sends from 20,000 MACs" macof -i p1 -n 20000
    attack p4 mac_limit "dsniff: macof does so where nobody is defined" macof -i p4 -n 20000
    attack p1 spoof_mac "thc-ipv6: flood_solicitate6 asks from any MAC" atk6-flood_solicitate6 p1
    attack p4 storm_broadcast "hping3: broadcasts without end" hping3 --flood --udp 10.0.2.255
    attack p1 ra_guard "thc-ipv6: flood_redir6 redirects everybody" atk6-flood_redir6 p1
}

evade_and_flood() {
    attack p1 spoof_ip "hping3: floods the VIP with SYNs of any source" \
        hping3 --flood --syn --rand-source --destport 80 "$vip"
    attack p1 martian "hping3: a SYN of the VIP to itself (LAND)" \
        hping3 --fast --syn --spoof "$vip" --baseport 80 --destport 80 "$vip"
    attack p1 spoof_ip "hping3: echo requests in v's name to everybody (smurf)" \
        hping3 --fast --icmp --spoof "${address[v]}" 10.0.2.255
    attack p1 tcp_flags "hping3: all flags and none (Xmas)" \
        hping3 --fast --fin --syn --rst --push --ack --urg --destport 80 "$vip"
    attack p1 tiny_frag "hping3: a SYN in pieces of 8 bytes" hping3 --fast --syn --frag --mtu 8 --destport 80 "$vip"
    attack p1 spoof_ip "thc-ipv6: thcsyn6 floods the VIP from any source" atk6-thcsyn6 -R p1 "$vip6" 80
    attack p1 spoof_mac "thc-ipv6: smurf6 makes everybody answer v" atk6-smurf6 p1 "${address6[v]}"
    attack p1 frag "thc-ipv6: fragmentation6 overlaps and leaves out pieces" atk6-fragmentation6 -p p1 "$vip6"
}

main "$@"
