#!/usr/bin/env bash
# Has what leaves a ledger judged from outside: FOCUS' official validator, Arrow's own readers, a browser. They have an
# environment of their own, so that nothing they bring reaches the package's tests.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
judges=$ROOT/.venv-focus

# With `built` the package is there already, as in `make test`.
if [ "${1:-}" != built ]; then
    bash "$SETUP/machine.sh" focus
    bash "$SETUP/python.sh"
    bash "$SETUP/bind-python.sh"
fi
cargo build --quiet --locked -p interfuse-tests --bin sample-ledger --bin upstream
if ! cmp -s "$SETUP/focus.txt" "$judges/installed.txt"; then
    title "Judges of exports in .venv-focus"
    "$(bash "$SETUP/python.sh" --find)" -m venv --clear "$judges"
    # The validator asks for Python 3.12 because of one line, which is written here in words that 3.11 knows.
    "$judges/bin/pip" install --quiet --ignore-requires-python --requirement "$SETUP/focus.txt"
    "$judges/bin/python" "$SETUP/focus_line.py"
    cp "$SETUP/focus.txt" "$judges/installed.txt"
fi
title "Exports and the page of a ledger before their judges"
mkdir -p "$TARGET/pages"
cd tests/focus
CARGO_TARGET_DIR=$TARGET PYTHONPATH=$ROOT/bindings-python/python exec "$judges/bin/python" -m pytest -p no:cacheprovider --no-header -q .
