# What people run all day: ping, curl, a download, iperf3, long datagrams; for an address of either
# IP version.

# neighbor_is SPACE ADDRESS MAC: what the kernel there believes.
neighbor_is() { ip -n "$(space "$1")" neighbor show "$2" | tee /dev/stderr | grep --quiet "lladdr $3"; }

vip_has_its_mac() {
    inside client ping -c 1 -W 5 "$vip" && neighbor_is client "$vip" "$vip_mac"
}

# An IPv6 VIP's is 02:6d: and a hash, the same at every host.
vip6_has_a_mac() {
    inside client ping -c 1 -W 5 "$vip6" && neighbor_is client "$vip6" "02:6d:.*"
}

# ping_all SPACE ADDRESS BYTES: ten, of packets with so many bytes, and every one is answered.
ping_all() {
    local headers=28
    [[ $2 != *:* ]] || headers=48
    inside "$1" ping -c 10 -i 0.1 -W 5 -s "$(($3 - headers))" -M "do" "$2" | tee /dev/stderr | grep ' 0% packet loss'
}

# host_of ADDRESS: as a URL has it.
host_of() { if [[ $1 == *:* ]]; then echo "[$1]"; else echo "$1"; fi; }

# curl_says SPACE ADDRESS GUEST: the guest is who answers.
curl_says() { [[ $(inside "$1" curl --silent --max-time 10 "http://$(host_of "$2")/") == "$3" ]]; }

# ask SPACE HOST COUNT: so many requests; who answered how often is then in `shares`.
ask() {
    inside "$1" timeout 20 curl --silent --header 'Connection: close' "http://$2/?[1-$3]" |
        sort | uniq --count | tee "$run/shares"
}

# requests_are_spread SPACE ADDRESS: every request is answered, and by both.
requests_are_spread() {
    ask "$1" "$(host_of "$2")" 60
    (($(awk '$2 == "g1" || $2 == "g2" { sum += $1 } END { print sum + 0 }' "$run/shares") == 60)) &&
        (($(wc --lines <"$run/shares") == 2))
}

# The whole of a client's requests stays with one guest.
requests_stay() {
    ask client "$(host_of "$1"):82" 20
    [[ $(awk '{ print $1 }' "$run/shares") == 20 ]]
}

# download_is_whole SPACE ADDRESS BYTES
download_is_whole() {
    inside "$1" timeout 30 curl --silent --show-error --range "0-$(($3 - 1))" \
        --output "$run/received" "http://$(host_of "$2")/data" &&
        cmp "$run/received" <(head --bytes "$3" "$run/g1/data")
}

# iperf SPACE ADDRESS OPTIONS…: a second of it, and bytes arrived.
iperf() {
    local where=$1 to=$2
    shift 2
    inside "$where" timeout 30 iperf3 --client "$to" --time 1 --connect-timeout 5000 "$@" |
        tee /dev/stderr | grep 'receiver' | grep --invert-match ' 0.00 Bytes' | tee "$run/iperf" &&
        remark "$(awk '{ print $7, $8 }' "$run/iperf")"
}

# Twenty megabits a second are little; of those almost all must arrive.
iperf_udp() {
    iperf "$1" "$2" --udp --bitrate 20M --length 1400 || return 1
    awk '/receiver/ { gsub(/[()%]/, " "); for (at = 1; at <= NF; at++) if ($at ~ /^[0-9]+\/[0-9]+$/) {
            split($at, datagrams, "/"); seen = datagrams[2] > 0; lost = datagrams[1] / datagrams[2] } }
         END { exit !(seen && lost < 0.05) }' "$run/iperf"
}

# datagrams SPACE ADDRESS: a hundred of 8 KiB, which are six fragments each way.
datagrams() {
    inside "$1" timeout 30 python3 "$root/tests/netns/datagrams.py" ask "$2" "$datagram_port" 100 8192 |
        tee /dev/stderr | grep 'g1:.*g2:'
}
