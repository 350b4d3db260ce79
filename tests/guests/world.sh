# The world of the guests: one namespace, in which the appliance's uplink is a tap of the client's;
# QEMU runs there too. The guests are machines of their own.

guests=3
client_address=10.0.2.2
vip=10.0.2.100
uplink=tap:up0

make_world() {
    scratch_directory
    run=$directory
    accelerator=${FULCRUM_ACCEL:-tcg}
    guest_pid=()
    share=()
    prepare_guests
    local guest
    for ((guest = 1; guest <= guests; guest++)); do
        start_guest "$guest"
    done
    await_guest_sockets
    start_appliance_on_tap
    within 60 every_guest_reports || fail "not every guest reports its load"
    within 10 every_guest_answers || fail "not every guest answers through the VIP"
    within 30 all_weights_are_whole || fail "the slow start of a guest does not end"
}

start_appliance_on_tap() {
    local where
    add_space client
    where=$(space client)
    ip -n "$where" tuntap add up0 mode tap
    ip -n "$where" address add "$client_address/24" dev up0
    ip -n "$where" link set up0 up
    appliance_command
    appliance_network
    appliance=(ip netns exec "$where" "${appliance[@]}")
    start_appliance_piped
}

every_guest_reports() {
    local guest
    for ((guest = 1; guest <= guests; guest++)); do
        reports_are fresh "$guest" || return 1
    done
}

every_guest_answers() {
    local guest
    ask / 12 4
    for ((guest = 1; guest <= guests; guest++)); do
        ((share[guest])) || return 1
    done
}

# ask PATH COUNT AT_ONCE: so many requests, each a connection of its own. `$run/answers` then has a
# line with its name from every guest that answered, and one from curl for every request: how it
# ended (`exit`), and the seconds until it was connected. `answered` and `share[GUEST]` count them.
ask() {
    begin_asking "$@"
    await_answers
}

# begin_asking PATH COUNT AT_ONCE: the same, but it goes on until `await_answers`; `$asking`.
begin_asking() {
    background ip netns exec "$(space client)" curl --no-progress-meter \
        --parallel --parallel-immediate --parallel-max "$3" --header 'Connection: close' \
        --connect-timeout 5 --max-time 10 --write-out 'exit %{exitcode} %{time_connect}\n' \
        "http://$vip$1?[1-$2]" >"$run/answers" 2>>"$run/background.log"
    asking=$background
}

await_answers() {
    local guest
    await "$asking" || true
    answered=0
    for ((guest = 1; guest <= guests; guest++)); do
        share[guest]=$(grep --count --line-regexp "$(guest_name "$guest")" "$run/answers" || true)
        answered=$((answered + share[guest]))
    done
}

# all_are_answered COUNT: of the last requests.
all_are_answered() {
    echo "$answered of $1 answered: ${share[*]}"
    ((answered == $1)) && ! grep '^exit' "$run/answers" | grep --invert-match '^exit 0 '
}

# reports_are PHASE GUEST: fresh, ageing, stale or expired.
reports_are() {
    console show load | awk -v phase="$1" -v real="$(guest_name "$2")" \
        '$2 == real && $3 == phase { yes = 1 } END { exit !yes }'
}
