# On the host: makes the folder for the copy, unless something else is there. Arguments: the folder.
repo=$1
if [ -e "$repo" ] && [ ! -e "$repo/.slt-remote" ] && [ -n "$(ls -A "$repo")" ]; then
    echo "error: \`$repo\` on $(uname -n) is no copy made by this script, and is left alone: choose another --repo-path" >&2
    exit 4
fi
command -v rsync >/dev/null || { echo "error: $(uname -n) has no rsync: install it there" >&2; exit 4; }
mkdir -p "$repo/target/remote" && touch "$repo/.slt-remote" || exit 4
