# The world around the appliance: namespaces, the taps in them, what the appliance is told of them,
# and the servers of the guests.

client_address=10.0.2.2
client_address6=fd00::2
far_address=10.0.9.2
far_address6=fd00:9::2
far_mtu=1280

vip=10.0.2.100
vip6=fd00::100
vip_mac=02:6c:0a:00:02:64

# What guests carry on their loopbacks.
direct_vip=10.0.2.101
direct_vip6=fd00::101

vlan=10
vlan_vip=10.0.10.100
vlan_vip6=fd00:10::100

guests=(g1 g2)
declare -A port=([g1]=p1 [g2]=p2 [client]=up0)
declare -A mac=([g1]=52:54:00:01:00:01 [g2]=52:54:00:01:00:02 [client]=52:54:00:02:00:01)
declare -A address=([g1]=10.0.2.21 [g2]=10.0.2.22 [client]=$client_address)
declare -A address6=([g1]=fd00::21 [g2]=fd00::22 [client]=$client_address6)
# The same machines on the VLAN, by devices with a MAC of their own.
declare -A vlan_mac=([g1]=52:54:00:03:00:01 [g2]=52:54:00:03:00:02 [client]=52:54:00:03:00:03)
declare -A vlan_address=([g1]=10.0.10.21 [g2]=10.0.10.22 [client]=10.0.10.2)
declare -A vlan_address6=([g1]=fd00:10::21 [g2]=fd00:10::22 [client]=fd00:10::2)

# The NIC before g2 can do nothing for anybody: what others leave to theirs, the appliance does.
plain_nic=,csum=off,gso=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off
plain_nic+=,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off
declare -A nic_options=([g2]=$plain_nic)
# Models that are not virtio: frames with and without tags, and what stacks leave to their NICs.
declare -A nic_model=([trunk]=e1000e [a1]=vmxnet3)

datagram_port=7001
# Where nobody listens. tracepath takes another port for every packet.
closed_port=9
closed_ports=8

make_world() {
    scratch_directory
    run=$directory
    accelerator=${FULCRUM_ACCEL:-tcg}
    local name
    for name in switch far hop client "${guests[@]}" trunk "${edged[@]}"; do
        add_space "$name"
    done
    start_appliance_on_taps
    for name in client "${guests[@]}"; do
        settle "$name"
        settle_on_vlan "$name"
    done
    settle_edges
    settle_far
    within 10 guests_are_up 6 || fail "the guests' namespaces do not answer the switch"
}

start_appliance_on_taps() {
    local name at=0
    write_world_configuration >"$run/configuration"
    appliance_command
    for name in client "${guests[@]}" trunk "${edged[@]}"; do
        add_tap "${port[$name]}" $((2 + at++)) "${nic_model[$name]-virtio-net-pci}${nic_options[$name]-}"
    done
    appliance=(ip netns exec "$(space switch)" "${appliance[@]}" -initrd "$run/configuration")
    start_appliance_piped
}

write_world_configuration() {
    local name at
    for name in "${guests[@]}"; do
        cat <<GUEST
set guest $name port ${port[$name]} mac ${mac[$name]} address ${address[$name]} address ${address6[$name]}
set guest $name-vlan port ${port[$name]} mac ${vlan_mac[$name]}
set guest $name-vlan address ${vlan_address[$name]}
set guest $name-vlan address ${vlan_address6[$name]}
GUEST
    done
    write_service web "$vip" "$vip6" "tcp 80" "g1 g2"
    write_service echo "$vip" "$vip6" "tcp 7" "g1 g2" "port 7000"
    write_service persistent "$vip" "$vip6" "tcp 82" "g1 g2" "port 80"
    write_part persistent persistence source 32 timeout 300s
    write_service datagrams "$vip" "$vip6" "udp $datagram_port" "g1 g2"
    write_service iperf "$vip" "$vip6" "tcp 5201" "g1"
    write_service iperf-udp "$vip" "$vip6" "udp 5201" "g1"
    write_service on-vlan "$vlan_vip" "$vlan_vip6" "tcp 80 vlan $vlan" "g1-vlan g2-vlan"
    write_service direct "$direct_vip" "$direct_vip6" "tcp 80" "g1 g2"
    write_service direct-udp "$direct_vip" "$direct_vip6" "udp $datagram_port" "g1 g2"
    write_part "direct direct-udp" forwarding direct
    write_service empty "$vip" "$vip6" "tcp 81" ""
    write_service empty-udp "$vip" "$vip6" "udp 81" ""
    write_part "empty empty-udp" empty reset
    for ((at = closed_port; at < closed_port + closed_ports; at++)); do
        write_service "closed$at" "$vip" "$vip6" "udp $at" "g1"
    done
    write_checked_services
    write_management
    write_edges
}

# write_service NAME VIP VIP6 "PROTOCOL PORT …" "GUEST…" [CLAUSES]: one of each IP version.
write_service() {
    local real
    echo "set service $1 vip $2 $4"
    echo "set service $1-6 vip $3 $4"
    for real in $5; do
        echo "set service $1 real $real ${6-}"
        echo "set service $1-6 real $real ${6-}"
    done
}

# write_part "SERVICE…" WORDS…
write_part() {
    local service services=$1
    shift
    for service in $services; do
        echo "set service $service $*"
        echo "set service $service-6 $*"
    done
}

# settle SPACE: the kernel's end of a tap becomes the only network of a namespace.
settle() {
    local name=$1 tap=${port[$1]} where
    where=$(space "$name")
    ip -n "$(space switch)" link set "$tap" netns "$where"
    ip -n "$where" link set "$tap" address "${mac[$name]}" up
    ip -n "$where" address add "${address[$name]}/24" dev "$tap"
    ip -n "$where" address add "${address6[$name]}/64" dev "$tap" nodad
    [[ $name != client ]] || return 0
    ip -n "$where" route add default via "$client_address"
    ip -n "$where" route add default via "$client_address6"
    ip -n "$where" address add "$direct_vip/32" dev lo
    ip -n "$where" address add "$direct_vip6/128" dev lo
}

# The tap's tagged frames come and go by a device of their own.
settle_on_vlan() {
    local name=$1 where
    where=$(space "$name")
    ip -n "$where" link add "vlan$vlan" address "${vlan_mac[$name]}" type veth peer name untagged
    sysctl_inside "$name" net.ipv6.conf.untagged.disable_ipv6=1
    ip -n "$where" link set untagged up
    ip -n "$where" link set "vlan$vlan" up
    # shellcheck disable=SC2016 # words of the inner shell
    inside "$name" sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' \
        sh python3 "$root/tests/netns/tag.py" "${port[$name]}" untagged "$vlan"
    ip -n "$where" address add "${vlan_address[$name]}/24" dev "vlan$vlan"
    ip -n "$where" address add "${vlan_address6[$name]}/64" dev "vlan$vlan" nodad
}

# Somebody behind two routers, of which the client is one; the link between them is small.
#
#    far ── 1500 bytes ── hop ── 1280 bytes ── client ── appliance
settle_far() {
    local router
    link_spaces far up0 10.0.9.2 fd00:9::2 hop down0 10.0.9.1 fd00:9::1 1500
    link_spaces hop up0 10.0.8.2 fd00:8::2 client far0 10.0.8.1 fd00:8::1 "$far_mtu"
    for router in hop client; do
        sysctl_inside "$router" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    done
    add_routes far default 10.0.9.1 default fd00:9::1
    add_routes hop default 10.0.8.1 default fd00:8::1
    add_routes client 10.0.9.0/24 10.0.8.2 fd00:9::/64 fd00:8::2
}

# link_spaces SPACE DEVICE ADDRESS ADDRESS6 SPACE DEVICE ADDRESS ADDRESS6 MTU
link_spaces() {
    local one other
    one=$(space "$1")
    other=$(space "$5")
    ip -n "$one" link add "$2" mtu "$9" type veth peer name "$6" mtu "$9" netns "$other"
    ip -n "$one" address add "$3/24" dev "$2"
    ip -n "$one" address add "$4/64" dev "$2" nodad
    ip -n "$other" address add "$7/24" dev "$6"
    ip -n "$other" address add "$8/64" dev "$6" nodad
    ip -n "$one" link set "$2" up
    ip -n "$other" link set "$6" up
}

# add_routes SPACE [DESTINATION GATEWAY]…
add_routes() {
    local where
    where=$(space "$1")
    shift
    while (($#)); do
        ip -n "$where" route add "$1" via "$2"
        shift 2
    done
}

sysctl_inside() {
    local where
    where=$(space "$1")
    shift
    ip netns exec "$where" sysctl --quiet --write "$@"
}

guests_are_up() { (($(console show guest | grep --count ' up') == $1)); }

start_servers() {
    local name
    for name in "${guests[@]}"; do
        mkdir -p "$run/$name"
        echo "$name" >"$run/$name/index.html"
        nginx_configuration "$name" >"$run/$name.conf"
        background_inside "$name" "$nginx" -p "$run" -c "$run/$name.conf"
        background_inside "$name" ncat --listen --keep-open --exec /bin/cat 7000
        background_inside "$name" iperf3 --server
        start_answering "$name"
        background_inside "$name" python3 "$root/tests/netns/datagrams.py" serve "$name" "$datagram_port" \
            "${address[$name]}" "${address6[$name]}" "$direct_vip" "$direct_vip6"
    done
    head --bytes 20000000 /dev/urandom >"$run/g1/data"
    cp "$run/g1/data" "$run/g2/data"
    for name in "${guests[@]}"; do
        within 10 curl_says client "${address[$name]}" "$name" || fail "nginx in $name does not answer"
        within 10 inside "$name" python3 "$root/tests/netns/datagrams.py" \
            ask "$direct_vip" "$datagram_port" 1 1 >/dev/null ||
            fail "the server of datagrams in $name does not answer"
        within 10 inside "$name" ncat -z "${address[$name]}" 5201 || fail "iperf3 in $name does not listen"
    done
    start_edged_servers
}

# One process, for a worker would outlive its master that is killed.
nginx_configuration() {
    cat <<NGINX
daemon off;
master_process off;
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
    server { listen 80; listen [::]:80; root $run/$1; }
}
NGINX
}
