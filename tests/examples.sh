#!/usr/bin/env bash
# The worked examples of docs/configuration.md, done: the image is booted with each configuration as
# the page has it, among real network stacks, and every line that the page types is typed.
#
#   tests/examples.sh IMAGE
#
# Needs root. All that it makes are namespaces called fulcrum-PID-…, and they go with it. One line a
# test: what was typed where, and whether the answer is like the page's. FULCRUM_BLESS=1 writes what
# was answered into the page; read the difference before you believe it.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in lib/say lib/install lib/check lib/spaces lib/image lib/guests lib/appliance examples/page \
    examples/world; do
    # shellcheck source=/dev/null
    source "$root/tests/$piece.sh"
done

main() {
    enter_with "$@"
    play_page "$root/docs/configuration.md"
    print_verdict
}

require_tools() {
    require_build_tools
    require_program qemu-system-x86_64 qemu-system-x86
    require_program ip iproute2
    require_program ping iputils-ping
    require_program arping iputils-arping
    require_program curl curl
    require_program python3 python3
    install_missing
    fetch_busybox
    build_agent
    PATH=$packages:${agent%/*}:$PATH
}

main "$@"
