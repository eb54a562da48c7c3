#!/usr/bin/env bash
# Makes .venv with the tools that build and test the Python package, once.
# --find only prints the interpreter it would use; --bare makes the environment without the tools.
set -uo pipefail
. "$(dirname "$0")/common.sh"

# A candidate counts only if it can make an environment: Debian's python3 without python3-venv cannot.
find_python() {
    local candidate
    for candidate in "$VENV/bin/python" python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

python=$(find_python) || { echo "no Python 3.11 or newer with venv found" >&2; exit 1; }
[ "${1:-}" = --find ] && { echo "$python"; exit 0; }

if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    title "Python environment in .venv"
    "$python" -m venv --clear "$VENV" || exit 1
fi
[ "${1:-}" = --bare ] && exit 0

# The stamp is the list itself: pip is asked again only after the list changed.
if ! cmp -s "$SETUP/python-tools.txt" "$VENV/installed-tools.txt"; then
    "$VENV/bin/pip" install --quiet --requirement "$SETUP/python-tools.txt" || exit 1
    cp "$SETUP/python-tools.txt" "$VENV/installed-tools.txt"
fi
