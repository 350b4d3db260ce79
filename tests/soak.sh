#!/usr/bin/env bash
# F36 of docs/hostile.md: faults of all kinds while frames flow, in the order that a seed gives: NICs that come and go, links that
# flap, a machine that stands still, bad frames, configurations, slips of the keyboard. Frames between those
# that nothing is done to must all arrive, every counter must sum, and memory must be flat.
#
#   ./tests/soak.sh 3600 1         an hour, with seed 1
#   ./tests/soak.sh cycles 1000    a NIC comes and goes 1,000 times, a link flaps 1,000 times
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
FULCRUM_IMAGE=$(./run-qemu.sh build | tail -n 1)
export FULCRUM_IMAGE
exec cargo run --quiet --package tests --bin soak -- "$@"
