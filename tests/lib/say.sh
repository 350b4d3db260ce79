# What every script here says and how it ends: messages, waiting with a limit, and the processes
# that were started and must not outlive us.
#
# Stories go to stdout, everything about how things are made goes to stderr, so that the last line
# of `run-qemu.sh build` is the image's path and nothing else.

started=()  # process ids that we started and still owe an end
scratch=()  # directories that go when we go

note() { printf '%s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# A wrong call: nothing was started.
misuse() {
    printf 'error: %s\n' "$*" >&2
    printf 'Try: %s --help\n' "$0" >&2
    exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

# within SECONDS COMMAND…: repeats the command until it succeeds; fails when the time is up.
within() {
    local limit=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < limit)) || return 1
        sleep 0.2
    done
}

# background COMMAND…: starts it so that it dies with us, whatever becomes of us. Its process id is
# then in `$background`.
background() {
    setpriv --pdeathsig KILL -- "$@" &
    background=$!
    started+=("$background")
}

alive() { kill -0 "$1" 2>/dev/null; }

# end PID: the process ends now, and we have seen it end.
end() {
    kill -KILL "$1" 2>/dev/null || true
    await "$1" 2>/dev/null || true
}

# await PID: the process has ended by itself; fails if it did.
await() {
    local left=() pid verdict=0
    wait "$1" || verdict=$?
    for pid in "${started[@]}"; do
        [[ $pid == "$1" ]] || left+=("$pid")
    done
    started=("${left[@]}")
    return "$verdict"
}

scratch_directory() {
    directory=$(mktemp -d "${TMPDIR:-/tmp}/fulcrum.XXXXXX")
    scratch+=("$directory")
}

tidy() {
    local pid
    for pid in "${started[@]}"; do
        end "$pid"
    done
    ((${#scratch[@]} == 0)) || rm -rf -- "${scratch[@]}"
}

# Whoever sources this ends what it started, on every way out.
trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
