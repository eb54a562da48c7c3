#!/usr/bin/env bash
# Sets up the machine and hands over to the benchmark harness in tests/bench.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
bash "$SETUP/machine.sh" bench
bash "$SETUP/python.sh"
[ -f tests/bench/run.sh ] || { echo "tests/bench/run.sh is missing" >&2; exit 1; }
exec bash tests/bench/run.sh "$@"
