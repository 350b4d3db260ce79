# What a kernel leaves to its NIC: checksums, and cutting what is larger than a frame. A tap has
# both, and the appliance passes on what is left undone, or does it itself for who wants it done.

# offloads STATE SPACE…: the taps there leave things undone, or nothing.
offloads() {
    local state=$1 name
    shift
    for name in "$@"; do
        inside "$name" ethtool --offload "${port[$name]}" \
            tx "$state" sg "$state" tso "$state" gso "$state" gro "$state" >>"$run/ethtool.log"
    done
}

# checksums_only SPACE: sums are left undone, and nothing else.
checksums_only() {
    inside "$1" ethtool --offload "${port[$1]}" tx on sg on tso off gso off >>"$run/ethtool.log"
}

# Much data both ways, of both guests, by every kind of service, whole.
bulk() {
    local to
    for to in "$vip" "$vip6" "$direct_vip" "$direct_vip6" "$vlan_vip" "$vlan_vip6"; do
        download_is_whole client "$to" 5000000 && download_is_whole client "$to" 5000000 || return 1
    done
    iperf client "$vip" && iperf client "$vip6" --reverse
}

# What was left undone was done before anybody looked.
no_wrong_checksums() {
    local name
    for name in far hop client "${guests[@]}"; do
        echo "$name"
        inside "$name" awk '
            $1 ~ /^(Tcp|Udp|Icmp):$/ && !($1 in seen) { seen[$1] = 1; split($0, names); next }
            $1 ~ /^(Tcp|Udp|Icmp):$/ {
                for (at = 2; at <= NF; at++) if (names[at] == "InCsumErrors") { print $1, $at; sum += $at }
            }
            $1 ~ /^(Udp|Icmp)6InCsumErrors$/ { print; sum += $2 }
            END { exit sum > 0 }' /proc/net/snmp /proc/net/snmp6 || return 1
    done
}

# Of what it does in the NICs' place the appliance counts what is not zero.
done_by_appliance() { console show port "${port[$1]}" | awk '/ soft_/ { printf "%s ", $1 }'; }

does_only_what_is_needed() {
    local for_client for_g1 for_g2
    for_client=$(done_by_appliance client)
    for_g1=$(done_by_appliance g1)
    for_g2=$(done_by_appliance g2)
    echo "client: $for_client, g1: $for_g1, g2: $for_g2"
    [[ -z $for_client && -z $for_g1 && $for_g2 == "soft_checksums soft_cuts " ]]
}

# A frame that a NIC or the appliance could make no sense of is counted; there was none.
no_refused_offloads() {
    console show counters drops | tee "$run/drops"
    ! grep --extended-regexp 'rx_csum_range|rx_gso|rx_num_buffers|rx_too_big|soft_' "$run/drops"
}
