# One line a test: what was tried, and whether it held. `$run` is the directory of the running script.

passed=0
failed=0

# check WHAT COMMAND…: one test; what it printed is shown when it fails, what it remarked when not.
check() {
    local what=$1
    shift
    : >"$run/remarks"
    if "$@" >"$run/output" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s%s\n' "$what" "$(sed 's/^/  /' "$run/remarks" | tr --delete '\n')"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$what"
        sed 's/^/        /' "$run/output" "$run/remarks"
        console show counters drops | sed 's/^/        /' || true
    fi
}

# remark TEXT: something that was seen; nothing depends on it.
remark() { printf '%s\n' "$*" >>"$run/remarks"; }

# The last line of a script; it has failed if a test has.
print_verdict() {
    echo "$passed passed, $failed failed"
    ((failed == 0 && passed > 0))
}
