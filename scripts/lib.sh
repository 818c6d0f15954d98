# shellcheck shell=bash
# What the scripts and tests share; to be sourced. Everything started or made through it ends
# with the script, however that ends.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# A folder that goes with the script.
WORK=$(mktemp -d)
SERVERS=()

# A script with more to end defines this anew. If it fails, the folder stays.
end_more() { :; }

clean_up() {
    local status=$?
    trap - EXIT
    stop_devservers || true
    # Never through a mount that is left, into what is mounted there.
    if end_more; then rm -rf --one-file-system "$WORK"; fi
    exit "$status"
}
trap clean_up EXIT
# Without these bash would die of the signal without running the EXIT trap.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# A token in the caller's environment would lock the tests out.
unset PHANTOMDB_DEVSERVER_TOKEN

# start_devserver [ARGUMENT...]: sets URL. The server ends with this script even if that is
# killed, since its standard input then ends.
start_devserver() {
    local pipes input output
    [[ -x ${DEVSERVER:?} ]] || die "$DEVSERVER is missing: run \`make devserver\`"
    pipes=$(mktemp -d "$WORK/pipes.XXXXXX")
    mkfifo "$pipes/in" "$pipes/out"
    "$DEVSERVER" --port 0 --stop-on-stdin-eof "$@" <"$pipes/in" >"$pipes/out" &
    SERVERS+=($!)
    # shellcheck disable=SC2034 # `input` stays open for as long as this script runs
    exec {input}>"$pipes/in"
    exec {output}<"$pipes/out"
    URL=
    IFS= read -r -t 60 URL <&"$output" || die "the development server did not start"
    [[ $URL == http* ]] || die "the development server printed no URL but: $URL"
    exec {output}<&-
}

stop_devservers() {
    local pid failed=0
    for pid in "${SERVERS[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || failed=1
    done
    SERVERS=()
    return "$failed"
}

# post URL PATH JSON: without a client to install. Dies unless the response is a 2xx.
post() {
    local address=${1#http://} status
    exec {connection}<>"/dev/tcp/${address%:*}/${address##*:}"
    printf 'POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$2" "$address" "${#3}" "$3" >&"$connection"
    IFS= read -r -t 30 status <&"$connection" || status='no response'
    cat <&"$connection" >/dev/null
    exec {connection}>&-
    [[ $status == "HTTP/1.1 2"* ]] || die "POST $2: $status"
}

PASSED=0
FAILED=0

pass() {
    PASSED=$((PASSED + 1))
    printf 'ok      %s\n' "$1"
}

# fail NAME [EXPLANATION]
fail() {
    FAILED=$((FAILED + 1))
    printf 'FAILED  %s\n' "$1"
    if [[ -n ${2-} ]]; then printf '%s\n' "$2" | sed 's/^/        /'; fi
}

# check NAME COMMAND...: passes if the command succeeds; its output is shown if not. Each runs
# in a subshell with errors on, which `if` alone would switch off.
check() {
    local name=$1 output status=0
    shift
    set +e
    output=$(set -e; "$@" 2>&1)
    status=$?
    set -e
    if ((status == 0)); then pass "$name"; else fail "$name" "$output (exit $status)"; fi
}

# same EXPECTED ACTUAL: for use with check.
same() {
    [[ $1 == "$2" ]] || {
        diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | sed 's/^</expected:/; s/^>/     got:/'
        return 1
    }
}

# finish NAME: the closing line, and the exit.
finish() {
    printf '%s: %d passed, %d failed\n' "$1" "$PASSED" "$FAILED"
    ((FAILED == 0 && PASSED > 0))
    exit
}
