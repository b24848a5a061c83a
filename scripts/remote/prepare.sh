# On the host: creates the folder for the copy, unless something else is there. Arguments: the folder.
repo=$1
if [ -e "$repo" ] && [ ! -e "$repo/.slt-remote" ] && { [ ! -d "$repo" ] || [ -n "$(ls -A "$repo")" ]; }; then
    echo "error: \`$repo\` on $(uname -n) is no copy made by this script, and is left alone: choose another --repo-path" >&2
    exit 4
fi
command -v rsync >/dev/null || { echo "error: $(uname -n) has no rsync: install it there" >&2; exit 4; }
command -v flock >/dev/null || { echo "error: $(uname -n) has no flock: install util-linux there" >&2; exit 4; }
# A copy would replace files that a run is reading.
if [ -e "$repo/target/remote/lock" ] && ! flock -n "$repo/target/remote/lock" true; then
    echo "error: a run is in progress in \`$repo\` on $(uname -n): it must end before anything is copied there" >&2
    exit 4
fi
mkdir -p "$repo/target/remote" && touch "$repo/.slt-remote" || exit 4
