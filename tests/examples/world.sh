# The world of an example, made of its configuration: the appliance on taps, and behind each tap a
# machine, which has a network, processes, a name and files in /srv of its own, and a shell.
#
#    client ── up0 ┃ appliance ┃ p1, p2 … ── the guests, with the addresses that the configuration says
#
# An uplink that is a trunk leads to a client for each of its VLANs, client10, client20 …, which knows
# of no tag:
#
#    client10 ── untagged10 ─┐
#    client20 ── untagged20 ─┴─ trunk ── up0 ┃ appliance ┃ p1, p2 …

# The last pair of a client's MAC says its VLAN.
client_mac=52:54:00:cc:00

guests=()
declare -A keyboard=() # of a machine: what its shell reads from

# enter_world CONFIGURATION
enter_world() {
    scratch_directory
    run=$directory
    accelerator=${FULCRUM_ACCEL:-tcg}
    guests=()
    printf '%s' "$1" >"$run/configuration"
    add_space switch
    start_appliance_on_taps
    settle_clients
    settle_guests
}

leave_world() {
    local pid keys
    for pid in "${started[@]}"; do
        end "$pid"
    done
    for keys in "${keyboard[@]}" ${console_in-}; do
        exec {keys}>&-
    done
    remove_spaces
    spaces=() keyboard=() console_in=
}

# The uplink, and a port for each that a guest is behind; by the order of their names, so that p1 is p1.
start_appliance_on_taps() {
    local tap at=0
    appliance_command
    for tap in up0 $(awk '$2 == "guest" { print $5 }' "$run/configuration" | sort --unique --version-sort); do
        add_tap "$tap" $((2 + at++))
    done
    appliance=(ip netns exec "$(space switch)" "${appliance[@]}" -initrd "$run/configuration")
    start_appliance_piped
}

settle_clients() {
    local vlans vlan ends=()
    vlans=$(awk '$3 == "up0" && $4 == "vlan" && $5 == "trunk" { gsub(",", " ", $6); print $6 }' "$run/configuration")
    if [[ -z $vlans ]]; then
        start_machine client
        give_tap client up0 "$client_mac:00"
        return
    fi
    add_space trunk
    ip -n "$(space switch)" link set up0 netns "$(space trunk)"
    ip -n "$(space trunk)" link set up0 up
    for vlan in $vlans; do
        start_machine "client$vlan"
        ip -n "$(space trunk)" link add "untagged$vlan" type veth peer name eth0 netns "$(space "client$vlan")"
        ip -n "$(space trunk)" link set "untagged$vlan" up
        ip -n "$(space "client$vlan")" link set eth0 address "$client_mac:$vlan" up
        ends+=("untagged$vlan" "$vlan")
    done
    # shellcheck disable=SC2016 # words of the inner shell
    inside trunk sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' \
        sh python3 "$root/tests/netns/tag.py" up0 "${ends[@]}"
}

# As a guest comes that is installed already: its address, and its server's directory.
settle_guests() {
    local name tap mac words word
    while read -r name tap mac words; do
        guests+=("$name")
        start_machine "$name"
        give_tap "$name" "$tap" "$mac"
        for word in $words; do
            case $word in
                address) ;;
                *:*) ip -n "$(space "$name")" address add "$word/64" dev eth0 nodad ;;
                *) ip -n "$(space "$name")" address add "$word/24" dev eth0 ;;
            esac
        done
    done < <(sed -n 's/^set guest \([^ ]*\) port \([^ ]*\) mac \([^ ]*\)/\1 \2 \3/p' "$run/configuration")
}

# give_tap NAME TAP MAC: the kernel's end of a tap becomes the machine's NIC.
give_tap() {
    ip -n "$(space switch)" link set "$2" netns "$(space "$1")" name eth0
    ip -n "$(space "$1")" link set eth0 address "$3" up
}

# start_machine NAME: whatever it starts ends with it, and it with us.
start_machine() {
    local name=$1 keys
    add_space "$name"
    mkfifo "$run/$name.keys"
    exec {keys}<>"$run/$name.keys"
    keyboard[$name]=$keys
    # shellcheck disable=SC2016 # words of the inner shell
    background ip netns exec "$(space "$name")" \
        unshare --pid --fork --kill-child --mount-proc --uts --mount \
        sh -c 'hostname "$1" && mount -t tmpfs own /srv && mount -t tmpfs own /run && exec bash "$2"' \
        sh "$name" "$run/$name.keys" >"$run/$name.log" 2>&1
    type_into "$name" true
}

# type_into MACHINE LINE: what its shell answers.
type_into() {
    local log=$run/$1.log offset
    offset=$(stat --format %s "$log")
    printf '%s\n' "$2" 'echo "% OK"' >&"${keyboard[$1]}"
    within 30 said_since "$offset" "$log" "% OK" || echo "no answer"
    tail --bytes "+$((offset + 1))" "$log" | grep --invert-match --line-regexp '% OK' || true
}
