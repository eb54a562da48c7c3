# Sourced by the scripts beside it: where the checkout is, and which tools come first. Not for running.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SETUP=$ROOT/tests/setup
VENV=$ROOT/.venv
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
# What the checkout made for itself wins; a rustup that put nothing on PATH is still found.
export PATH="$VENV/bin:$ROOT/.tools/bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
export PIP_DISABLE_PIP_VERSION_CHECK=1
export npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false

title() { printf '\n== %s\n' "$*"; }

# at_least 1.89 "rustc 1.95.0 (...)": is the first version number in the second text at least the first?
at_least() {
    local found
    found=$(printf '%s' "$2" | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)
    [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$1" "$found" | sort -V | head -n 1)" = "$1" ]
}
