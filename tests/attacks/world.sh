# The world of the attacks: who is where, and what the appliance is told of them.

client_address=10.0.2.2
client_address6=fd00::2
vip=10.0.2.100
vip6=fd00::100

guests=(m v w)
victims=(v w)
declare -A port=([client]=up0 [m]=p1 [v]=p2 [w]=p3 [u]=p4)
declare -A mac=([client]=52:54:00:02:00:01 [m]=52:54:00:01:00:0a [v]=52:54:00:01:00:01 [w]=52:54:00:01:00:02 [u]=52:54:00:01:00:0b)
declare -A address=([client]=$client_address [m]=10.0.2.20 [v]=10.0.2.21 [w]=10.0.2.22 [u]=10.0.2.30)
declare -A address6=([client]=$client_address6 [m]=fd00::20 [v]=fd00::21 [w]=fd00::22 [u]=fd00::30)
client_link_local=fe80::5054:ff:fe02:1
attacker_link_local=fe80::5054:ff:fe01:a

make_world() {
    scratch_directory
    run=$directory
    accelerator=${FULCRUM_ACCEL:-tcg}
    local name
    for name in switch client "${guests[@]}" u; do
        add_space "$name"
    done
    write_world_configuration >"$run/configuration"
    start_appliance_on_taps
    for name in client "${guests[@]}" u; do
        settle "$name"
    done
    for name in "${victims[@]}"; do
        serve "$name"
    done
    mkfifo "$run/nobody-types"
    within 10 victims_are_up || fail "the guests' namespaces do not answer the switch: $(console show guest)"
}

write_world_configuration() {
    local name
    for name in "${guests[@]}"; do
        echo "set guest $name port ${port[$name]} mac ${mac[$name]} address ${address[$name]} address ${address6[$name]}"
    done
    for name in web web6; do
        echo "set service $name vip $([[ $name == web ]] && echo "$vip" || echo "$vip6") tcp 80"
        echo "set service $name real v"
        echo "set service $name real w"
    done
    cat <<PORTS
set port p4 max-macs 8
set port p4 storm-limit 100pps
PORTS
}

start_appliance_on_taps() {
    local name at=2
    appliance_command
    for name in client "${guests[@]}" u; do
        add_tap "${port[$name]}" $((at++))
    done
    appliance=(ip netns exec "$(space switch)" "${appliance[@]}" -initrd "$run/configuration")
    start_appliance_piped
}

# settle SPACE: the kernel's end of a tap becomes the only network of a namespace; it believes what
# routers there say, as most guests do.
settle() {
    local name=$1 tap=${port[$1]} where
    where=$(space "$name")
    ip netns exec "$where" sysctl --quiet --write net.ipv6.conf.default.accept_ra=2 \
        net.ipv6.conf.default.accept_redirects=1 net.ipv4.conf.default.accept_redirects=1 \
        net.ipv6.conf.default.addr_gen_mode=0
    ip -n "$(space switch)" link set "$tap" netns "$where"
    ip -n "$where" link set "$tap" address "${mac[$name]}" up
    ip -n "$where" address add "${address[$name]}/24" dev "$tap"
    ip -n "$where" address add "${address6[$name]}/64" dev "$tap" nodad
    [[ $name != client ]] || return 0
    ip -n "$where" route add default via "$client_address"
    ip -n "$where" route add default via "$client_address6"
}

# A guest's page says who it is.
serve() {
    mkdir -p "$run/$1"
    echo "$1" >"$run/$1/index.html"
    background_inside "$1" python3 -m http.server --directory "$run/$1" --bind :: 80
    within 10 curl_says client "${address[$1]}" "$1" || fail "the web server in $1 does not answer"
}

victims_are_up() { (($(console show guest | grep --count ' up') == ${#victims[@]})); }
