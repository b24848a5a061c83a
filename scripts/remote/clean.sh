# On the host: removes the copy. Arguments: the folder.
repo=$1
[ -e "$repo" ] || { echo "$(uname -n): nothing at \`$repo\`"; exit 0; }
[ -e "$repo/.slt-remote" ] || { echo "error: \`$repo\` on $(uname -n) is no copy made by this script, and is left alone" >&2; exit 4; }
if [ -e "$repo/target/remote/lock" ] && ! flock -n "$repo/target/remote/lock" true; then
    echo "error: a run is in progress in \`$repo\` on $(uname -n): it must end first" >&2
    exit 4
fi
rm -rf -- "$repo" && echo "$(uname -n): removed \`$repo\`"
