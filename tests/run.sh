#!/usr/bin/env bash
# All tests, from the style of the source to foreign programs on real network stacks.
#
#   lint    cargo fmt, cargo clippy, the XML of docs/install.md
#   host    the library crates, with plain stable Rust
#   qemu    the image under QEMU, test programs as its guests and clients
#   linux   real Linux guests: ./run-qemu.sh demo, and tests/guests.sh, which counts what it shows (root)
#   netns   the image on taps in network namespaces: ping, curl, nginx, iperf3; the worked
#           examples of docs/configuration.md; attack tools of Debian's packages (root)
#
# A layer that cannot run has failed, unless it was left out by name: ./tests/run.sh --without netns
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in say install image disk-image; do
    # shellcheck source=/dev/null
    source "$root/tests/lib/$piece.sh"
done

layers=(lint host qemu linux netns)
left_out=()
passed=0
failed=0
summary=()

read_options() {
    while (($#)); do
        case $1 in
            --without)
                [[ " ${layers[*]} " == *" ${2-} "* ]] || misuse "--without wants one of: ${layers[*]}"
                left_out+=("$2")
                shift 2
                ;;
            --help)
                sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
                exit 0
                ;;
            *) misuse "'$1' is no option here" ;;
        esac
    done
}

wanted() { [[ " ${left_out[*]-} " != *" $1 "* ]]; }

require_tools() {
    require_build_tools
    if wanted lint; then
        require rustfmt-web cargo fmt --version
        require rust-web-clippy cargo clippy --version
        require_program virt-xml-validate libvirt-clients
        require_program xmllint libxml2-utils
    fi
    if wanted qemu || wanted linux || wanted netns; then
        require_program qemu-system-x86_64 qemu-system-x86
    fi
    if wanted qemu; then
        require_disk_image_tools
        require ovmf test -e /usr/share/qemu/OVMF.fd
    fi
    install_missing
}

# count PASSED FAILED NAME
count() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    summary+=("$(printf '%-28s %4d passed, %d failed' "$3" "$1" "$2")")
}

# Runs a command that passes or fails as one test.
single() {
    local name=$1
    shift
    printf '\n=== %s\n' "$name"
    if "$@" </dev/null; then count 1 0 "$name"; else count 0 1 "$name"; fi
}

# Runs a command that says how many tests it ran, by lines that `counts` understands. One that
# fails without having counted a failure, or that counts nothing, has failed once.
several() {
    local name=$1 verdict=0 numbers good bad
    shift
    printf '\n=== %s\n' "$name"
    scratch_directory
    "$@" </dev/null 2>&1 | tee "$directory/output" || verdict=1
    numbers=$(counts <"$directory/output")
    read -r good bad <<<"$numbers"
    if ((bad == 0 && (verdict != 0 || good == 0))); then
        bad=1
    fi
    count "$good" "$bad" "$name"
}

# Adds up cargo's "test result: ok. 5 passed; 0 failed; …" and our own "5 passed, 0 failed".
counts() {
    awk '/^test result: / { good += $4; bad += $6 }
         /^[0-9]+ passed, [0-9]+ failed$/ { good += $1; bad += $3 }
         END { print good + 0, bad + 0 }'
}

run_layers() {
    if wanted lint; then
        single "lint: cargo fmt" cargo fmt --all --check
        single "lint: cargo clippy" cargo clippy --quiet --workspace --all-targets -- -D warnings
        single "lint: libvirt's XML" libvirt_takes_the_xml
    fi
    if wanted host; then
        several "host" cargo test --quiet -p lb -p drivers -p boot -p kernel -p fulcrum-agent
        several "host: harness, laboratory" cargo test --quiet -p tests --lib --test lab
    fi
    if wanted qemu || wanted linux || wanted netns; then
        single "image builds, no warnings" image_builds
    fi
    if wanted qemu; then
        several "qemu" with_image env FULCRUM_IMAGE="$image" \
            cargo test --quiet -p tests --test qemu -- --test-threads 2
    fi
    if wanted linux; then
        single "linux: run-qemu.sh demo" ./run-qemu.sh demo --port "$(free_port)"
        several "linux: tests/guests.sh" with_image tests/guests.sh "$image"
    fi
    if wanted netns; then
        several "netns" with_image tests/netns.sh "$image"
        several "netns: examples" with_image tests/examples.sh "$image"
        several "netns: attacks" with_image tests/attacks.sh "$image"
    fi
}

libvirt_takes_the_xml() {
    local verdict=0 file
    for file in docs/libvirt.xml docs/libvirt-passthrough.xml; do
        virt-xml-validate "$file" domain || verdict=1
    done
    virt-xml-validate docs/libvirt-network.xml network || verdict=1
    return "$verdict"
}

# The files of the bare machine are in no other build, so this is where their warnings show.
image_builds() {
    local verdict=0
    scratch_directory
    rm -f "$image"
    (build_image) 2>&1 | tee "$directory/build" || verdict=1
    if grep --quiet '^warning' "$directory/build"; then verdict=1; fi
    return "$verdict"
}

with_image() {
    [[ -f $image ]] || fail "there is no image to test"
    "$@"
}

# A port of 127.0.0.1 that nobody listens on.
free_port() {
    local port=18080
    while (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        port=$((port + 1))
    done
    echo "$port"
}

read_options "$@"
cd "$root"
require_tools
run_layers
printf '\n=== summary, %d s\n' "$SECONDS"
printf '%s\n' "${summary[@]}"
((${#left_out[@]} == 0)) || echo "left out: ${left_out[*]}"
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
