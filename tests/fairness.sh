#!/usr/bin/env bash
# What a guest that does its worst takes from the guests beside it: loss and round trips of echo
# requests between client and victim and between two victims, alone and under each flood. Timed, so
# it is no test; about two minutes. Needs root.
#
#   ./tests/fairness.sh
#
# The world is that of tests/attacks.sh: m and u are hostile, v and w are not.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in lib/say lib/install lib/check lib/spaces lib/appliance netns/talk attacks/tools attacks/world attacks/victims; do
    # shellcheck source=/dev/null
    source "$root/tests/$piece.sh"
done

# So many echo requests of each pair, one every 5 ms.
count=2000
flood_seconds=12

main() {
    enter_with "$("$root/run-qemu.sh" build | tail -n 1)"
    make_world
    everybody_is_reached >/dev/null 2>&1 || fail "the world is not well: $(console show guest)"

    printf '| flood | frames/s of it | client to v: lost | p50 | p99 | v to w: lost | p50 | p99 |\n'
    printf '|---|--:|--:|--:|--:|--:|--:|--:|\n'
    under "none" p1 true
    under "64-byte frames to the client (hping3)" p1 hping3 --flood --udp --data 18 --destport 9 "$client_address"
    under "64-byte frames to v itself (hping3)" p1 hping3 --flood --udp --data 18 --destport 9 "${address[v]}"
    under "broadcasts (hping3)" p1 hping3 --flood --udp --data 18 10.0.2.255
    under "SYNs to the VIP in its own name (hping3)" p1 hping3 --flood --syn --destport 80 "$vip"
    under "SYNs to the VIP of any source (hping3)" p1 hping3 --flood --syn --rand-source --destport 80 "$vip"
    under "1,000,000 source MACs, nobody defined there (macof)" p4 macof -i p4 -n 1000000
    under "router advertisements (flood_router26)" p1 atk6-flood_router26 p1
}

# under WHAT PORT TOOL…: one line of the table.
under() {
    local what=$1 from=$2 before
    shift 2
    background_inside "$(attacker "$from")" timeout --kill-after 1 "$flood_seconds" \
        bash -c 'cd "$0" && exec <>nobody-types; while sleep 0.1; do "$@"; done' "$run" "$@"
    local tool=$background
    sleep 0.5
    before=$(frames_of "$from")
    trips client "${address[v]}" "$run/one" &
    local one=$!
    trips v "${address[w]}" "$run/two"
    wait "$one"
    local rate=$((($(frames_of "$from") - before) * 1000 / (count * 5)))
    end "$tool"
    printf '| %s | %d | %s | %s |\n' "$what" "$rate" "$(summary "$run/one")" "$(summary "$run/two")"
}

# trips SPACE ADDRESS FILE
trips() { inside "$1" ping -n -c "$count" -i 0.005 -W 2 "$2" >"$3" || true; }

# Frames that an attacker's kernel gave to its tap.
frames_of() { inside "$(attacker "$1")" cat "/sys/class/net/$1/statistics/tx_packets"; }

# What was lost, and how long half and 99 of a hundred took at most.
summary() {
    sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$1" | sort --general-numeric-sort | awk -v sent="$count" '
        { trip[NR] = $1 }
        END {
            if (NR == 0) { print "all | – | –"; exit }
            printf "%d of %d | %.2f ms | %.2f ms", sent - NR, sent, trip[int((NR + 1) / 2)], trip[int(NR * 0.99)]
        }'
}

main "$@"
