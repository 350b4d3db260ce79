#!/usr/bin/env bash
# Runs Fulcrum on this machine: installs what is missing, builds the image, and starts it, alone or
# as the switch of real Linux guests. The pieces lie in tests/lib, one story each.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
for piece in say install image disk-image guests appliance demo; do
    # shellcheck source=/dev/null
    source "$root/tests/lib/$piece.sh"
done

help() {
    cat <<'HELP'
Fulcrum: a switch VM that spreads the connections of virtual addresses over guests by their load.

  ./run-qemu.sh [OPTIONS]                    the appliance and three Linux guests; its console here
  ./run-qemu.sh demo [OPTIONS]               the same without a person; exits 0 if all of it worked
  ./run-qemu.sh boot [OPTIONS] [QEMU OPTIONS]  the image alone, with the NICs and drives you add
  ./run-qemu.sh build                        builds the image; the last line is its path
  ./run-qemu.sh disk-image [OPTIONS]         makes a disk that boots by itself, with a BIOS or UEFI, and
                                             keeps its configuration; the last line is its path

Options:
  --guests N          demo guests, 1 to 32 (default 3; the demo needs 2)
  --port N            this port of 127.0.0.1 is forwarded to the virtual IP (default 8080)
  --uplink user       the uplink is QEMU's user-mode network (default)
  --uplink tap:NAME   the uplink is this tap device of yours; the guests are 10.0.2.21 and up in
                      10.0.2.0/24, the virtual IP is 10.0.2.100
  --disk FILE         the appliance keeps its configuration on this disk, which is made if it is
                      missing. What was committed there comes before every other configuration
  --serial2 SOCKET    the second serial port, a program's, is this UNIX socket (docs/json.md);
                      to try it: socat - UNIX:SOCKET
  --virtio-console SOCKET   a second console for people is this UNIX socket
  --image FILE        this image, instead of one that is built now
  --configuration FILE   what a disk image begins with (default: nothing, a plain switch)
  --memory SIZE       the appliance's memory, such as 64M (default 256M)
  --accel auto|kvm|tcg   default auto: kvm if the image really runs under it, else tcg.
                      The environment variable ACCEL says the same
  --help              this text

In the console Ctrl-A X, or the command poweroff, ends everything that was started.

Examples:
  ./run-qemu.sh boot -netdev user,id=n0 -device virtio-net-pci,netdev=n0
  ./run-qemu.sh boot -initrd my-configuration.txt -netdev tap,id=n0,ifname=tap0,script=no …
HELP
}

mode=run
guests=3
port=8080
uplink=user
disk=
serial2=
virtio_console=
given_image=
configuration=
accel=${ACCEL:-auto}
vip=10.0.2.100
qemu_options=()

read_options() {
    case ${1-} in
        demo | boot | build | disk-image)
            mode=$1
            shift
            ;;
        -* | '') ;;
        *) misuse "'$1' is no command (demo, boot, build or disk-image)" ;;
    esac
    while (($#)); do
        case $1 in
            --help)
                help
                exit 0
                ;;
            --guests | --port | --uplink | --disk | --serial2 | --virtio-console | --memory | --accel | \
                --image | --configuration)
                (($# >= 2)) || misuse "$1 wants a value"
                read_option "$1" "$2"
                shift 2
                ;;
            *)
                [[ $mode == boot ]] || misuse "'$1' is no option here"
                qemu_options=("$@")
                break
                ;;
        esac
    done
    check_options
}

# read_option OPTION VALUE
read_option() {
    case $1 in
        --guests)
            is_number_in "$2" 1 "$guests_max" || misuse "--guests: '$2' is no number from 1 to $guests_max"
            guests=$2
            ;;
        --port)
            is_number_in "$2" 1 65535 || misuse "--port: '$2' is no number from 1 to 65535"
            port=$2
            ;;
        --uplink)
            [[ $2 == user || $2 =~ ^tap:[[:alnum:]_.-]{1,15}$ ]] ||
                misuse "--uplink: '$2' is neither user nor tap:NAME"
            uplink=$2
            ;;
        --disk)
            [[ $2 != *,* && ( ! -e $2 || -f $2 || -b $2 ) ]] ||
                misuse "--disk: '$2' is no file or block device with a name without commas"
            disk=$2
            ;;
        --serial2 | --virtio-console)
            is_socket_name "$2" || misuse "$1: '$2' is no name for a socket, without commas"
            if [[ $1 == --serial2 ]]; then serial2=$2; else virtio_console=$2; fi
            ;;
        --image | --configuration)
            [[ -f $2 ]] || misuse "$1: there is no file '$2'"
            if [[ $1 == --image ]]; then given_image=$2; else configuration=$2; fi
            ;;
        --memory)
            [[ $2 =~ ^[1-9][0-9]{0,5}[MG]$ ]] || misuse "--memory: '$2' is no size such as 64M or 1G"
            appliance_memory=$2
            ;;
        --accel) accel=$2 ;;
    esac
}

# QEMU makes the socket, and makes it anew where one was left.
is_socket_name() { [[ -n $1 && $1 != *,* && ( ! -e $1 || -S $1 ) ]]; }

is_number_in() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && (($1 >= $2 && $1 <= $3)); }

check_options() {
    [[ $accel =~ ^(auto|kvm|tcg)$ ]] || misuse "--accel: '$accel' is none of auto, kvm and tcg"
    [[ $mode != demo ]] || ((guests >= 2)) || misuse "the demo kills a guest, so it needs two or more"
    [[ $mode != demo || $uplink == user ]] || misuse "the demo asks through --uplink user"
    case $mode in
        run | demo)
            [[ $uplink != user ]] || ! port_is_taken ||
                misuse "port $port of 127.0.0.1 is in use; choose another one with --port"
            [[ $uplink != tap:* || -e /sys/class/net/${uplink#tap:} ]] ||
                misuse "there is no network device ${uplink#tap:}; to make one, as root:
ip tuntap add ${uplink#tap:} mode tap user \$USER && ip link set ${uplink#tap:} up"
            ;;
    esac
}

port_is_taken() { (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

require_tools() {
    [[ -n $given_image ]] || require_build_tools
    case $mode in
        build) ;;
        disk-image) require_disk_image_tools ;;
        *) require_program qemu-system-x86_64 qemu-system-x86 ;;
    esac
    [[ $mode != demo ]] || require_program curl curl
    install_missing
}

# Until the console ends; then everything else does.
interactive() {
    local guest
    for ((guest = 1; guest <= guests; guest++)); do
        start_guest "$guest"
    done
    await_guest_sockets
    cat <<HINT

Fulcrum is the switch of $guests Linux guests now. In another terminal:

  a guest answers with its name      $(request_to_try)
  CPU work for web1, 30 seconds      echo burn 30 > $run/web1.in
  what web1 said on its console      cat $run/web1.log

This is the console: ? for help, Ctrl-A X or 'poweroff' to end everything.

HINT
    foreground "${appliance[@]}" -no-reboot -serial mon:stdio
}

request_to_try() {
    if [[ $uplink == user ]]; then
        echo "curl http://127.0.0.1:$port/"
    else
        echo "curl http://$vip/"
    fi
}

# foreground COMMAND…: with our terminal; a signal to us still ends it at once.
foreground() {
    local verdict=0
    setpriv --pdeathsig TERM -- "$@" <&0 &
    started+=("$!")
    wait "$!" || verdict=$?
    started=("${started[@]:0:${#started[@]}-1}")
    return "$verdict"
}

main() {
    read_options "$@"
    require_tools
    if [[ -n $given_image ]]; then image=$given_image; else build_image; fi
    case $mode in
        disk-image)
            make_disk_image "$configuration"
            echo "$disk_image"
            ;;
        build)
            echo "$image"
            ;;
        boot)
            choose_accelerator
            appliance_command
            foreground "${appliance[@]}" -serial mon:stdio "${qemu_options[@]}"
            ;;
        run | demo)
            prepare_guests
            choose_accelerator
            scratch_directory
            run=$directory
            guest_pid=()
            share=()
            appliance_command
            appliance_network
            if [[ $mode == demo ]]; then demo; else interactive; fi
            ;;
    esac
}

main "$@"
