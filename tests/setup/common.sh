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

# python_package WHAT: the Python package, and what a machine needs for it and for WHAT.
python_package() {
    bash "$SETUP/machine.sh" "$1"
    bash "$SETUP/python.sh"
    bash "$SETUP/bind-python.sh"
}

# environment NAME TITLE [SCRIPT]: a Python environment .venv-NAME with what NAME.txt lists, made when the list is new; SCRIPT
# is then run in it.
environment() {
    local folder=$ROOT/.venv-$1 list=$SETUP/$1.txt
    cmp -s "$list" "$folder/installed.txt" && return
    title "$2 in ${folder##*/}"
    "$(bash "$SETUP/python.sh" --find)" -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --requirement "$list"
    [ -z "${3:-}" ] || "$folder/bin/python" "$3"
    cp "$list" "$folder/installed.txt"
}

# judged NAME TESTS...: runs tests of this folder in .venv-NAME, with the package.
judged() {
    CARGO_TARGET_DIR=$TARGET PYTHONPATH=$ROOT/bindings-python/python \
        "$ROOT/.venv-$1/bin/python" -m pytest -p no:cacheprovider --no-header -q "${@:2}"
}

# remap_paths: what cargo builds from here on, to be shipped, names no folder of the machine it was built on.
remap_paths() {
    local unit=$'\x1f'
    local remap="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo${unit}--remap-path-prefix=$ROOT=interfuse"
    export CARGO_ENCODED_RUSTFLAGS="${RUSTFLAGS:+${RUSTFLAGS// /$unit}$unit}$remap"
}

# at_least 1.89 "rustc 1.95.0 (...)": is the first version number in the second text at least the first?
at_least() {
    local found
    found=$(printf '%s' "$2" | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)
    [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$1" "$found" | sort -V | head -n 1)" = "$1" ]
}
