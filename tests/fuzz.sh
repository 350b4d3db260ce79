#!/usr/bin/env bash
# Looks for frames, sequences and reports that the data path does not stand, and for sessions that the
# console does not: a panic, a hang, or something that must hold and does not (lb/tests/corpus/harness
# and kernel/tests/corpus/session.rs say what).
#
#   ./tests/fuzz.sh                      every target, ten minutes each
#   ./tests/fuzz.sh sequences 3600       one target, an hour
#
#   frames       frames as they are, at every kind of port
#   sequences    frames of known shapes, commands, and time
#   reports      what guests say of themselves, and what they are answered
#   console      what is typed, byte for byte or by the command tree
#
# It begins with the fixed corpus and with what earlier runs found (fuzz/corpus), and ends with the
# number of executions. What made it stop lies in fuzz/artifacts: copied to the fixed corpus under a
# name that says why, it is a test from then on.
#
# A nightly toolchain of rustup's is needed; cargo-fuzz is installed to build/ where it is missing.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=/dev/null
source "$root/tests/lib/say.sh"

targets=(frames sequences reports console)
cargo_fuzz=0.13.1
tools=$root/build/cargo-fuzz
seconds=600

# Longer inputs only take longer.
declare -A len_max=([frames]=2048 [sequences]=300 [reports]=600 [console]=600)
# The fixed corpus.
declare -A fixed=(
    [frames]=lb/tests/corpus/frames
    [sequences]=lb/tests/corpus/sequences
    [reports]=lb/tests/corpus/reports
    [console]=kernel/tests/corpus/console
)

read_options() {
    if (($# > 0)) && [[ $1 == --help ]]; then
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        exit 0
    fi
    if (($# > 0)); then
        [[ " ${targets[*]} " == *" $1 "* ]] || misuse "'$1' is none of: ${targets[*]}"
        targets=("$1")
        seconds=${2-$seconds}
    fi
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || misuse "'$seconds' is no number of seconds"
    (($# <= 2)) || misuse "a target and a number of seconds, nothing else"
}

require_fuzzer() {
    cargo +nightly --version >/dev/null 2>&1 ||
        fail "there is no nightly toolchain. Try: rustup toolchain install nightly"
    PATH=$tools/bin:$PATH
    if [[ $(cargo-fuzz --version 2>/dev/null) != "cargo-fuzz $cargo_fuzz" ]]; then
        note "installing: cargo-fuzz $cargo_fuzz to $tools"
        cargo install --quiet --locked --root "$tools" --version "=$cargo_fuzz" cargo-fuzz
    fi
}

# There is no unsafe code to watch with a sanitizer, and comparisons tell the fuzzer little that the
# harness does not know: without both it is several times faster.
fuzz() {
    local action=$1
    shift
    cargo +nightly fuzz "$action" --sanitizer none --no-trace-compares "$@"
}

# Runs a target; prints what it reached.
run() {
    local target=$1 verdict=0 corpus=$root/fuzz/corpus/$1
    mkdir -p "$corpus"
    fuzz run "$target" "$corpus" "$root/${fixed[$target]}" -- \
        -max_total_time="$seconds" -max_len="${len_max[$target]}" -timeout=120 \
        -print_final_stats=1 -verbosity=0 >"$directory/log" 2>&1 || verdict=1
    local executions
    executions=$(awk '/^stat::number_of_executed_units/ { print $2 }' "$directory/log")
    printf '%-10s %12d executions in %d s, tree %s\n' \
        "$target" "${executions:-0}" "$seconds" "$(tree)"
    ((verdict == 0)) || {
        tail -n 40 "$directory/log" >&2
        return 1
    }
}

tree() { git -C "$root" describe --always --dirty 2>/dev/null || echo unknown; }

read_options "$@"
cd "$root"
require_fuzzer
scratch_directory
note "building"
fuzz build
failed=0
for target in "${targets[@]}"; do
    run "$target" || failed=1
done
exit "$failed"
