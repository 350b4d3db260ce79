#!/usr/bin/env bash
# Real guests: Linux machines under the appliance, their agents on, and a real client. What is claimed
# of load, of the end of agents and guests, and of the agent's own words is counted here.
#
#   tests/guests.sh IMAGE
#
# Needs root. The tests stand here, one line each; what they do lies in tests/guests, one story a
# file.
#
#                  namespace of the client            each a Linux machine
#             curl ── up0 ┃ appliance ┃ p1, p2, p3 ── web1, web2, web3: httpd, fulcrum-agent
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
for piece in lib/say lib/install lib/check lib/spaces lib/image lib/guests lib/appliance guests/world \
    guests/load guests/leave guests/haproxy; do
    # shellcheck source=/dev/null
    source "$root/tests/$piece.sh"
done

main() {
    enter_with "$@"
    make_world

    check_load
    check_haproxy
    check_leave

    print_verdict
}

check_load() {
    check "an idle guest gets what its free CPU deserves" gets_what_it_deserves "$busy_guest"
    check "it begins to burn, and says so" begins_to_burn
    check "burning it gets what its free CPU deserves" gets_what_it_deserves "$busy_guest"
    check "it burns no more, and says so" ends_to_burn
    check "afterwards it gets what its free CPU deserves" gets_what_it_deserves "$busy_guest"
    check "kill -9 of an agent moves less than 5 % of the requests" dead_agent_moves_little
    check "an agent that returns is heard" dead_agent_returns
}

check_haproxy() {
    start_haproxy
    check "HAProxy: an application at ease has its guest's whole weight" becomes UP 100 100 app=0.2
    check "HAProxy: a full one has half of it" becomes UP 45 55 app=1
    check "HAProxy: one that is down" becomes "DOWN (agent)" 0 100 "down app=0.2"
    check "HAProxy: and up again" becomes UP 100 100 "up app=0.2"
    tell_agent drain --wait 1
    check "HAProxy: drain" becomes "DRAIN (agent)" 0 100 app=0.2
    tell_agent undrain
    check "HAProxy: undrain" becomes UP 100 100 app=0.2
}

# A guest that is killed does not come back, so that is last.
check_leave() {
    check "a guest drains itself under load: no request is lost" drain_loses_nothing
    check "a drained guest gets nothing" drained_guest_gets_nothing
    check "after undrain it gets requests again" undrained_guest_gets_requests
    check "a guest's power goes under load: what it had in hand is lost, and no more" power_off
    check "no client was refused" nobody_was_refused
    check "no client waited for a connection in vain" nobody_waited_in_vain
    check "long downloads from the other guests are whole" others_lose_nothing
    check "new connections go elsewhere" dead_guest_gets_nothing
}

require_tools() {
    require_build_tools
    require_program qemu-system-x86_64 qemu-system-x86
    require_program ip iproute2
    require_program curl curl
    require_haproxy
    install_missing
    unpack_haproxy
}

main "$@"
