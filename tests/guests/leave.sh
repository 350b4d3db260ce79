# How a guest leaves: it is drained and nobody notices, or its power goes and few do.

drained_guest=2
killed_guest=3

# Slow requests all the while; the guest takes itself out with some of them in hand.
drain_loses_nothing() {
    local requests=60 verdict=0
    begin_asking /cgi-bin/slow "$requests" 6
    within 20 has_open_flows "$drained_guest" || return 1
    guest_did "$drained_guest" 70 fulcrum-agent drain --wait 60 >"$run/drain" || verdict=1
    cat "$run/drain"
    ((verdict == 0)) && alive "$asking" || return 1
    remark "$(grep --text '^flows open' "$run/drain" | head -n 1)"
    remark "$(grep --text '^drained' "$run/drain")"
    await_answers
    all_are_answered "$requests" && grep --quiet 'flows open: [1-9]' "$run/remarks" &&
        grep --quiet '^drained$' "$run/remarks"
}

drained_guest_gets_nothing() {
    ask / 100 4
    all_are_answered 100 && ((share[drained_guest] == 0))
}

undrained_guest_gets_requests() {
    guest_did "$drained_guest" 10 fulcrum-agent undrain && within 10 gets_something "$drained_guest"
}

gets_something() {
    ask / 100 4
    all_are_answered 100 && ((share[$1] > 0))
}

# Downloads that last and many short requests, from all guests; then one guest's power goes. What it
# had in hand is lost with it, no more than was asked at once.
power_off() {
    local requests=1000 at_once=4 lost
    begin_downloads || return 1
    begin_asking / "$requests" "$at_once"
    within 20 answers_at_least 100 && downloads_go_on || return 1
    end "${guest_pid[killed_guest]}" 2>/dev/null
    within 3 guest_is_down "$killed_guest" || return 1
    await_answers
    grep '^exit' "$run/answers" | grep --invert-match '^exit 0 '
    lost=$((requests - answered))
    remark "$lost lost"
    ((lost <= at_once))
}

# A connection that it had not accepted yet went to another guest. curl says 7 for one that was
# refused, 28 when its time was up; 0 s until the connection is a connection that never was.
nobody_was_refused() { ! grep '^exit 7 ' "$run/answers"; }
nobody_waited_in_vain() { ! grep '^exit 28 0\.0*$' "$run/answers"; }

# One after the other, until every guest has one in hand.
begin_downloads() {
    local at
    downloads=()
    for ((at = 0; at < downloads_max; at++)); do
        background_inside client curl --silent --show-error --limit-rate 100k --max-time 120 \
            --dump-header "$run/$at.header" --output "$run/$at.data" "http://$vip/cgi-bin/data"
        downloads[at]=$background
        within 20 test -s "$run/$at.data" || return 1
        ! every_guest_has_a_download || return 0
    done
    return 1
}

downloads_max=12

every_guest_has_a_download() {
    local at
    for at in "${!downloads[@]}"; do
        server_of "$at"
    done | sort --unique | awk -v guests="$guests" 'END { exit NR != guests }'
}

downloads_go_on() {
    local at
    for at in "${!downloads[@]}"; do
        (($(stat --format %s "$run/$at.data") < $(stat --format %s "$busybox"))) || return 1
    done
}

# server_of DOWNLOAD: the name of the guest that it comes from.
server_of() { tr --delete '\r' <"$run/$1.header" | awk '$1 == "Guest:" { print $2 }'; }

# They were under way when it happened, from every guest, and go on to the end.
others_lose_nothing() {
    local at lost=0 killed
    killed=$(guest_name "$killed_guest")
    for at in "${!downloads[@]}"; do
        if [[ $(server_of "$at") == "$killed" ]]; then
            end "${downloads[at]}" 2>/dev/null
            lost=$((lost + 1))
        else
            await "${downloads[at]}" && cmp "$run/$at.data" "$busybox" || return 1
        fi
    done
    remark "$((${#downloads[@]} - lost)) whole, $lost gone with the guest"
}

# Not even as a first choice.
dead_guest_gets_nothing() {
    local before after
    before=$(flows_given "$killed_guest")
    ask / 100 4
    after=$(flows_given "$killed_guest")
    echo "flows given to the dead guest: $before, then $after"
    all_are_answered 100 && ((share[killed_guest] == 0 && before > 0 && after == before))
}

flows_given() { fact_of "$1" "new flows"; }

# fact_of GUEST FACT: a line of `show real`.
fact_of() { console show real web "$(guest_name "$1")" | awk -v fact="$2" 'index($0, fact) { print $NF }'; }

has_open_flows() { (($(fact_of "$1" "open flows") > 0)); }

answers_at_least() { (($(grep --count '^exit' "$run/answers") >= $1)); }
