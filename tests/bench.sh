#!/usr/bin/env bash
# The benchmark: this image, a Linux switch VM and a poll-mode forwarder by the same harness, one after
# the other in each round, on fresh machines. docs/performance.md says what it is about.
#
#   ./tests/bench.sh                      everything, in three rounds; each takes some 20 minutes
#   ./tests/bench.sh --rounds 1           the same in one round
#   ./tests/bench.sh --quick              most of it, in one round of short loads; some minutes
#   ./tests/bench.sh --write docs         the same, and docs/performance.{md,json,svg} anew
#   ./tests/bench.sh --json FILE          every run of every figure, for a program
#   ./tests/bench.sh --only instructions  jobs whose names begin so (several: with commas)
#   ./tests/bench.sh --systems fulcrum,linux   these alone
#   ./tests/bench.sh --profile            where the appliance's instructions are executed
#   ./tests/bench.sh --rounds N --seconds N    rounds, and how long each load goes on
#   ./tests/bench.sh --list               the jobs, and who does them
#
# What is missing is installed from Debian's packages; what the rivals are made of is unpacked into
# build/bench, and nothing of it installed. Real stacks need root, for taps and network namespaces.
# Exits with 1 if a figure could not be measured.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in say install image guests rivals; do
    # shellcheck source=/dev/null
    source "$root/tests/lib/$piece.sh"
done

main() {
    require_build_tools
    require_program qemu-system-x86_64 qemu-system-x86
    require_program objdump binutils
    require_program ip iproute2
    install_missing
    build_image
    prepare_rivals
    build_counter
    name_tree
    export FULCRUM_IMAGE=$image FULCRUM_MAP=$target/x86_64-target/release/fulcrum.map
    export FULCRUM_RIVALS=$rivals FULCRUM_COUNTER=$counter
    cargo run --quiet --release --package tests --bin bench -- "$@"
}

# QEMU's plugin that counts instructions: `$counter`.
build_counter() {
    counter=$rivals/count.so
    [[ $counter -nt $root/tests/bench/count.c ]] && return
    cc -O2 -Wall -Wextra -shared -fPIC -o "$counter" "$root/tests/bench/count.c"
}

name_tree() {
    FULCRUM_TREE=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
    git diff --quiet HEAD 2>/dev/null || FULCRUM_TREE+=" with changes"
    export FULCRUM_TREE
}

cd "$root"
case ${1-} in
    --help)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
esac
main "$@"
