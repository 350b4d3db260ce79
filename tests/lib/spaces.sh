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

remove_spaces() {
    local name
    for name in "${spaces[@]}"; do
        ip netns delete "$name" 2>/dev/null || true
    done
}
