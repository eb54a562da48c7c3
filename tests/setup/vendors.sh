#!/usr/bin/env bash
# Asks the vendors' official SDKs and interfuse the same of one scripted server and compares what they heard. The SDKs have
# an environment of their own, so that nothing they bring reaches the package's tests.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
judges=$ROOT/.venv-vendors

# With `built` the package and the server are there already, as in `make test`; with `environment` nothing is asked.
if [ -z "${1:-}" ]; then
    bash "$SETUP/machine.sh" test
    bash "$SETUP/python.sh"
    bash "$SETUP/bind-python.sh"
    cargo build --quiet --locked -p interfuse-tests --bin upstream
fi
if ! cmp -s "$SETUP/vendors.txt" "$judges/installed.txt"; then
    title "The vendors' SDKs in .venv-vendors"
    "$(bash "$SETUP/python.sh" --find)" -m venv --clear "$judges"
    "$judges/bin/pip" install --quiet --requirement "$SETUP/vendors.txt"
    cp "$SETUP/vendors.txt" "$judges/installed.txt"
fi
[ "${1:-}" = environment ] && exit 0
title "The vendors' SDKs as judges"
cd tests/vendors
CARGO_TARGET_DIR=$TARGET PYTHONPATH=$ROOT/bindings-python/python exec "$judges/bin/python" -m pytest -p no:cacheprovider --no-header -q .
