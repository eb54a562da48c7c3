#!/usr/bin/env bash
# Vendors' Python clients and what others built on them, unmodified, on interfuse: those of openai 2 in an environment of their
# own, those of openai 3 in that of the vendors' SDKs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
two=$ROOT/.venv-compat

# With `built` the package and the server are there already, as in `make test`.
if [ "${1:-}" != built ]; then
    bash "$SETUP/machine.sh" test
    bash "$SETUP/python.sh"
    bash "$SETUP/bind-python.sh"
    cargo build --quiet --locked -p interfuse-tests --bin upstream
fi
bash "$SETUP/vendors.sh" environment
if ! cmp -s "$SETUP/compat.txt" "$two/installed.txt"; then
    title "openai 2 and what is built on it in .venv-compat"
    "$(bash "$SETUP/python.sh" --find)" -m venv --clear "$two"
    "$two/bin/pip" install --quiet --requirement "$SETUP/compat.txt"
    cp "$SETUP/compat.txt" "$two/installed.txt"
fi
status=0
# ask ENVIRONMENT TESTS...
ask() {
    title "On interfuse: the clients in ${1##*/}"
    (cd tests/compat && CARGO_TARGET_DIR=$TARGET PYTHONPATH=$ROOT/bindings-python/python \
        "$1/bin/python" -m pytest -p no:cacheprovider --no-header -q "${@:2}") || status=1
}
ask "$two" test_openai.py test_frameworks.py
ask "$ROOT/.venv-vendors" test_openai.py test_huggingface.py
exit $status
