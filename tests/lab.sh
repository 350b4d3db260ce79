#!/usr/bin/env bash
# The scheduling laboratory: simulated guests and clients in virtual time, the real schedulers of
# `lb` between them, two published rivals beside them. Prints every scenario, then which goals are
# held and which are missed. docs/laboratory.md says what it is about.
#
#   ./tests/lab.sh                     everything, by the seeds of the evaluation
#   ./tests/lab.sh --write docs        the same, and docs/laboratory.{md,csv,svg} anew
#   ./tests/lab.sh --seeds tuning      by other seeds: for whoever changes a scheduler
#   ./tests/lab.sh --only speeds-16    scenarios whose names begin so (several: with commas)
#   ./tests/lab.sh --schedulers wll,lc these alone
#   ./tests/lab.sh --goals             the goals alone
#   ./tests/lab.sh --list              the scenarios
#   ./tests/lab.sh --threads 2         on so many cores; the result is the same
#   ./tests/lab.sh --quick             what of it is among the ordinary tests
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

case ${1-} in
    --help)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    --quick) exec cargo test --quiet --package tests --test lab ;;
esac

# What is measured is lb's own source: its tree says which, whatever else was committed since.
FULCRUM_TREE=$(git rev-parse --short HEAD:lb/src 2>/dev/null || echo unknown)
git diff --quiet HEAD -- lb/src 2>/dev/null || FULCRUM_TREE+=" with changes"
export FULCRUM_TREE
exec cargo run --quiet --release --package tests --bin lab -- "$@"
