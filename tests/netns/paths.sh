# The way to a client has a link that is smaller than the guests' own: who sends too much must hear
# of it, though it said it in the VIP's name.

# small_path ADDRESS FAR: transfers of 1 MB arrive; both guests know of the link afterwards, and they
# alone: who knows of it at the far end asks for small segments.
small_path() {
    local name
    for name in far "${guests[@]}"; do
        ip -n "$(space "$name")" -4 route flush cache
        ip -n "$(space "$name")" -6 route flush cache
    done
    for name in one two three four; do
        download_is_whole far "$1" 1000000 || return 1
    done
    for name in "${guests[@]}"; do
        ip -n "$(space "$name")" route get "$2" | tee /dev/stderr | grep " mtu $far_mtu" || return 1
    done
}

# path_is_traced ADDRESS: tracepath finds the small link, and the end of the path.
path_is_traced() {
    inside far timeout 30 tracepath -n -m 8 -p "$closed_port" "$1" | tee "$run/path"
    grep --quiet "pmtu $far_mtu$" "$run/path" && grep --quiet "$1 .*reached" "$run/path"
}
