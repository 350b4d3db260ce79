#!/usr/bin/env bash
# Foreign programs through the appliance: the image on taps, each tap in a network namespace of its
# own, and there what people really run: ping, curl, nginx, iperf3, and connections that stay open.
#
#   tests/netns.sh IMAGE
#
# Needs root. All that it makes are namespaces called fulcrum-PID-…, and they go with it.
#
#                           client ── up0 ┃           ┃ p1 ── g1  nginx, iperf3, echo
#    far ──(a link of 1280 bytes)── ┘       ┃ appliance ┃
#                                           ┃           ┃ p2 ── g2  nginx, echo
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in say install appliance; do
    # shellcheck source=/dev/null
    source "$root/tests/lib/$piece.sh"
done

vip=10.0.2.100
vip_mac=02:6c:0a:00:02:64
client_address=10.0.2.2
far_address=10.0.9.2
far_mtu=1280
g1_address=10.0.2.21
g2_address=10.0.2.22
spaces=()
passed=0
failed=0

main() {
    image=${1-}
    [[ -f $image ]] || misuse "the argument is the image to test"
    ((EUID == 0)) || fail "network namespaces and taps need root"
    require_tools
    trap 'tidy; remove_spaces' EXIT
    make_world
    start_servers

    check "the VIP has its virtual MAC for a real ARP" vip_has_its_mac
    check "ping to the VIP" ping_all client "$vip" 10 56
    check "ping from client to guest, full frames" ping_all client "$g1_address" 10 1472
    check "ping from guest to guest" ping_all g1 "$g2_address" 10 56
    check "curl from guest to guest" curl_says g1 "http://$g2_address/" g2
    check "60 requests to nginx through the VIP, by both guests" requests_are_spread client
    check "a guest calls the VIP that it serves itself" requests_are_spread g1
    check "20 MB through the VIP arrive as they were sent" download_is_whole
    check "iperf3 TCP from guest to guest" iperf g2 "$g1_address"
    check "iperf3 TCP through the VIP" iperf client "$vip"
    check "iperf3 TCP through the VIP, the guest sends" iperf client "$vip" --reverse
    check "iperf3 UDP from guest to guest" iperf_udp g2 "$g1_address"
    check "iperf3 UDP through the VIP" iperf_udp client "$vip"
    check "a connection with pauses outlives a drain" long_flow
    check "from behind a smaller link: 1 MB arrives whole, and both guests know the path's MTU" small_path
    check "a closed port behind the VIP: the client hears of it" closed_port
    check "a guest that goes away is left out" dead_guest

    echo "$passed passed, $failed failed"
    ((failed == 0))
}

require_tools() {
    require_program qemu-system-x86_64 qemu-system-x86
    require_program ip iproute2
    require_program ping iputils-ping
    require_program curl curl
    require_program iperf3 iperf3
    require_program ncat ncat
    # What nginx is linked with; itself it is only unpacked, since installing would start it.
    require libpcre2-8-0 test -e /usr/lib/x86_64-linux-gnu/libpcre2-8.so.0
    require libssl3 test -e /usr/lib/x86_64-linux-gnu/libssl.so.3
    install_missing
    nginx=$root/build/nginx/usr/sbin/nginx
    has nginx && nginx=$(command -v nginx)
    [[ -x $nginx ]] || unpack_package nginx "$root/build/nginx"
}

# check WHAT COMMAND…: one test; what it printed is shown when it fails.
check() {
    local what=$1
    shift
    if "$@" >"$run/output" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$what"
        sed 's/^/        /' "$run/output"
        console show counters drops | sed 's/^/        /' || true
    fi
}

space() { echo "fulcrum-$$-$1"; }

inside() {
    local where
    where=$(space "$1")
    shift
    ip netns exec "$where" "$@"
}

make_world() {
    scratch_directory
    run=$directory
    accelerator=${FULCRUM_ACCEL:-tcg}
    local name
    for name in switch far client g1 g2; do
        ip netns add "$(space "$name")"
        spaces+=("$(space "$name")")
        ip -n "$(space "$name")" link set lo up
    done
    write_world_configuration >"$run/configuration"
    appliance_command
    local at=0
    for name in up0 p1 p2; do
        ip -n "$(space switch)" tuntap add "$name" mode tap
        appliance+=(
            -netdev "tap,id=$name,ifname=$name,script=no,downscript=no"
            -device "virtio-net-pci,netdev=$name,romfile=,addr=$((2 + at++))"
        )
    done
    appliance=(ip netns exec "$(space switch)" "${appliance[@]}" -initrd "$run/configuration")
    start_appliance_piped
    settle up0 client 52:54:00:02:00:01 "$client_address"
    settle p1 g1 52:54:00:01:00:01 "$g1_address"
    settle p2 g2 52:54:00:01:00:02 "$g2_address"
    settle_far
    within 10 guests_are_up 2 || fail "the guests' namespaces do not answer the switch"
}

write_world_configuration() {
    cat <<CONFIGURATION
set guest g1 port p1 mac 52:54:00:01:00:01 address $g1_address
set guest g2 port p2 mac 52:54:00:01:00:02 address $g2_address
set service web vip $vip tcp 80
set service web real g1
set service web real g2
set service echo vip $vip tcp 7
set service echo real g1 port 7000
set service echo real g2 port 7000
set service iperf vip $vip tcp 5201
set service iperf real g1
set service iperf-udp vip $vip udp 5201
set service iperf-udp real g1
set service closed vip $vip udp 9
set service closed real g1
CONFIGURATION
}

# settle TAP SPACE MAC ADDRESS: the kernel's end of a tap becomes the only network of a namespace.
settle() {
    local where
    where=$(space "$2")
    ip -n "$(space switch)" link set "$1" netns "$where"
    ip -n "$where" link set "$1" address "$3" up
    ip -n "$where" address add "$4/24" dev "$1"
    [[ $2 == client ]] || ip -n "$where" route add default via "$client_address"
}

# A network behind the client, which is its router. Its link is small, but it announces the segments
# of a large one, as somebody does whose small link is further on.
settle_far() {
    local router far
    router=$(space client)
    far=$(space far)
    ip -n "$router" link add far0 mtu "$far_mtu" type veth peer name up0 mtu "$far_mtu" netns "$far"
    ip -n "$router" address add 10.0.9.1/24 dev far0
    ip -n "$router" link set far0 up
    ip netns exec "$router" sysctl --quiet net.ipv4.ip_forward=1
    ip -n "$far" address add "$far_address/24" dev up0
    ip -n "$far" link set up0 up
    ip -n "$far" route add default via 10.0.9.1 advmss 1460
}

guests_are_up() { (($(console show guest | grep --count ' up') == $1)); }

start_servers() {
    local name
    for name in g1 g2; do
        mkdir -p "$run/$name"
        echo "$name" >"$run/$name/index.html"
        nginx_configuration "$name" >"$run/$name.conf"
        background_inside "$name" "$nginx" -p "$run" -c "$run/$name.conf"
        background_inside "$name" ncat --listen --keep-open --exec /bin/cat 7000
    done
    head --bytes 20000000 /dev/urandom >"$run/g1/data"
    cp "$run/g1/data" "$run/g2/data"
    background_inside g1 iperf3 --server
    within 10 curl_says client "http://$g1_address/" g1
    within 10 curl_says client "http://$g2_address/" g2
    within 10 inside g1 ncat -z "$g1_address" 5201
}

background_inside() {
    local where
    where=$(space "$1")
    shift
    background ip netns exec "$where" "$@" >"$run/servers.log" 2>&1
}

nginx_configuration() {
    cat <<NGINX
daemon off;
user root;
pid $run/$1.pid;
error_log $run/$1.log;
events {}
http {
    access_log off;
    client_body_temp_path $run/$1.body;
    proxy_temp_path $run/$1.proxy;
    fastcgi_temp_path $run/$1.fastcgi;
    uwsgi_temp_path $run/$1.uwsgi;
    scgi_temp_path $run/$1.scgi;
    server { listen 80; root $run/$1; }
}
NGINX
}

vip_has_its_mac() {
    inside client ping -c 1 -W 5 "$vip" && ip -n "$(space client)" neighbor show "$vip" | grep "lladdr $vip_mac"
}

# ping_all SPACE ADDRESS COUNT BYTES: every one is answered.
ping_all() { inside "$1" ping -c "$3" -i 0.1 -W 5 -s "$4" -M "do" "$2" | tee /dev/stderr | grep ' 0% packet loss'; }

curl_says() { [[ $(inside "$1" curl --silent --max-time 10 "$2") == "$3" ]]; }

# ask SPACE COUNT: so many requests to the VIP; who answered how often is then in `shares`.
ask() {
    inside "$1" timeout 60 curl --silent --header 'Connection: close' "http://$vip/?[1-$2]" |
        sort | uniq --count | tee "$run/shares"
}

# Every request is answered, and by both.
requests_are_spread() {
    ask "$1" 60
    (($(awk '$2 == "g1" || $2 == "g2" { sum += $1 } END { print sum + 0 }' "$run/shares") == 60)) &&
        (($(wc --lines <"$run/shares") == 2))
}

download_is_whole() {
    inside client timeout 60 curl --silent --output "$run/received" "http://$vip/data"
    cmp "$run/received" "$run/g1/data"
}

# iperf SPACE ADDRESS OPTIONS…: two seconds of it, and bytes arrived.
iperf() {
    local where=$1 to=$2
    shift 2
    inside "$where" timeout 30 iperf3 --client "$to" --time 2 --connect-timeout 5000 "$@" |
        tee /dev/stderr | grep 'receiver' | grep --invert-match ' 0.00 Bytes'
}

# Twenty megabits a second are little; of those almost all must arrive.
iperf_udp() {
    iperf "$1" "$2" --udp --bitrate 20M --length 1400 | tee "$run/udp"
    awk '/receiver/ { gsub(/[()%]/, " "); for (at = 1; at <= NF; at++) if ($at ~ /^[0-9]+\/[0-9]+$/) {
            split($at, datagrams, "/"); seen = datagrams[2] > 0; lost = datagrams[1] / datagrams[2] } }
         END { exit !(seen && lost < 0.05) }' "$run/udp"
}

# The router says "fragmentation needed" to the VIP; whoever sent the packet must hear it.
small_path() {
    local name
    for name in one two three four; do
        inside far timeout 20 curl --silent --range 0-999999 --output "$run/received" "http://$vip/data" &&
            cmp "$run/received" <(head --bytes 1000000 "$run/g1/data") || return 1
    done
    for name in g1 g2; do
        inside "$name" ip route get "$far_address" | tee /dev/stderr | grep " mtu $far_mtu" || return 1
    done
}

# Nobody listens there: the guest says so about its own address, the client hears it of the VIP.
closed_port() {
    local said
    said=$(inside client timeout 10 ncat --udp "$vip" 9 < <(echo hello && sleep 1 && echo hello) 2>&1 || true)
    [[ $said == *"Connection refused"* ]]
}

# Lines with pauses between them, echoed each; meanwhile the guest that has the connection is drained.
long_flow() {
    local line answer verdict=0
    coproc FLOW { inside client ncat "$vip" 7; }
    local flow=$FLOW_PID
    for line in one two three four five six; do
        [[ $line != three ]] || { console drain guest g1 && console drain guest g2; }
        echo "$line" >&"${FLOW[1]}"
        read -r -t 10 answer <&"${FLOW[0]}" && [[ $answer == "$line" ]] || verdict=1
        echo "$line: ${answer-}"
        sleep 0.7
    done
    kill "$flow" 2>/dev/null || true
    wait "$flow" 2>/dev/null || true
    console enable guest g1
    console enable guest g2
    return "$verdict"
}

dead_guest() {
    ip -n "$(space g2)" link set p2 down
    within 10 guests_are_up 1
    ask client 20
    [[ $(awk '{ print $1, $2 }' "$run/shares") == "20 g1" ]]
}

remove_spaces() {
    local name
    for name in "${spaces[@]}"; do
        ip netns delete "$name" 2>/dev/null || true
    done
}

main "$@"
