# A page that is played: what stands in it is done, in the order in which it stands there.
#
# A block marked `fulcrum` is a whole configuration: a new world starts with it, and lasts until the
# next one. A block marked `console` is a session in that world. A prompt says where a line is typed:
#
#   host1> show health       at the appliance's console; any name will do
#   web1# busybox httpd …    in the machine of that name
#   guests# ip route add …   in each guest
#
# What follows up to the next prompt is the answer. It is compared word by word. Figures, such as 12,
# 3m14s or seq=3, and the port that a client's kernel chose are as they come; but one that has a line to
# itself is the page's word.

# play_page FILE
play_page() {
    local page=$1 line kind block
    scratch_directory
    local seen=$directory/seen
    while IFS= read -r -u 4 line; do
        case $line in
            '## '*) title=${line#'## '} ;;
            '```fulcrum' | '```console')
                kind=${line#'```'}
                printf '%s\n' "$line"
                block=
                while IFS= read -r -u 4 line && [[ $line != '```' ]]; do
                    block+=$line$'\n'
                done
                "play_$kind" "$block"
                ;;
        esac
        printf '%s\n' "$line"
    done 4<"$page" 3>&1 >"$seen"
    if [[ ${FULCRUM_BLESS-} && $(<"$seen") != $(<"$page") ]]; then
        cp "$seen" "$page"
    fi
}

play_fulcrum() {
    printf '%s' "$1"
    leave_world >&3
    enter_world "$1" >&3
}

# play_console SESSION: prints it as it was seen.
play_console() {
    local line typed='' answer=''
    while IFS= read -r line; do
        if [[ $line =~ ^[a-z][a-z0-9]*[\>#]\  ]]; then
            play_line "$typed" "$answer"
            typed=$line answer=''
        else
            answer+=$line$'\n'
        fi
    done <<<"${1%$'\n'}"
    play_line "$typed" "$answer"
}

# play_line TYPED ANSWER: one test. Nothing is typed where a session begins.
play_line() {
    [[ $1 ]] || return 0
    local prompt=${1%% *} words=${1#* }
    printf '%s' "$2" >"$run/expected"
    : >"$run/answer"
    case $prompt in
        *'>') check "$title: $1" appliance_answers "$words" >&3 ;;
        'guests#') check "$title: $1" guests_answer "$words" >&3 ;;
        *) check "$title: $1" machine_answers "${prompt%#}" "$words" >&3 ;;
    esac
    printf '%s\n' "$1"
    if alike; then printf '%s' "$2"; else cat "$run/answer"; fi
}

# A look disturbs nothing, so it is repeated until what must come has come.
appliance_answers() {
    if [[ $1 == show* ]]; then
        within 15 looks_like_it "$1" || differ
    else
        looks_like_it "$1" || differ
    fi
}

looks_like_it() {
    # shellcheck disable=SC2086 # words of a command
    console $1 >"$run/answer" || true
    alike
}

guests_answer() {
    local name
    for name in "${guests[@]}"; do
        machine_answers "$name" "$1" || return 1
    done
}

# machine_answers NAME LINE
machine_answers() {
    type_into "$1" "$2" >"$run/answer"
    alike || differ
}

differ() {
    diff --label page "$run/expected" --label seen "$run/answer" --unified
    return 1
}

alike() { [[ $(likeness <"$run/expected") == "$(likeness <"$run/answer")" ]]; }

# Blanks and figures stand for all of their kind.
likeness() {
    awk '
        BEGIN { figure = "([0-9]+(\\.[0-9]+)?([mu]?s|[mhd]|%)?)+" }
        NF == 1 && $1 ~ "^" figure "$" { print; next }
        {
            said = ""
            for (at = 1; at <= NF; at++) {
                word = $at
                if (word ~ "^([a-z]+=)?" figure ",?$") sub(figure, "N", word)
                if (word ~ "^[kMG]?B$") word = "B"
                sub(/:[0-9][0-9][0-9][0-9][0-9]$/, ":N", word)
                said = said " " word
            }
            if (said != "") print said
        }'
}
