# Network namespaces, called fulcrum-PID-NAME; they go with the script that made them.

spaces=()

space() { echo "fulcrum-$$-$1"; }

add_space() {
    local name
    name=$(space "$1")
    ip netns add "$name"
    spaces+=("$name")
    ip -n "$name" link set lo up
}

inside() {
    local where
    where=$(space "$1")
    shift
    ip netns exec "$where" "$@"
}

# background_inside SPACE COMMAND…: its process id is then in `$background`.
background_inside() {
    local where
    where=$(space "$1")
    shift
    background ip netns exec "$where" "$@" >>"$run/background.log" 2>&1
}

# enter_with IMAGE: how every script of namespaces begins; its tools are those of `require_tools`.
enter_with() {
    image=${1-}
    [[ -f $image ]] || misuse "the argument is the image to test"
    ((EUID == 0)) || fail "network namespaces and taps need root"
    require_tools
    trap 'tidy; remove_spaces' EXIT
}

# add_tap NAME SLOT [MODEL,OPTIONS]: a NIC of `appliance`, whose wire is a tap in the space `switch`.
add_tap() {
    ip -n "$(space switch)" tuntap add "$1" mode tap
    appliance+=(
        -netdev "tap,id=$1,ifname=$1,script=no,downscript=no"
        -device "${3-virtio-net-pci},netdev=$1,romfile=,addr=$2"
    )
}

remove_spaces() {
    local name
    for name in "${spaces[@]}"; do
        ip netns delete "$name" 2>/dev/null || true
    done
}
