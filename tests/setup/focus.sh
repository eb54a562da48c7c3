#!/usr/bin/env bash
# Has what leaves a ledger judged from outside: FOCUS' official validator, Arrow's own readers, a browser. They have an
# environment of their own, so that nothing they bring reaches the package's tests.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"

# With `built` the package is there already, as in `make test`.
if [ "${1:-}" != built ]; then
    python_package focus
fi
cargo build --quiet --locked -p interfuse-tests --bin sample-ledger --bin upstream
# The validator asks for Python 3.12 because of one line, which is written here in words that 3.11 knows.
PIP_IGNORE_REQUIRES_PYTHON=1 environment focus "Judges of exports" "$SETUP/focus_line.py"
title "Exports and the page of a ledger before their judges"
mkdir -p "$TARGET/pages"
cd tests/focus
judged focus .
