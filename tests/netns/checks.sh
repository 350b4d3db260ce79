# Checks, and agents that are asked: nginx, ncat and the kernels of guests answer the switch itself.
#
# A probe comes from 169.254.2.1 or fe80::6c:62. A guest's kernel answers the former by its default
# route, which leads to the client: the switch takes the answer out of the guest's port before it gets
# there. Every way to ask has a service of its own, which is checked all the time, whatever else goes
# on. Where only one guest can pass from the beginning, that is g1.

checked_http=83
checked_text=84
checked_tcp=85
checked_icmp=86
checked_udp=87
pulled=88
agent_port=3335
# Nobody's, on the guests' network.
probe_source=10.0.2.250

# A kernel says "port unreachable" once a second by and by, so nobody asks for that more often.
write_checked_services() {
    local often="interval 300ms rise 2 fall 2"
    write_evenly_served checked-http "$checked_http"
    write_part checked-http check http get /healthz "$often"
    write_evenly_served checked-text "$checked_text"
    write_part checked-text check http get / expect g1 "$often"
    write_evenly_served checked-tcp "$checked_tcp"
    write_part checked-tcp check tcp port 7000 "$often"
    write_part checked-tcp real g2 check tcp port "$closed_port" "$often"
    write_evenly_served checked-icmp "$checked_icmp"
    write_part checked-icmp check icmp "$often"
    write_evenly_served checked-udp "$checked_udp"
    write_part checked-udp check udp port "$datagram_port" interval 2s timeout 300ms fall 1
    write_part checked-udp real g2 check udp port "$closed_port" interval 2s timeout 300ms fall 1
    write_evenly_served pulled "$pulled"
    write_part pulled agent pull "$agent_port" interval 500ms
}

# write_evenly_served NAME PORT: nginx of both guests, in turn by their weights and from the first moment.
write_evenly_served() {
    write_service "$1" "$vip" "$vip6" "tcp $2" "g1 g2" "port 80"
    write_part "$1" scheduler wrr
    write_part "$1" slow-start 0s
}

# What a guest is asked for: a page, and its agent's line.
start_answering() {
    echo fine >"$run/$1/healthz"
    says "$1" up ready 100%
    background_inside "$1" ncat --listen --keep-open --sh-exec "cat $run/$1/said" "$agent_port"
}

# says GUEST WORDS…: what its agent answers from now on.
says() { echo "${*:2}" >"$run/$1/said"; }

# page_decides SERVICE HOST: who has no page gets no request until it has one again.
page_decides() {
    local verdict=0
    both_serve "$@" || return 1
    mv "$run/g2/healthz" "$run/g2/elsewhere"
    only_serves g1 "$@" "status 404" || verdict=1
    mv "$run/g2/elsewhere" "$run/g2/healthz"
    both_serve "$@" && return "$verdict"
}

# echo_decides SERVICE HOST: the same, by a kernel that ignores echoes.
echo_decides() {
    local verdict=0
    both_serve "$@" || return 1
    ignore_echoes 1
    only_serves g1 "$@" "no answer" || verdict=1
    ignore_echoes 0
    both_serve "$@" && return "$verdict"
}

ignore_echoes() { sysctl_inside g2 "net.ipv4.icmp_echo_ignore_all=$1" "net.ipv6.icmp.echo_ignore_all=$1"; }

# agent_steers SERVICE HOST: half the requests of the other, none, and as many.
agent_steers() {
    comes_true shows load "$1" g1 '.*[-%] +100' && comes_true shows load "$1" g2 '.*[-%] +100' || return 1
    says g1 50%
    comes_true shows load "$1" g1 '.* 50 of 100' && answers "$2" 30 "10 g1" "20 g2" || return 1
    says g1 drain
    comes_true shows health "$1" g1 '.* drain .*' && answers "$2" 20 "20 g2" || return 1
    says g1 up ready 100%
    comes_true shows load "$1" g1 '.*[-%] +100' && both_serve "$@"
}

# Without any route a kernel has no answer for 169.254.2.1, but it has one for its own network.
source_is_needed_without_route() {
    local service=checked-http verdict=1 where
    where=$(space g1)
    ip -n "$where" route delete default
    only_serves g2 "$service" "$vip:$checked_http" "no answer" &&
        configure set guest g1 probe-source "$probe_source" &&
        both_serve "$service" "$vip:$checked_http" && verdict=0
    configure delete guest g1 probe-source "$probe_source" || verdict=1
    ip -n "$where" route add default via "$client_address"
    both_serve "$service" "$vip:$checked_http" && return "$verdict"
}

configure() {
    local verdict=0
    console configure
    { console "$@" && console commit; } || verdict=1
    console exit
    return "$verdict"
}

# both_serve SERVICE HOST
both_serve() {
    comes_true shows health "$1" g1 'up +ready .*' && comes_true shows health "$1" g2 'up +ready .*' &&
        answers "$2" 20 "10 g1" "10 g2"
}

# only_serves GUEST SERVICE HOST FAILURE: every request is this one's, since the other's check failed so.
only_serves() {
    local other=g1
    [[ $1 != g1 ]] || other=g2
    comes_true shows health "$2" "$1" 'up +ready .*' &&
        comes_true shows health "$2" "$other" "check: down +ready .* down [0-9a-z.]+, $4 .*" && answers "$3" 20 "20 $1"
}

# shows WHAT SERVICE REAL PATTERN: what is said of a real is like this.
shows() { console show "$1" | grep --extended-regexp "^$2 +$3 +$4 *$"; }

# comes_true shows WHAT …: within ten seconds.
comes_true() {
    within 10 "$@" || { console show "$2" && return 1; }
}

# answers HOST COUNT SHARE…: so many requests, answered exactly so.
answers() {
    ask client "$1" "$2"
    [[ $(awk '{ print $1, $2 }' "$run/shares") == "$(printf '%s\n' "${@:3}")" ]]
}

# Probes have passed and failed; and guests said nothing that the switch has no use for, but what came
# when an answer was known already, what came for a probe source after it was taken away, and what other
# tests provoke.
answers_are_understood() {
    console show counters tables | awk '$1 == "probes"' | tee "$run/probes"
    awk '$2 ~ /^(passed|failed)$/ && $3 > 0 { seen++ } END { exit seen != 2 }' "$run/probes" || return 1
    console show counters drops |
        awk '$1 == "p1" && $2 == "not_for_us" { next }
            $1 ~ /^p[0-9]/ && $2 !~ /^(isolated|no_probe|vip_suppressed|tx_full|rx_missed)$/ { strange = 1; print }
            END { exit strange }'
}
