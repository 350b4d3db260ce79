#!/usr/bin/env bash
# Prints the figures that the README quotes, as this machine gives them under software emulation
# (FULCRUM_ACCEL=kvm: under KVM).
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
FULCRUM_IMAGE=$(./run-qemu.sh build | tail -n 1)
export FULCRUM_IMAGE
exec cargo run --quiet --package tests --bin measure
