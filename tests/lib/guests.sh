# Guests: real Linux machines that answer HTTP with their own name, at once, slowly or at length.
#
# Kernel and busybox come from Debian's packages, unpacked into build/ and fetched once. All guests
# boot one initramfs; who a guest is stands on its kernel command line. Its serial port is a pair of
# FIFOs: what the guest says goes to a log, and a line written to the other one is a command to the
# guest's shell (`burn SECONDS`, `fulcrum-agent drain`).
#
# A guest's NIC is the listening end of a stream socket and the appliance the connecting one: of the
# two, only the listening end may block in a send, and the appliance must never stand still because
# a guest does.

packages=$root/build/guests
guest_memory_mib=128

# In the order in which they depend on one another.
guest_modules=(
    virtio/virtio_ring virtio/virtio virtio/virtio_pci_legacy_dev virtio/virtio_pci_modern_dev
    virtio/virtio_pci net/core/failover net/net_failover net/virtio_net
)

guest_name() { echo "web$1"; }
guest_address() { echo "10.0.2.$((20 + $1))"; }
guest_mac() { printf '52:54:00:01:00:%02x' "$1"; }
guests_max=32

# Fetches what guests are made of, and makes their initramfs: `$guest_kernel`, `$guest_initrd`.
prepare_guests() {
    fetch_busybox
    fetch_linux
    build_agent
    make_initramfs
}

fetch_busybox() {
    busybox=$packages/busybox
    [[ -x $busybox ]] && return
    scratch_directory
    local files=$directory
    unpack_package busybox-static "$files"
    mkdir -p "$packages"
    mv "$files/bin/busybox" "$busybox"
}

fetch_linux() {
    guest_kernel=$packages/vmlinuz
    unpack_linux "$packages" "${guest_modules[@]}"
}

# unpack_linux INTO MODULE…: Debian's kernel for machines like these, `vmlinuz`, and of its modules
# those. linux-image-cloud-amd64 is an empty package that names the newest kernel's.
unpack_linux() {
    local into=$1 files package module
    shift
    [[ -f $into/vmlinuz ]] && return
    scratch_directory
    files=$directory
    apt-cache show --no-all-versions linux-image-cloud-amd64 >/dev/null 2>&1 || refresh_package_lists
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    [[ -n $package ]] || fail "linux-image-cloud-amd64 does not say which kernel it stands for"
    unpack_package "$package" "$files"
    mkdir -p "$into/modules"
    for module in "$@"; do
        copy_module "$files"/lib/modules/*/kernel "$module" "$into/modules"
    done
    mv "$files"/boot/vmlinuz-* "$into/vmlinuz"
}

# copy_module TREE MODULE INTO: modules lie under drivers/ or net/, and are compressed or not, as the
# kernel's packager likes.
copy_module() {
    local tree=$1 name=${2##*/} into=$3 found
    found=$(find "$tree" -name "$name.ko*" -print -quit)
    case $found in
        *.ko) cp "$found" "$into/" ;;
        *.ko.xz) xz --decompress --stdout "$found" >"$into/$name.ko" ;;
        *) fail "the kernel's package has no module $name" ;;
    esac
}

make_initramfs() {
    guest_initrd=$packages/initramfs.gz
    scratch_directory
    local tree=$directory at=0 module
    mkdir -p "$tree"/{bin,dev,proc,run,sys,www/cgi-bin,modules}
    cp "$busybox" "$tree/bin/busybox"
    cp "$agent" "$tree/bin/fulcrum-agent"
    install -m 755 "$root/tests/guest/init" "$tree/init"
    install -m 755 "$root"/tests/guest/cgi-bin/* "$tree/www/cgi-bin/"
    for module in "${guest_modules[@]##*/}"; do
        cp "$packages/modules/$module.ko" "$tree/modules/$((at++))-$module.ko"
    done
    (cd "$tree" && find . | "$busybox" cpio -o -H newc 2>/dev/null) | gzip -1 >"$guest_initrd"
}

# start_guest N: its process id is then in `guest_pid[N]`.
start_guest() {
    local name
    name=$(guest_name "$1")
    mkfifo "$run/$name.in" "$run/$name.out"
    background qemu-system-x86_64 -name "$name" -accel "$accelerator" -m "$guest_memory_mib" \
        -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$guest_kernel" -initrd "$guest_initrd" \
        -append "console=ttyS0 quiet panic=-1 guest=$name address=$(guest_address "$1")/24 gateway=10.0.2.2" \
        -netdev "stream,id=n0,server=on,addr.type=unix,addr.path=$run/$name.port" \
        -device "virtio-net-pci,netdev=n0,mac=$(guest_mac "$1"),romfile=" \
        -chardev "pipe,id=serial,path=$run/$name" -serial chardev:serial
    guest_pid[$1]=$background
    background cat "$run/$name.out" >"$run/$name.log"
}

# The appliance connects to a guest's socket, so that has to be there first.
await_guest_sockets() {
    local guest
    for ((guest = 1; guest <= guests; guest++)); do
        within 10 test -S "$run/$(guest_name "$guest").port" ||
            fail "$(guest_name "$guest") did not start"
    done
}

# tell_guest N COMMAND…
tell_guest() {
    local name
    name=$(guest_name "$1")
    shift
    printf '%s\n' "$*" >"$run/$name.in"
}

# guest_did N SECONDS COMMAND…: tells the guest, and gives what it says until the command has ended.
# Fails when that takes longer, or when the command failed.
guest_did() {
    local name limit=$2 offset log ending
    name=$(guest_name "$1")
    log=$run/$name.log
    offset=$(stat --format %s "$log")
    tell_guest "$1" "${*:3}"
    ending="$name: ${*:3}: exit status"
    within "$limit" said_since "$offset" "$log" "$ending" || return 1
    tail --bytes "+$((offset + 1))" "$log" | tr --delete '\r'
    said_since "$offset" "$log" "$ending 0"
}

# said_since OFFSET LOG TEXT
said_since() { tail --bytes "+$(($1 + 1))" "$2" | grep --quiet --text --fixed-strings "$3"; }

# reports_load N FROM TO: its last report, in per cent. Columns of `show load`: service, real, report,
# age, says, app, CPU, requests, load, …
reports_load() {
    console show load | awk -v real="$(guest_name "$1")" -v from="$2" -v to="$3" \
        '$2 == real && $9 + 0 >= from && $9 + 0 <= to { yes = 1 } END { exit !yes }'
}

# Guests that come up one after the other begin with a part of their weight (slow start), which
# `show load` says as "20 of 100".
all_weights_are_whole() { ! console show load | grep --quiet '[0-9] of [0-9]'; }

# guest_is_down N. Columns of `show guest`: guest, port, MAC, health, …
guest_is_down() {
    console show guest | awk -v guest="$(guest_name "$1")" \
        '$1 == guest && $4 == "down" { yes = 1 } END { exit !yes }'
}
