# What an attack is, and what its victims have to show during it and afterwards.

# An attack's length; a tool that has done all it can before is started again.
attack_seconds=2

# attack PORT REASON WHAT TOOL…: one test.
attack() {
    local from=$1 reason=$2 what=$3
    shift 3
    grep --quiet --fixed-strings "| ${what#*: } |" "$root/docs/attacks.md" ||
        fail "docs/attacks.md does not tell of it: $what"
    check "$what" survive "$from" "$reason" "$@"
}

survive() {
    local from=$1 reason=$2 verdict=0
    shift 2
    drops_of "$from" >"$run/before"
    background_inside "$(attacker "$from")" timeout --kill-after 1 "$attack_seconds" \
        bash -c 'cd "$0" && exec <>nobody-types; while sleep 0.1; do "$@"; done' "$run" "$@"
    local tool=$background
    victims_are_well || verdict=1
    await "$tool" || true
    drops_of "$from" | growth_since "$run/before" >"$run/growth"
    remark "$(paste --serial --delimiters , "$run/growth")"
    grep --quiet "^$reason " "$run/growth" || verdict=1
    nothing_was_believed || verdict=1
    return "$verdict"
}

attacker() { if [[ $1 == p4 ]]; then echo u; else echo m; fi; }

# drops_of PORT: reasons and frames so far.
drops_of() { console show counters drops | awk -v port="$1" '$1 == port { print $2, $3 }'; }

# growth_since FILE: what is more than it was.
growth_since() {
    awk 'FILENAME != "-" { before[$1] = $2; next } $2 > before[$1] { print $1, $2 - before[$1] }' "$1" -
}

# Before: the attacker's kernel knows whom its tools aim at.
everybody_is_reached() {
    local to
    for to in "${address[v]}" "${address6[v]}" "$vip" "$vip6" "$client_address" "$client_address6"; do
        ping_all m "$to" 84 || return 1
    done
    victims_are_well
}

# Everybody reaches everybody, and every request to the VIP is answered.
victims_are_well() {
    local verdict=0
    pings client "${address[v]}" & local one=$!
    pings v "${address6[w]}" & local two=$!
    hears_no_server & local three=$!
    wait "$one" || verdict=1
    wait "$two" || verdict=1
    wait "$three" || verdict=1
    all_answer "$vip" || verdict=1
    all_answer "$vip6" || verdict=1
    return "$verdict"
}

# v asks for a DHCPv6 server again and again, and nobody says to be one.
hears_no_server() {
    local try
    for try in 1 2 3; do
        inside v timeout 0.6 atk6-dump_dhcp6 p2
    done | tee "$run/servers" || true
    ! grep --quiet Advertise "$run/servers"
}

# pings SPACE ADDRESS: fifty in a second, and none is lost.
pings() {
    inside "$1" ping -c 50 -i 0.02 -W 2 -q "$2" | tee /dev/stderr | grep --quiet ' 0% packet loss'
}

# all_answer VIP: twenty requests, by the victims.
all_answer() {
    ask client "$(host_of "$1")" 20
    (($(awk '$2 == "v" || $2 == "w" { sum += $1 } END { print sum + 0 }' "$run/shares") == 20))
}

# Who is where by the kernels' own tables, and which way out they know.
nothing_was_believed() {
    local verdict=0
    believes v "$client_address" "${mac[client]}" || verdict=1
    believes v "${address6[w]}" "${mac[w]}" || verdict=1
    believes client "${address[v]}" "${mac[v]}" || verdict=1
    believes client "$vip" "02:6c:.*" || verdict=1
    believes client "$vip6" "02:6d:.*" || verdict=1
    local name
    for name in "${victims[@]}"; do
        has_its_own_way "$name" || verdict=1
    done
    return "$verdict"
}

# believes SPACE ADDRESS MAC
believes() {
    ip -n "$(space "$1")" neighbor show "$2" | grep --quiet "lladdr $3" || {
        echo "$1 takes $2 to be elsewhere: $(ip -n "$(space "$1")" neighbor show "$2")"
        return 1
    }
}

# has_its_own_way SPACE: one default route, to the client, and no prefix but its own.
has_its_own_way() {
    local where ways prefixes
    where=$(space "$1")
    ways=$(ip -n "$where" -6 route show default)
    prefixes=$(ip -n "$where" -6 address show dev "${port[$1]}" | awk '/inet6/ { print $2 }' | sort | tr '\n' ' ')
    [[ $(wc --lines <<<"$ways") == 1 && $ways == *"via $client_address6"* && $prefixes == "${address6[$1]}/64 fe80"* ]] || {
        echo "$1 goes out by: $ways"
        echo "$1 is: $prefixes"
        return 1
    }
}
