#!/usr/bin/env bash
# Plays every fault of a folder (FAULTS, tests/faults by default) in four languages and prints the table. Words go to the
# player: --only S08,S14 and --languages rust,c.
set -euo pipefail
. "$(dirname "$0")/common.sh"
folder=$(realpath -- "${FAULTS:-$ROOT/tests/faults}")
cd "$ROOT"

bash "$SETUP/machine.sh" faults
bash "$SETUP/python.sh"
# What is built already is only looked at.
bash "$SETUP/bind-python.sh"
bash "$SETUP/bind-node.sh" >/dev/null
cargo build --quiet --locked -p interfuse-tests --bin faults --bin parity-rust
exec "$TARGET/debug/faults" "$@" "$folder"
