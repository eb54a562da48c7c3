#!/usr/bin/env bash
# Packs the wheel and the sources, quickly unless PROFILE says otherwise, and meets both as those do who get them: what they
# hold, what they say of themselves, installed where nothing else is, by every Python that is here.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
export PROFILE=${PROFILE:-dev}
bash "$SETUP/dist-python.sh"
cargo build --quiet --locked -p interfuse-tests --bin upstream
environment wheel "Judges of the wheel"
title "The wheel and the sources"
cd tests/wheel
judged wheel .
