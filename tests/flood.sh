#!/usr/bin/env bash
# F7 of docs/hostile.md: a SYN flood from the uplink, at the zero-loss rate and at twice that rate,
# measured on this machine under software emulation (FULCRUM_ACCEL=kvm: under KVM). About a minute.
# The exit status says whether every figure was held.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
FULCRUM_IMAGE=$(./run-qemu.sh build | tail -n 1)
export FULCRUM_IMAGE
exec cargo run --quiet --release --package tests --bin flood
