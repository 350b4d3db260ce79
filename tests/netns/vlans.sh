# Ports with VLANs of their own: two guests on access ports, isolated from each other, and a second
# uplink that is a trunk. Only the station at the trunk's far end knows of the tag.
#
#    trunk ── up1 ┃ appliance ┃ p3 ── a1
#     (tagged)    ┃           ┃ p4 ── a2      both in VLAN 20, no tag

access_vlan=20
access_vip=10.0.20.100
access_vip6=fd00:20::100
# By a2 alone.
neighbour_vip=10.0.20.101
neighbour_vip6=fd00:20::101

edged=(a1 a2)
port+=([trunk]=up1 [a1]=p3 [a2]=p4)
mac+=([trunk]=52:54:00:04:00:03 [a1]=52:54:00:04:00:01 [a2]=52:54:00:04:00:02)
address+=([a1]=10.0.20.21 [a2]=10.0.20.22)
address6+=([a1]=fd00:20::21 [a2]=fd00:20::22)
vlan_mac+=([trunk]=52:54:00:04:00:04)
vlan_address+=([trunk]=10.0.20.2)
vlan_address6+=([trunk]=fd00:20::2)
# One of them leaves nothing to its NIC, so tags are met with and without work that is left.
nic_options+=([a2]=$plain_nic)

write_edges() {
    local name
    # The NICs stand in this order on the bus: client, g1, g2, trunk, a1, a2.
    cat <<PORTS
set port up0 role uplink match pci 00:02.0
set port up1 role uplink match pci 00:05.0
set port p3 role guest match pci 00:06.0
set port p4 role guest match pci 00:07.0
set port up1 vlan trunk $access_vlan
PORTS
    for name in "${edged[@]}"; do
        echo "set port ${port[$name]} vlan access $access_vlan"
        echo "set port ${port[$name]} isolated"
        echo "set guest $name port ${port[$name]} mac ${mac[$name]} address ${address[$name]} address ${address6[$name]}"
    done
    write_service access "$access_vip" "$access_vip6" "tcp 80 vlan $access_vlan" "${edged[*]}"
    write_service neighbour "$neighbour_vip" "$neighbour_vip6" "tcp 80 vlan $access_vlan" a2
}

settle_edges() {
    local name where vlan=$access_vlan
    for name in trunk "${edged[@]}"; do
        where=$(space "$name")
        ip -n "$(space switch)" link set "${port[$name]}" netns "$where"
        ip -n "$where" link set "${port[$name]}" address "${mac[$name]}" up
    done
    for name in "${edged[@]}"; do
        where=$(space "$name")
        ip -n "$where" address add "${address[$name]}/24" dev "${port[$name]}"
        ip -n "$where" address add "${address6[$name]}/64" dev "${port[$name]}" nodad
    done
    settle_on_vlan trunk
}

start_edged_servers() {
    local name
    for name in "${edged[@]}"; do
        mkdir -p "$run/$name"
        echo "$name" >"$run/$name/index.html"
        cp "$run/g1/data" "$run/$name/data"
        nginx_configuration "$name" >"$run/$name.conf"
        background_inside "$name" "$nginx" -p "$run" -c "$run/$name.conf"
        within 10 curl_says trunk "${address[$name]}" "$name" || fail "nginx in $name does not answer"
    done
}

# access_is_spread ADDRESS: every request is answered, and by both.
access_is_spread() {
    ask trunk "$(host_of "$1")" 60
    [[ $(awk '{ print $2 }' "$run/shares") == a1$'\n'a2 ]] &&
        (($(awk '{ sum += $1 } END { print sum }' "$run/shares") == 60))
}

# are_apart ADDRESS ADDRESS6: neither guest reaches the other by itself.
are_apart() { ! inside a1 ping -c 2 -i 0.2 -W 1 "$1" && ! inside a1 ping -c 2 -i 0.2 -W 1 "$2"; }

# neighbour_serves ADDRESS: a guest is served by the one that it is kept apart from.
neighbour_serves() {
    curl_says a1 "$1" a2 && download_is_whole a1 "$1" 5000000
}

# Nothing of the other networks comes in here, and nothing of this one gets there.
vlan_is_apart() {
    console show mac | tee "$run/macs"
    awk -v vlan="$access_vlan" '
        $3 == "up1" || $3 == "p3" || $3 == "p4" { if ($2 != vlan) wrong = 1; known++ }
        $2 == vlan && $3 != "up1" && $3 != "p3" && $3 != "p4" && $3 != "up0" { wrong = 1 }
        END { exit wrong || known < 3 }' "$run/macs"
}
