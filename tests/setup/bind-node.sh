#!/usr/bin/env bash
# Installs what the Node package is built and tested with, and builds its addon beside its sources.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT/bindings-node"
npm ci --loglevel=error
npm run build
