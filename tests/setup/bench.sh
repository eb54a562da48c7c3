#!/usr/bin/env bash
# Sets up the machine and hands over to the benchmark harness in tests/bench.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
bash "$SETUP/machine.sh" bench
bash "$SETUP/python.sh"
# Else its environments would lie outside the checkout.
export BENCH_HOME=${BENCH_HOME:-$ROOT/.tools/bench}
exec sh tests/bench/run.sh "$@"
