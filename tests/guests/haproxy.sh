# HAProxy as Debian has it asks the agent, which reports to no switch here. Both run beside the
# client; the agent is its own server, for HAProxy wants one that can be connected to.

agent_port=3334

# Only unpacked, since installing would start it; what it is linked with is installed.
require_haproxy() {
    local libraries=/usr/lib/x86_64-linux-gnu
    require_program ncat ncat
    require liblua5.3-0 test -e "$libraries/liblua5.3.so.0"
    require libopentracing-c-wrapper0 test -e "$libraries/libopentracing-c-wrapper.so.0"
    require libpcre2-8-0 test -e "$libraries/libpcre2-8.so.0"
    require libssl3 test -e "$libraries/libssl.so.3"
}

unpack_haproxy() {
    haproxy=$root/build/haproxy/usr/sbin/haproxy
    has haproxy && haproxy=$(command -v haproxy)
    [[ -x $haproxy ]] || unpack_package haproxy "$root/build/haproxy"
}

start_haproxy() {
    haproxy_configuration >"$run/haproxy.conf"
    background_inside client "$haproxy" -db -f "$run/haproxy.conf"
    background_inside client "$agent" --no-push --listen "127.0.0.1:$agent_port" \
        --control "$run/agent.control" --app-file "$run/app"
    within 10 test -S "$run/haproxy.socket" && within 10 test -S "$run/agent.control" ||
        fail "HAProxy and the agent do not run beside one another"
}

# One thread, as few processes as can be.
haproxy_configuration() {
    cat <<HAPROXY
global
    nbthread 1
    stats socket $run/haproxy.socket mode 600 level user
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
backend web
    balance roundrobin
    server web1 127.0.0.1:$agent_port weight 100 check inter 200ms \
        agent-check agent-port $agent_port agent-inter 200ms
HAPROXY
}

# tell_agent COMMAND…: without a switch the waiting for its word ends in vain.
tell_agent() { inside client "$agent" "$@" --control "$run/agent.control" >>"$run/background.log" 2>&1 || true; }

# becomes STATUS FROM TO LINE: while the application says the line, HAProxy comes to hold the server
# for that and to give it a weight between those.
becomes() { within 10 is_after "$@"; }

is_after() {
    local status weight
    echo "$4" >"$run/app"
    # Columns of HAProxy's own: the backend, the server, its status and its weight among them.
    IFS=, read -r status weight < <(ncat --unixsock "$run/haproxy.socket" <<<"show stat" |
        awk -F, '$1 == "web" && $2 == "web1" { print $18 "," $19 }')
    echo "$status, weight $weight"
    [[ $status == "$1" ]] && ((weight >= $2 && weight <= $3))
}
