# The demonstration: what a person would try at the console and with curl, tried by a script that
# believes only what it sees. Shares are counted from the bodies of real HTTP answers. Every step has
# a limit in time; the first thing that does not happen ends the demo with an error.

requests=200          # of each count
burn_seconds=60       # bound of the CPU work; the guest is killed, or the demo over, before that
victim_burn=1         # the guest that gets CPU work
victim_kill=2         # the guest that is killed

demo() {
    start_everything
    step_service_comes_up
    step_even_share
    step_loaded_guest
    step_killed_guest
    step_tables
    step_poweroff
    echo
    echo "All of it happened."
}

start_everything() {
    title "1. A switch VM and $guests Linux guests start"
    local guest
    for ((guest = 1; guest <= guests; guest++)); do
        start_guest "$guest"
    done
    await_guest_sockets
    start_appliance_piped
    echo "   The appliance is up; its uplink forwards 127.0.0.1:$port to the virtual IP $vip:80."
}

step_service_comes_up() {
    title "2. The service comes up"
    within 90 every_guest_answers ||
        give_up "not every guest answered through the virtual IP"
    within 30 all_weights_are_whole || give_up "the slow start of a guest does not end"
    echo "   Every guest has answered an HTTP request to http://127.0.0.1:$port/ ."
}

step_even_share() {
    title "3. $requests requests, all guests idle"
    ask "$requests"
    print_shares
    ((answered == requests)) || give_up "$((requests - answered)) requests had no answer"
    local guest
    for ((guest = 1; guest <= guests; guest++)); do
        ((share[guest] * guests * 3 >= requests)) ||
            give_up "$(guest_name "$guest") got less than a third of its fair share"
    done
    share_before=${share[victim_burn]}
}

step_loaded_guest() {
    local name
    name=$(guest_name "$victim_burn")
    title "4. $name gets CPU work of its own, then $requests requests"
    tell_guest "$victim_burn" burn "$burn_seconds"
    within 20 reports_load "$victim_burn" 50 999 || give_up "$name never reported its load"
    indent console show load
    ask "$requests"
    print_shares
    ((answered == requests)) || give_up "$((requests - answered)) requests had no answer"
    ((share[victim_burn] * 2 <= share_before)) ||
        give_up "the share of $name did not fall by half: $share_before before, ${share[victim_burn]} now"
    echo "   $name: $share_before before, ${share[victim_burn]} now."
}

step_killed_guest() {
    local name
    name=$(guest_name "$victim_kill")
    title "5. $name is killed, then $requests requests"
    end "${guest_pid[victim_kill]}" 2>/dev/null
    within 10 guest_is_down "$victim_kill" || give_up "the switch did not notice that $name is dead"
    ask "$requests"
    print_shares
    ((answered == requests)) || give_up "$((requests - answered)) requests had no answer"
    ((share[victim_kill] == 0)) || give_up "a dead guest answered"
    echo "   The service goes on without it."
}

step_tables() {
    title "6. What the switch knows"
    local table
    for table in "show port" "show guest" "show service web" "show mac" "show flow | first 8"; do
        echo "   fulcrum> $table"
        # shellcheck disable=SC2086 # words of a command
        indent console $table | sed '${/^ *$/d}'
        echo
    done
}

step_poweroff() {
    title "7. poweroff"
    printf 'poweroff\r' >&"$console_in"
    within 10 appliance_has_ended || give_up "the appliance did not power off"
    echo "   The appliance is off."
}

# ask N: sends N requests; afterwards `answered` and `share[GUEST]` hold the counts.
ask() {
    local answers guest
    answers=$(curl --silent --max-time 120 --connect-timeout 5 --header 'Connection: close' \
        "http://127.0.0.1:$port/?[1-$1]") || true
    answered=0
    for ((guest = 1; guest <= guests; guest++)); do
        share[guest]=$(grep --count --line-regexp "$(guest_name "$guest")" <<<"$answers" || true)
        answered=$((answered + share[guest]))
    done
}

print_shares() {
    local guest bar
    for ((guest = 1; guest <= guests; guest++)); do
        printf -v bar '%*s' $((share[guest] * 50 / requests)) ''
        printf '   %-8s %4d  %s\n' "$(guest_name "$guest")" "${share[guest]}" "${bar// /#}"
    done
}

every_guest_answers() {
    local guest
    ask $((guests * 4))
    for ((guest = 1; guest <= guests; guest++)); do
        ((share[guest])) || return 1
    done
}

appliance_has_ended() { ! alive "$appliance_pid"; }

title() { printf '\n%s\n' "$*"; }

indent() { "$@" | sed 's/^/   /'; }

give_up() {
    note
    note "error: $*"
    note "The end of the appliance's console:"
    tail -n 30 "$run/console.log" | sed 's/^/   /' >&2
    local kept=$root/build/demo-failed
    rm -rf "$kept"
    mkdir -p "$kept"
    cp "$run"/*.log "$run/configuration" "$kept/"
    fail "the demo ends here; all consoles are kept in $kept"
}
