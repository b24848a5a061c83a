#!/usr/bin/env bash
# Runs the test files on other machines over ssh: see `scripts/remote_test.sh --help` and docs/REMOTE_TESTING.md.
set -uo pipefail

usage() {
    cat <<'USAGE'
Runs SQLLogicTest files over ssh, on one or on several other machines.

    scripts/remote_test.sh --host HOST [--host HOST…] [STEPS] [OPTIONS] [FILTERS] [-- FLAGS]

Steps, run in this order; default: --sync, --run, --fetch-results
  --sync             copy this checkout to the hosts: files that git tracks, and new files that it does not ignore
  --setup            check the requirements of the hosts, and build there
  --run              run the files; implied by --workers, --time and --detach
  --fetch-results    copy the results to target/remote/HOST
  --status           say whether a run is in progress, and how the last one ended
  --clean            remove the copy from the hosts

Options
  --host HOST        [USER@]HOST[:PORT] or a name from ~/.ssh/config; repeatable (default: SLT_REMOTE_HOST)
  --queue URL        where several hosts keep their run: postgres://USER@SERVER/DATABASE, which each of them can reach;
                     put a URL with a password into the variable SLT_REMOTE_QUEUE
  --workers N        worker processes on each host (default: one per processor)
  --time SECS        start no more files after this time
  --corpus DIR       folder with test files; --sync copies it, too
  --binary FILE      a built `slt`; --sync copies it, and the hosts need no Rust
  --repo-path PATH   where the copy is on the hosts (default: `slt-remote` in the home folder)
  --detach           let the run continue when ssh ends; otherwise an interrupted ssh stops it
  --help             this text

FILTERS choose files by name; everything after `--` goes to `slt run` unchanged.
SLT_ENGINE is passed on; like the queue, it never appears on a command line.
Examples:
  scripts/remote_test.sh --host big-machine --workers 64 --time 600
  scripts/remote_test.sh --host me@10.0.0.7:2222 --status
  scripts/remote_test.sh --host a --host b --host c --queue postgres://me@db/test

Exit codes: those of a run (101, 4, 3, 2, 0); 4 also if a host could not be reached before the run, or if all were lost.
A host that is lost during a run of several is named, and the others finish it.
USAGE
}

complain() {
    echo "error: $1" >&2
    exit "${2:-2}"
}

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
hosts=() steps=() pass_on=()
queue=${SLT_REMOTE_QUEUE:-} workers='' time='' corpus='' binary='' repo=slt-remote detach=''

# The value of a flag, which is required.
value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then complain "\`$1\` needs a value"; fi
    printf '%s' "$2"
}

# A value that is a whole number above 0.
number() {
    local text
    text=$(value "$@") || exit
    [[ $text =~ ^[1-9][0-9]*$ ]] || complain "\`$1\` is \`$text\`, which is not a number above 0"
    printf '%s' "$text"
}

while [ $# -gt 0 ]; do
    case $1 in
        --setup | --sync | --run | --fetch-results | --status | --clean) steps+=("${1#--}") ;;
        --detach) detach=yes steps+=(run) ;;
        --help | -h) usage; exit 0 ;;
        --host) host=$(value "$@") || exit; hosts+=("$host"); shift ;;
        --queue)
            queue=$(value "$@") || exit
            if [[ $queue =~ ://[^/@]*:[^/]*@ || $queue == *password=* ]]; then
                complain "a password on the command line can be read by every user of this machine: put the URL of the \
queue in the variable \`SLT_REMOTE_QUEUE\` instead"
            fi
            shift
            ;;
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

# The local shell expands an unquoted `~/x` to this machine's home. A quoted one means the host's home, where ssh starts anyway.
repo=${repo#'~/'}
case $repo in -*) complain "\`$repo\` is not a folder: \`--repo-path\` must not begin with \`-\`" ;; esac
if [ ${#hosts[@]} -eq 0 ]; then read -ra hosts <<<"${SLT_REMOTE_HOST:-}"; fi
[ ${#hosts[@]} -gt 0 ] || complain "no host: name one with \`--host\`, or in the variable \`SLT_REMOTE_HOST\`"
for ((n = 0; n < ${#hosts[@]}; n++)); do
    case ${hosts[n]} in -* | . | .. | */* | *[[:space:]]*) complain "\`${hosts[n]}\` is no host" ;; esac
    for ((other = 0; other < n; other++)); do
        [ "${hosts[other]}" != "${hosts[n]}" ] || complain "host \`${hosts[n]}\` is named twice"
    done
done
[ ${#steps[@]} -gt 0 ] || steps=(sync run fetch-results)
wants() { [[ " ${steps[*]} " == *" $1 "* ]]; }
[ -z "$corpus" ] || [ -d "$corpus" ] || complain "no such folder: \`$corpus\`"
if [ -n "$binary" ] && ! { [ -f "$binary" ] && [ -x "$binary" ]; }; then complain "no such program: \`$binary\`"; fi
case $queue in
    '' | postgres://*) ;;
    *) complain "the queue that hosts share is in PostgreSQL, postgres://USER@SERVER/DATABASE" ;;
esac
if wants run && [ ${#hosts[@]} -gt 1 ] && [ -z "$queue" ]; then
    complain "several hosts share one queue in PostgreSQL: name it with \`--queue\`, or in \`SLT_REMOTE_QUEUE\`"
fi
for program in ssh rsync; do
    command -v $program >/dev/null || complain "no \`$program\` here: install it" 4
done

# Sets how to reach a host: `ssh`, the `address` for it, and the `place` for rsync, which needs IPv6 in brackets.
reach() {
    local login='' name=$1 port=''
    host=$1
    if [[ $name =~ ^(.*@)(.*)$ ]]; then login=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]}; fi
    if [[ $name =~ ^\[(.+)\](:([0-9]+))?$ ]]; then
        name=${BASH_REMATCH[1]} port=${BASH_REMATCH[3]}
    elif [[ $name =~ ^([^:]+):([0-9]+)$ ]]; then
        name=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
    fi
    address=$login$name place=$login$name
    if [[ $name == *:* ]]; then place="${login}[$name]"; fi
    ssh=(ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 ${port:+-p "$port"})
}

# Words, quoted for the host's shell.
quoted() { printf '%q ' "$@"; }

# Prints a script of `scripts/remote` with its arguments, for bash to read from standard input. bash reads the whole script
# before it runs any of it, so the rest of the input is left for the script.
program() {
    local script=$1
    shift
    printf 'main() {\n%s\n}\nmain %s; exit $?\n' "$(cat "$here/scripts/remote/$script.sh")" "$(quoted "$repo" "$@")"
}

# Runs a script of `scripts/remote` on the host, with these arguments; the script need not exist there. The login shell of
# the host, whichever it is, sees only `bash -s`.
remotely() { "${ssh[@]}" "$address" bash -s < <(program "$@"; if [ "$1" = run ]; then lifeline; fi); }

copy() { rsync -a --compress --protect-args -e "$(quoted "${ssh[@]}")" "$@"; }

# The files of the checkout by name, each ended by NUL: those that git tracks and that exist, and new ones that it does
# not ignore. Only git knows its rules for ignored files.
names() {
    local name
    git -C "$here" ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' name; do
        if [ -e "$here/$name" ] || [ -L "$here/$name" ]; then printf '%s\0' "$name"; fi
    done
}

# Collects what is copied to the hosts. Without git, that is everything except builds.
gather() {
    mkdir "$folder/checkout" || return 4
    if git -C "$here" rev-parse --git-dir >/dev/null 2>&1; then
        names >"$folder/names" || { echo "error: git cannot list the files of \`$here\`" >&2; return 4; }
        rsync -a --from0 --files-from="$folder/names" --link-dest="$here" "$here/" "$folder/checkout/" || return 4
    else
        rsync -a --exclude=/target --exclude=.git --link-dest="$here" "$here/" "$folder/checkout/" || return 4
    fi
}

sync_host() {
    remotely prepare || return
    copy --delete-after --filter='P /.slt-remote' --filter='P /target/' "$folder/checkout/" "$place:$repo/" || return 4
    if [ -n "$corpus" ]; then copy --delete "$corpus/" "$place:$repo/target/remote/corpus/" || return 4; fi
    if [ -n "$binary" ]; then copy "$binary" "$place:$repo/target/remote/slt" || return 4; fi
    echo "copied to \`$repo\` on $host"
}

setup_host() { remotely setup; }

# What a host reads during its run: secrets, an empty line, and then one line every two seconds. When the input or the
# lines end, the host stops, however this script ends.
lifeline() {
    if [ -n "$queue" ]; then printf '%s\n' "SLT_QUEUE=$queue" "SLT_RUN_ID=$run_id"; fi
    local engine=${SLT_ENGINE:-${SQLLOGICTEST_ENGINE:-}}
    if [ -n "$engine" ]; then printf '%s\n' "SLT_ENGINE=$engine"; fi
    echo
    if [ -n "$detach" ]; then return; fi
    # After its two seconds `read` returns more than 128. When the pipe has no writer left, it returns less.
    while read -r -t 2 -u "$life"; [ $? -gt 128 ]; do echo; done
}

run_host() {
    local flags=(--results target/remote/results)
    [ -z "$workers" ] || flags+=(--workers "$workers")
    [ -z "$time" ] || flags+=(--time "$time")
    remotely run "${detach:-no}" "${corpus:+yes}" "${flags[@]}" "${pass_on[@]}"
}

fetch_host() {
    mkdir -p "$here/target/remote/$host" && copy "$place:$repo/target/remote/results/" "$here/target/remote/$host/" &&
        echo "results of $host: target/remote/$host" && return
    echo "error: no results could be copied from \`$host\`: --status says whether anything was run there" >&2
    return 4
}

status_host() { remotely status; }

clean_host() { remotely clean; }

# Runs a step on one host, by its number, and records its exit code.
visit() {
    reach "${hosts[$2]}"
    "$1_host"
    echo $? >"$folder/$2.code"
}

# Prefixes lines with their host.
labelled() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do printf '[%s] %s\n' "$1" "$line"; done
}

# Runs a step on these hosts at the same time. The output of a single host is shown as it arrives, without labels.
each() {
    local step=$1 n
    shift
    if [ ${#hosts[@]} -eq 1 ]; then
        visit "$step" 0
        return
    fi
    for n in "$@"; do
        { visit "$step" "$n" 2>&1 >&3 3>&- | labelled "${hosts[n]}" >&2; } 3>&1 | labelled "${hosts[n]}" &
    done
    wait
}

# Labelled lines, each text once: every host reports the whole run, so a line that one host has printed is not repeated
# for the others. Only result lines are printed for each host, even if the times are equal.
once() {
    local line text count
    local -A seen=() shown=()
    while IFS= read -r line; do
        text="-${line#*] }"
        count=$((${seen["$line"]:-0} + 1))
        seen["$line"]=$count
        if [[ $text == "-test result: "* ]] || [ "$count" -gt "${shown["$text"]:-0}" ]; then
            shown["$text"]=$count
            printf '%s\n' "$line"
        fi
    done
}

# The exit code of a host's last step.
code_of() { cat "$folder/$1.code" 2>/dev/null || echo 255; }

# Whether an exit code is a run's.
is_verdict() { [[ $1 =~ ^(0|2|3|4|101)$ ]]; }

# Why a host has no verdict.
reason() {
    case $2 in
        255) echo "host \`$1\` was lost or could not be reached" ;;
        *) echo "host \`$1\` ended with exit code $2, which no run has" ;;
    esac
}

# Runs a step that must succeed on every host; otherwise says where it failed and returns the exit code.
must() {
    local n code worst=0
    each "$1" "${!hosts[@]}"
    for n in "${!hosts[@]}"; do
        code=$(code_of "$n")
        if ! is_verdict "$code"; then echo "error: $(reason "${hosts[n]}" "$code")" >&2; code=4; fi
        if [ "$code" -ne 0 ]; then worst=$code; fi
    done
    return "$worst"
}

# Runs the files; the exit code is that of the whole run. Sets `left` to the hosts that were connected at its end.
run_all() {
    local n code seen=' ' lost=()
    : >"$folder/running"
    if [ ${#hosts[@]} -eq 1 ]; then each run 0; else each run "${!hosts[@]}" | once; fi
    rm -f "$folder/running"
    left=()
    for n in "${!hosts[@]}"; do
        code=$(code_of "$n")
        if is_verdict "$code"; then left+=("$n") seen+="$code "; else lost+=("$(reason "${hosts[n]}" "$code")"); fi
    done
    for code in "${lost[@]}"; do
        if [ ${#left[@]} -eq 0 ]; then
            echo "error: $code" >&2
        else
            echo "warning: $code: the exit code is that of the run as the others have ended it" >&2
        fi
    done
    # Every host reports the whole run. If one could not continue, the run is not green; a failure that one has seen is
    # a failure; and if one has seen every file pass, another that left earlier has only seen less.
    for code in 4 2 101 0 3; do
        if [[ $seen == *" $code "* ]]; then return "$code"; fi
    done
    return 4
}

# All steps; the exit code is that of the run, or of the error.
all_steps() {
    local code=0 n fetched='' left=("${!hosts[@]}")
    if wants sync; then gather && must sync || return; fi
    if wants setup; then must setup || return; fi
    if wants run; then
        run_all
        code=$?
    fi
    if wants fetch-results && [ -z "$detach" ] && [ ${#left[@]} -gt 0 ]; then
        each fetch "${left[@]}"
        # Each host's results are those of the whole run.
        for n in "${left[@]}"; do if [ "$(code_of "$n")" = 0 ]; then fetched=yes; fi; done
        [ -n "$fetched" ] || return 4
    fi
    if wants status; then must status || return; fi
    if wants clean; then must clean || return; fi
    return "$code"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/lifeline"
run_id=remote-$(date -u +%Y%m%dT%H%M%SZ)-$RANDOM
if wants run && [ ${#hosts[@]} -gt 1 ]; then echo "run \`$run_id\` on ${#hosts[@]} hosts" >&2; fi
# While this script runs, the pipe has a writer. The hosts' lifelines read `life`.
exec {pulse}<>"$folder/lifeline" {life}<"$folder/lifeline"

# The first Ctrl-C closes the lifelines and waits for the hosts, the second ends everything that is left here.
interrupted=''
# shellcheck disable=SC2317 # called by the trap
interrupt() {
    if [ -n "$interrupted" ] || [ ! -e "$folder/running" ]; then
        kill -TERM -- "-$job" 2>/dev/null
        echo "interrupted" >&2
        exit 130
    fi
    interrupted=yes
    echo "interrupted: telling the hosts to stop; interrupt again to leave them" >&2
    exec {pulse}>&-
}

# The steps run in a process group of their own, which Ctrl-C does not reach and `interrupt` can end as a whole.
set -m
(
    set +m
    # Only the script itself may hold the lifelines.
    exec {pulse}>&-
    all_steps
    echo $? >"$folder/code"
) </dev/null &
job=$!
set +m
trap interrupt INT TERM HUP
# `wait` returns early at a signal.
while kill -0 "$job" 2>/dev/null; do wait "$job"; done
exit "$(cat "$folder/code" 2>/dev/null || echo 4)"
