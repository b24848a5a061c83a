#!/usr/bin/env bash
# Runs the test files on another machine over ssh: see `scripts/remote_test.sh --help` and docs/REMOTE_TESTING.md.
set -uo pipefail

usage() {
    cat <<'USAGE'
Runs SQLLogicTest files on another machine over ssh.

    scripts/remote_test.sh --host HOST [STEPS] [OPTIONS] [FILTERS] [-- FLAGS]

Steps, done in this order; without any: --sync, --run, --fetch-results
  --sync             copy this checkout to the host, but for what .gitignore names
  --setup            look for what the host needs, and build there
  --run              run the files; --workers, --time and --detach ask for it too
  --fetch-results    copy the results to target/remote/HOST
  --status           say whether a run is under way, and how the last one ended
  --clean            remove the copy from the host

Options
  --host HOST        [USER@]HOST[:PORT] or a name from ~/.ssh/config (default: SLT_REMOTE_HOST)
  --workers N        worker processes there (default: one for each processor)
  --time SECS        begin no further file after so long
  --corpus DIR       folder with test files; --sync copies it, too
  --binary FILE      a built `slt`; --sync copies it, and the host needs no Rust
  --repo-path PATH   where the copy is on the host (default: `slt-remote` in the home folder)
  --detach           let the run go on when ssh ends; otherwise an interrupted ssh stops it
  --help             this text

FILTERS choose files by name, and what stands behind `--` goes to `slt run` as it is.
Examples:
  scripts/remote_test.sh --host big-machine --workers 64 --time 600
  scripts/remote_test.sh --host me@10.0.0.7:2222 --status

Exit codes: as those of a run (101, 4, 3, 2, 0); 4 also if the host could not be reached, or was lost.
USAGE
}

complain() {
    echo "error: $1" >&2
    exit "${2:-2}"
}

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
host=${SLT_REMOTE_HOST:-} steps=() pass_on=()
workers='' time='' corpus='' binary='' repo=slt-remote detach=''

# The value of a flag, which must be there.
value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then complain "\`$1\` needs a value"; fi
    printf '%s' "$2"
}

# A value that is a whole number above 0.
number() {
    local text
    text=$(value "$@") || exit
    [[ $text =~ ^[1-9][0-9]*$ ]] || complain "\`$1\` is \`$text\`, which is no number above 0"
    printf '%s' "$text"
}

while [ $# -gt 0 ]; do
    case $1 in
        --setup | --sync | --run | --fetch-results | --status | --clean) steps+=("${1#--}") ;;
        --detach) detach=yes steps+=(run) ;;
        --help | -h) usage; exit 0 ;;
        --host) host=$(value "$@") || exit; shift ;;
        --workers) workers=$(number "$@") || exit; steps+=(run); shift ;;
        --time) time=$(number "$@") || exit; steps+=(run); shift ;;
        --corpus) corpus=$(value "$@") || exit; shift ;;
        --binary) binary=$(value "$@") || exit; shift ;;
        --repo-path) repo=$(value "$@") || exit; shift ;;
        --) shift; pass_on+=("$@"); break ;;
        -*) complain "unknown flag \`$1\`: --help lists all" ;;
        *) pass_on+=("$1") ;;
    esac
    shift
done

[ -n "$host" ] || complain "no host: name one with \`--host\`, or in the variable \`SLT_REMOTE_HOST\`"
case $host in -* | *[[:space:]]*) complain "\`$host\` is no host" ;; esac
[ ${#steps[@]} -gt 0 ] || steps=(sync run fetch-results)
wants() { [[ " ${steps[*]} " == *" $1 "* ]]; }
[ -z "$corpus" ] || [ -d "$corpus" ] || complain "no such folder: \`$corpus\`"
[ -z "$binary" ] || [ -x "$binary" ] || complain "no such program: \`$binary\`"
address=$host ssh=(ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=5 -o ServerAliveCountMax=3)
if [[ $host =~ ^(.*[^:]):([0-9]+)$ ]]; then
    address=${BASH_REMATCH[1]} ssh+=(-p "${BASH_REMATCH[2]}")
fi

# Words, quoted for the host's shell.
quoted() { printf '%q ' "$@"; }

# Runs a script of `scripts/remote` on the host, with these arguments: nothing of it depends on what is there yet.
remotely() {
    local script=$1
    shift
    "${ssh[@]}" "$address" "$(quoted bash -c "$(cat "$here/scripts/remote/$script.sh")" "$script" "$repo" "$@")"
}

copy() { rsync -a --compress -e "$(quoted "${ssh[@]}")" "$@"; }

sync_host() {
    remotely prepare || return
    copy --delete-after --filter=':- .gitignore' --exclude=.git --filter='P /.slt-remote' --filter='P /target/' "$here/" \
        "$address:$repo/" || return 4
    if [ -n "$corpus" ]; then copy --delete "$corpus/" "$address:$repo/target/remote/corpus/" || return 4; fi
    if [ -n "$binary" ]; then copy "$binary" "$address:$repo/target/remote/slt" || return 4; fi
}

run_host() {
    local flags=(--results target/remote/results)
    [ -z "$workers" ] || flags+=(--workers "$workers")
    [ -z "$time" ] || flags+=(--time "$time")
    # The run is stopped when its standard input ends, however this script comes to its end.
    remotely run "${detach:-no}" "${corpus:+yes}" "${flags[@]}" "${pass_on[@]}" \
        < <([ -n "$detach" ] || exec cat <"$lifeline")
}

fetch_host() {
    mkdir -p "$here/target/remote/$host" && copy "$address:$repo/target/remote/results/" "$here/target/remote/$host/" &&
        echo "results of $host: target/remote/$host"
}

# All steps; the exit code is that of the run, or of what went wrong before.
visit() {
    local code=0
    if wants sync; then sync_host || return; fi
    if wants setup; then remotely setup || return; fi
    if wants run; then
        run_host
        code=$?
    fi
    if wants fetch-results && [ -z "$detach" ] && [ $code != 255 ]; then fetch_host || return 4; fi
    if wants status; then remotely status || return; fi
    if wants clean; then remotely clean || return; fi
    return $code
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
lifeline=$folder/lifeline
mkfifo "$lifeline"
# While this script lives, the pipe has somebody who may write; its end tells the hosts to stop.
exec {pulse}<>"$lifeline"

# A background job of a script is deaf to Ctrl-C: the first lets go of the lifeline and waits, the second ends it.
interrupted=''
# shellcheck disable=SC2317 # called by the trap
interrupt() {
    if [ -n "$interrupted" ]; then
        kill "$job" 2>/dev/null
    else
        interrupted=yes
        echo "interrupted: telling the host to stop; once more to leave it" >&2
        exec {pulse}>&-
    fi
}
trap interrupt INT TERM

(
    # Only the script itself may hold the lifeline.
    exec {pulse}>&-
    visit
    echo $? >"$folder/code"
) &
job=$!
# `wait` returns early at a signal.
while kill -0 "$job" 2>/dev/null; do wait "$job"; done

code=$(cat "$folder/code" 2>/dev/null || echo 255)
case $code in
    0 | 2 | 3 | 4 | 101) exit "$code" ;;
    *)
        echo "error: host \`$host\` was lost or could not be reached (exit $code)" >&2
        exit 4
        ;;
esac
