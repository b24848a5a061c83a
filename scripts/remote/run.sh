# On the host: runs the files. Arguments: the folder, `yes` to detach, `yes` if a corpus was copied, flags of `slt run`.
# Standard input: variables, an empty line, and then a line every few seconds while the run may continue.
repo=$1 detach=$2 corpus=$3
shift 3
PATH=$PATH:$HOME/.cargo/bin
# Secrets come from standard input, because every user can read arguments.
while IFS= read -r line && [ -n "$line" ]; do export "${line?}"; done
cd "$repo" 2>/dev/null || { echo "error: nothing at \`$repo\` on $(uname -n): use --sync first" >&2; exit 4; }
[ -e .slt-remote ] || { echo "error: \`$repo\` on $(uname -n) is no copy made by this script: choose another --repo-path" >&2; exit 4; }
command -v flock >/dev/null || { echo "error: $(uname -n) has no flock: install util-linux there" >&2; exit 4; }
mkdir -p target/remote || exit 4
[ -z "$corpus" ] || export SLT_CORPUS=$PWD/target/remote/corpus
[ ! -x target/remote/slt ] || export SLT_BIN=$PWD/target/remote/slt
# Held during the run; --status checks this lock.
exec 8>target/remote/lock
flock -w 1 8 || { echo "error: a run is in progress in \`$repo\` on $(uname -n): see --status" >&2; exit 4; }
rm -f target/remote/exit target/remote/log
if [ "$detach" = yes ]; then
    setsid bash -c './scripts/sqllogictest run --parallel "$@" 8>&-; echo $? >target/remote/exit' run "$@" \
        </dev/null >target/remote/log 2>&1 &
    echo "started on $(uname -n): --status shows its progress, --fetch-results copies its results"
    exit 0
fi
exec 7<&0
set -m
./scripts/sqllogictest run --parallel "$@" 8>&- 7<&- </dev/null &
run=$!
set +m
{
    # A broken connection may stay open for hours: half a minute without a line ends the run, too.
    while read -r -t 30 -u 7; do :; done
    kill -INT "-$run" || exit
    # Wait for the files that have started, but no longer.
    for _ in {1..300}; do sleep 0.1; kill -0 "-$run" || exit; done
    kill -INT "-$run"
    sleep 5
    kill -KILL "-$run"
} >/dev/null 2>&1 &
watch=$!
wait "$run"
code=$?
echo "$code" >target/remote/exit
kill "$watch" 2>/dev/null
exit "$code"
