#!/usr/bin/env bash
# Builds the Python package and installs it into .venv so that its sources stay where they are. Words go to maturin.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT/bindings-python"
VIRTUAL_ENV=$VENV exec maturin develop --quiet --locked "$@"
