#!/usr/bin/env bash
# Builds the Python package, puts a small real model on this machine, and lets three members and a judge answer a question.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
question=${Q:-Why is the sky blue, and why are sunsets red?}

bash "$SETUP/machine.sh" demo
bash "$SETUP/python.sh"
title "building the package (the first time takes some minutes)"
# As the tests build it: optimised it would take ten times as long, and here models take the time.
bash "$SETUP/bind-python.sh"
title "a small model for this machine"
interfuse local install
# The demo leaves nothing behind.
export INTERFUSE_LEDGER=off
title "interfuse fuse --local \"$question\""
exec interfuse fuse --local "$question"
