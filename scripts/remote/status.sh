# On the host: says how a run goes or went. Arguments: the folder.
repo=$1
cd "$repo/target/remote" 2>/dev/null || { echo "$(uname -n): no copy at \`$repo\`"; exit 0; }
if [ -e lock ] && ! flock -n lock true; then
    echo "$(uname -n): a run is under way"
elif [ -e exit ]; then
    echo "$(uname -n): the last run ended with exit code $(cat exit)"
elif [ -e lock ]; then
    echo "$(uname -n): the last run was cut short: \`--run -- --resume\` goes on with it"
else
    echo "$(uname -n): nothing was run yet"
fi
[ ! -s log ] || tail -n 40 log
