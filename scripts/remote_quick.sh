#!/usr/bin/env bash
# Short forms of remote_test.sh, on the hosts that SLT_REMOTE_HOST names (or --host).
set -eu
test=$(dirname -- "${BASH_SOURCE[0]}")/remote_test.sh
word=${1:-}
[ $# -eq 0 ] || shift
case $word in
    setup) exec "$test" --sync --setup "$@" ;;
    sync | run | status | clean) exec "$test" "--$word" "$@" ;;
    quick) exec "$test" --sync --run --fetch-results --time 60 "$@" ;;
    fetch) exec "$test" --fetch-results "$@" ;;
    *)
        cat >&2 <<'USAGE'
usage: scripts/remote_quick.sh setup|sync|run|quick|fetch|status|clean [FLAGS OF remote_test.sh]

  setup   copy the checkout, check that the host has what it needs, and build
  sync    copy the checkout, and do nothing else
  run     run the files that were copied last
  quick   sync, run for at most a minute, fetch the results
  fetch   copy the results to target/remote/HOST
  status  say whether a run is in progress, and how the last one ended
  clean   remove the copy

Example: SLT_REMOTE_HOST=big-machine scripts/remote_quick.sh quick --workers 16
USAGE
        [ "$word" = help ] || [ "$word" = --help ] || exit 2
        ;;
esac
