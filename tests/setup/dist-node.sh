#!/usr/bin/env bash
# Packs target/dist/interfuse-VERSION.tgz and interfuse-MACHINE-VERSION.tgz, the package @interfuse/MACHINE with the addon built
# here. With `built` nothing is built: the addons that lie in bindings-node/js are packed as they are, a package each. PROFILE=dev
# packs a quick build.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT/bindings-node"
if [ "${1:-}" != built ]; then
    bash "$SETUP/machine.sh" dist-node
    profile=${PROFILE:-release}
    title "addon ($profile)"
    if [ "$profile" = release ]; then
        remap_paths
        npm run --silent build:release -- --locked
    else
        npm run --silent build -- --locked
    fi
fi
title "packages"
node scripts/pack.mjs "$TARGET/dist"
