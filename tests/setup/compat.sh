#!/usr/bin/env bash
# Vendors' Python clients and what others built on them, unmodified, on interfuse: those of openai 2 in an environment of their
# own, those of openai 3 in that of the vendors' SDKs. The snippets run with each openai and with interfuse in its place.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"

# With `built` the package and the server are there already, as in `make test`.
if [ "${1:-}" != built ]; then
    python_package test
    cargo build --quiet --locked -p interfuse-tests --bin upstream
fi
environment vendors "The vendors' SDKs"
environment compat "openai 2 and what is built on it"
cd tests/compat
status=0
title "On interfuse: the clients of openai 2"
judged compat test_openai.py test_frameworks.py test_notebook.py test_snippets.py test_docs.py || status=1
title "On interfuse: the clients of openai 3"
judged vendors test_openai.py test_huggingface.py test_snippets.py test_docs.py || status=1
exit $status
