#!/usr/bin/env bash
# Plays every fault of a folder (FAULTS, tests/faults by default) in four languages and prints the table. Words go to the
# player: --only S08,S14 and --languages rust,c.
set -euo pipefail
. "$(dirname "$0")/common.sh"
folder=$(realpath -- "${FAULTS:-$ROOT/tests/faults}")
cd "$ROOT"

# With `built` as first word the packages are there already, as in `make test`.
if [ "${1:-}" = built ]; then
    shift
else
    bash "$SETUP/machine.sh" faults
    bash "$SETUP/python.sh"
    bash "$SETUP/bind-python.sh"
    bash "$SETUP/bind-node.sh" >/dev/null
fi
cargo build --quiet --locked -p interfuse-tests --bin faults --bin parity-rust
exec "$TARGET/debug/faults" "$@" "$folder"
