#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies with cargo-deny (deny.toml). Building that tool takes minutes, so
# it runs where it is installed already; with the word `build` it is built into .tools first.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
if ! command -v cargo-deny >/dev/null; then
    if [ "${1:-}" != build ]; then
        echo "cargo-deny is not installed: licences and bans are not checked here (make deny builds and runs it)"
        exit 0
    fi
    cargo install cargo-deny --version 0.20.2 --locked --root "$ROOT/.tools" --target-dir "$TARGET/cargo-deny"
fi
title "licences, bans, sources"
# Advisories need a database from the network; these three are answered by the lock file alone.
cargo deny --workspace --locked check licenses bans sources
