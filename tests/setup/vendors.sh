#!/usr/bin/env bash
# Asks the vendors' official SDKs and interfuse the same of one scripted server and compares what they heard. The SDKs have
# an environment of their own, so that nothing they bring reaches the package's tests.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"

# With `built` the package and the server are there already, as in `make test`.
if [ "${1:-}" != built ]; then
    python_package test
    cargo build --quiet --locked -p interfuse-tests --bin upstream
fi
environment vendors "The vendors' SDKs"
title "The vendors' SDKs as judges"
cd tests/vendors
judged vendors .
