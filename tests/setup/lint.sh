#!/usr/bin/env bash
# Formatting, and clippy with warnings denied; then licences and bans where cargo-deny is at hand.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
bash "$SETUP/machine.sh" lint
title "formatting"
cargo fmt --all --check
title "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
bash "$SETUP/deny.sh"
