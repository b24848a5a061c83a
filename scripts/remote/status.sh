# On the host: shows the state of the current or last run. Arguments: the folder.
repo=$1
cd "$repo/target/remote" 2>/dev/null || { echo "$(uname -n): no copy at \`$repo\`"; exit 0; }
if [ -e lock ] && ! flock -n lock true; then
    echo "$(uname -n): a run is in progress"
elif [ -e exit ]; then
    echo "$(uname -n): the last run ended with exit code $(cat exit)"
elif [ -e lock ]; then
    echo "$(uname -n): the last run did not finish: \`--run -- --resume\` continues it"
else
    echo "$(uname -n): nothing was run yet"
fi
[ ! -s log ] || tail -n 40 log
