# How things end: nobody listens, nobody serves, a guest is drained, a guest is gone.

# hears_refusal ADDRESS PORT: a datagram there, and its sender's kernel is told that nobody wants it.
hears_refusal() {
    local said
    said=$(inside client timeout 10 ncat --udp "$1" "$2" < <(echo hello && sleep 0.5 && echo hello) 2>&1 || true)
    echo "$said"
    [[ $said == *"Connection refused"* ]]
}

# is_refused ADDRESS PORT: at once, which is not what a call without any answer ends with.
is_refused() {
    local verdict=0
    inside client curl --silent --show-error --max-time 2 "http://$(host_of "$1"):$2/" || verdict=$?
    ((verdict == 7))
}

# is_silent_on DEVICE ADDRESS: no answer, not even a refusal.
is_silent_on() {
    local verdict=0
    inside client curl --silent --show-error --max-time 1 --interface "$1" "http://$2/" || verdict=$?
    ((verdict == 28))
}

# Lines with pauses between them, echoed each; meanwhile the guest that has the connection is drained.
long_flow() {
    local line answer verdict=0
    coproc FLOW { inside client ncat "$1" 7; }
    local flow=$FLOW_PID
    for line in one two three four five six; do
        [[ $line != three ]] || { console drain guest g1 && console drain guest g2; }
        echo "$line" >&"${FLOW[1]}"
        read -r -t 10 answer <&"${FLOW[0]}" && [[ $answer == "$line" ]] || verdict=1
        echo "$line: ${answer-}"
        sleep 0.4
    done
    kill "$flow" 2>/dev/null || true
    wait "$flow" 2>/dev/null || true
    console enable guest g1
    console enable guest g2
    return "$verdict"
}

dead_guest() {
    local to
    ip -n "$(space g2)" link set p2 down
    within 10 guests_are_up 4
    for to in "$vip" "$vip6" "$direct_vip" "$direct_vip6"; do
        ask client "$(host_of "$to")" 20
        [[ $(awk '{ print $1, $2 }' "$run/shares") == "20 g1" ]] || return 1
    done
}
