# On the host: lists what is missing, or builds. Arguments: the folder.
repo=$1 missing=''
PATH=$PATH:$HOME/.cargo/bin
lacks() {
    echo "missing on $(uname -n): $1: $2" >&2
    missing=yes
}
command -v rsync >/dev/null || lacks rsync "install the package rsync"
command -v flock >/dev/null || lacks flock "install the package util-linux"
if [ ! -x "$repo/target/remote/slt" ]; then
    command -v cargo >/dev/null || lacks cargo "install Rust from https://rustup.rs, or copy a built slt with --binary"
    command -v cc >/dev/null || lacks cc "install a C compiler, such as the package gcc"
fi
[ -z "$missing" ] || exit 4
echo "$(uname -n) has what it needs"
if [ -x "$repo/scripts/sqllogictest" ] && [ ! -x "$repo/target/remote/slt" ]; then
    "$repo/scripts/sqllogictest" --version || exit 4
fi
