# The appliance as a process: accelerator, uplink, configuration, console.

appliance_memory=256M
disk_bytes=$((8 * 1024 * 1024))

# Decides `accelerator`. KVM is judged by what it does, not by whether /dev/kvm opens: there are
# machines where it does and guests hang in it. So the image itself must have said hello.
choose_accelerator() {
    case $accel in
        tcg | kvm) accelerator=$accel ;;
        auto)
            accelerator=tcg
            if [[ ! -w /dev/kvm ]]; then
                note "acceleration: software emulation (tcg), /dev/kvm is not for us"
            elif boots_under_kvm; then
                accelerator=kvm
                note "acceleration: kvm"
            else
                note "acceleration: software emulation (tcg), the image says nothing under /dev/kvm"
            fi
            ;;
    esac
}

boots_under_kvm() {
    scratch_directory
    local hello=$directory/hello verdict=0
    background qemu-system-x86_64 -accel kvm -m 64M -nodefaults -no-user-config -display none \
        -no-reboot -kernel "$image" -serial "file:$hello" 2>/dev/null
    within 3 grep --quiet --text Fulcrum "$hello" 2>/dev/null || verdict=1
    end "$background" 2>/dev/null
    return "$verdict"
}

# The processor that the appliance sees: one with RDRAND, wherever there is one.
appliance_processor() {
    if [[ $accelerator == kvm ]]; then echo host; else echo max; fi
}

# appliance_command CONSOLE…: sets `appliance`, all but the console.
appliance_command() {
    appliance=(
        qemu-system-x86_64 -name fulcrum -accel "$accelerator" -cpu "$(appliance_processor)"
        -m "$appliance_memory" -nodefaults -no-user-config -display none -kernel "$image"
    )
    if [[ -n ${disk-} ]]; then
        appliance_disk
    fi
    if [[ -n ${serial2-} ]]; then
        appliance+=(
            -chardev "socket,id=serial2,path=$serial2,server=on,wait=off"
            -device isa-serial,chardev=serial2,index=1
        )
    fi
    if [[ -n ${virtio_console-} ]]; then
        appliance+=(
            -chardev "socket,id=virtio-console,path=$virtio_console,server=on,wait=off"
            -device virtio-serial-pci,addr=0x1d
            -device virtconsole,chardev=virtio-console
        )
    fi
}

# The disk that the configuration is kept on: `$disk`, all zeros if it is new.
appliance_disk() {
    if [[ ! -e $disk ]]; then
        truncate --size "$disk_bytes" "$disk" || fail "$disk could not be made"
        note "configuration disk: $disk is new"
    fi
    appliance+=(
        -drive "if=none,format=raw,file=$disk,id=disk"
        -device virtio-blk-pci,drive=disk,addr=0x1e
    )
}

# The uplink and one port a guest; the configuration that names them.
appliance_network() {
    local guest name
    case $uplink in
        user)
            appliance+=(-netdev "user,id=up0,hostfwd=tcp:127.0.0.1:$port-$vip:80")
            ;;
        tap:*)
            appliance+=(-netdev "tap,id=up0,ifname=${uplink#tap:},script=no,downscript=no")
            ;;
    esac
    appliance+=(-device "virtio-net-pci,netdev=up0,romfile=,$(slot 0)")
    for ((guest = 1; guest <= guests; guest++)); do
        name=$(guest_name "$guest")
        appliance+=(
            -netdev "stream,id=p$guest,server=off,addr.type=unix,addr.path=$run/$name.port"
            -device "virtio-net-pci,netdev=p$guest,romfile=,$(slot "$guest")"
        )
    done
    write_configuration >"$run/configuration"
    appliance+=(-initrd "$run/configuration")
}

# slot N: where the N-th NIC sits. The bus has fewer slots than there may be ports, so four share one.
slot() {
    printf 'addr=0x%x.%d,multifunction=on' $((2 + $1 / 4)) $(($1 % 4))
}

write_configuration() {
    local guest name
    echo "# Made by run-qemu.sh: one service, spread over the demo guests by their load."
    for ((guest = 1; guest <= guests; guest++)); do
        name=$(guest_name "$guest")
        echo "set guest $name port p$guest mac $(guest_mac "$guest") address $(guest_address "$guest")"
    done
    echo "set service web vip $vip tcp 80"
    echo "set service web scheduler wll"
    for ((guest = 1; guest <= guests; guest++)); do
        echo "set service web real $(guest_name "$guest")"
    done
}

# Starts the appliance with its console on FIFOs, for `console`.
start_appliance_piped() {
    mkfifo "$run/console.in" "$run/console.out"
    background "${appliance[@]}" -no-reboot -chardev "pipe,id=console,path=$run/console" \
        -serial chardev:console
    appliance_pid=$background
    background cat "$run/console.out" >"$run/console.log"
    exec {console_in}<>"$run/console.in"
    within 30 grep --quiet --text --extended-regexp '^[[:alnum:]._-]+> ' "$run/console.log" ||
        fail "the appliance's console did not come up"
    console terminal script on >/dev/null
}

# console COMMAND…: what the appliance answers, without the closing line. Fails when it refuses.
console() {
    local answer offset
    offset=$(stat --format %s "$run/console.log")
    printf '%s\r' "$*" >&"$console_in"
    sleep 0.02 # an answer hardly takes longer, and whoever looks for it too early looks again much later
    within 10 console_has_answered "$offset" || fail "the console did not answer: $*"
    answer=$(tail --bytes "+$((offset + 1))" "$run/console.log" | tr --delete '\r')
    grep --invert-match --text --extended-regexp '^% (OK|FAILED)$' <<<"$answer" || true
    grep --quiet --text '^% OK$' <<<"$answer"
}

console_has_answered() {
    tail --bytes "+$(($1 + 1))" "$run/console.log" | grep --quiet --text --extended-regexp '^% (OK|FAILED)'
}
