# New connections go where there is room, as the guests' agents tell.
#
# Emulated guests compete for the same two cores, so nobody knows beforehand what a guest can give.
# What it deserves is therefore computed from what its own agent said while the requests were
# counted: its free CPU is 100 % less its load (CPU and steal, the mean of all samples), at least
# 1 %, and it deserves as much of all requests as it has of all guests' free CPU.

busy_guest=1

# gets_what_it_deserves GUEST: within a tenth of all requests.
gets_what_it_deserves() {
    local requests=1000 sampled=$run/loads
    : >"$sampled"
    begin_asking / "$requests" 2
    while alive "$asking"; do
        console show load >>"$sampled"
        sleep 0.3
    done
    await_answers
    all_are_answered "$requests" || return 1
    cat "$sampled"
    awk -v guest="$(guest_name "$1")" -v got="${share[$1]}" -v requests="$requests" '
        $1 == "web" { load[$2] += $9; samples[$2]++ }
        END {
            for (name in load) {
                room[name] = 100 - load[name] / samples[name]
                if (room[name] < 1) room[name] = 1
                all += room[name]
            }
            share = got / requests
            deserved = room[guest] / all
            printf "it got %.1f %%, deserved %.1f %%\n", share * 100, deserved * 100
            exit !(share - deserved <= 0.1 && deserved - share <= 0.1)
        }' "$sampled" >>"$run/remarks"
}

begins_to_burn() {
    tell_guest "$busy_guest" 'yes >/dev/null'
    within 20 always_reports "$busy_guest" 90 999
}

ends_to_burn() {
    tell_guest "$busy_guest" killall yes
    within 20 always_reports "$busy_guest" 0 60
}

# always_reports GUEST FROM TO: three times one after the other, for a report looks back.
always_reports() {
    local time
    for time in 1 2 3; do
        reports_load "$@" || return 1
        sleep 0.5
    done
}

# An agent that is gone is no guest that is gone: its share stays what it was, at once and when its
# last report counts for nothing any more. From then on its guest is taken for an average one, which
# would put right the share of one that was more loaded, or less; so it is the agent of the guest
# that had the most even share. `$dead_agent` is whose.
dead_agent_moves_little() {
    local requests=3000 before after
    ask / "$requests" 2
    all_are_answered "$requests" || return 1
    dead_agent=$(guest_with_most_even_share)
    before=${share[dead_agent]}
    # shellcheck disable=SC2016 # words of the guest's shell
    tell_guest "$dead_agent" 'kill -KILL $(pidof fulcrum-agent)'
    ask / $((requests / 2)) 2
    all_are_answered $((requests / 2)) || return 1
    after=${share[dead_agent]}
    within 10 reports_are expired "$dead_agent" || return 1
    ask / $((requests / 2)) 2
    all_are_answered $((requests / 2)) || return 1
    after=$((after + share[dead_agent]))
    remark "$before of $requests before, $after after"
    (((after - before) * 20 < requests && (before - after) * 20 < requests))
}

guest_with_most_even_share() {
    local guest off
    for ((guest = 1; guest <= guests; guest++)); do
        off=$((share[guest] * guests - answered))
        echo "${off#-} $guest"
    done | sort --numeric-sort | awk '{ print $2; exit }'
}

dead_agent_returns() {
    tell_guest "$dead_agent" fulcrum-agent
    within 10 reports_are fresh "$dead_agent"
}
