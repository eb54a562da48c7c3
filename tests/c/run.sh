#!/usr/bin/env bash
# Every test of the C ABI and the C++ wrapper: one line each, and at the end "C: N passed, M failed" and the same for C++.
# Compiles with every compiler and language version promised, compares the exported symbols with the header and with
# symbols.txt, runs the programs as they are and under valgrind, and meets the archive as others will (dist.sh).
# PROFILE=release tests the release library.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
profile=${PROFILE:-debug}
built=${CARGO_TARGET_DIR:-$root/target}/$profile
work=$built/test-c
include=$root/include
export INTERFUSE_UPSTREAM=$built/upstream INTERFUSE_EXAMPLES=$work

flags=() ; [ "$profile" = release ] && flags=(--release)
cd "$root" && cargo build --quiet --locked -p interfuse-ffi "${flags[@]}" &&
    cargo build --quiet --locked -p interfuse-tests --bin upstream "${flags[@]}" || exit 1
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1

declare -A passed=([C]=0 [C++]=0) failed=([C]=0 [C++]=0)
# say LANGUAGE STATUS NAME [TEXT]
say() {
    if [ "$2" -eq 0 ]; then passed[$1]=$((passed[$1] + 1)); echo "ok $3"
    else failed[$1]=$((failed[$1] + 1)); echo "FAIL $3"; [ -z "${4:-}" ] || echo "$4" | sed 's/^/    /' | head -n 60; fi
}
# check LANGUAGE NAME COMMAND...: one test, whose output is shown if it fails.
check() {
    local language=$1 name=$2 text ; shift 2
    text=$("$@" 2>&1) ; say "$language" $? "$name" "$text"
}

strict=(-Wall -Wextra -Wpedantic -Werror -I "$include")
has() { command -v "$1" >/dev/null || { echo "not here, left out: $1" >&2; return 1; }; }
for cc in gcc clang; do
    has $cc || continue
    for std in c99 c11 c17 c2x; do
        check C "header_${std}_$cc" $cc -std=$std "${strict[@]}" -fsyntax-only "$here/header.c"
    done
done
for cxx in g++ clang++; do
    has $cxx || continue
    for std in c++11 c++14 c++17 c++20; do
        check C++ "header_${std}_$cxx" $cxx -xc++ -std=$std "${strict[@]}" -fsyntax-only "$here/header.c"
    done
    for std in c++17 c++20; do
        check C++ "wrapper_${std}_$cxx" $cxx -std=$std "${strict[@]}" -I "$here" -fsyntax-only "$here/wrapper.cpp"
    done
done

exported() { nm -D --defined-only "$built/libinterfuse.so" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort; }
declared() { grep -oE '\binterfuse_[a-z_]+\(' "$include/interfuse.h" | tr -d '(' | sort -u; }
same() { diff <(declared) "$here/symbols.txt" && diff <(exported) "$here/symbols.txt"; }
check C symbols_are_those_of_the_header same
soname() {
    local abi
    abi=$(awk '/#define INTERFUSE_ABI_VERSION/ { print $3 }' "$include/interfuse.h")
    readelf -d "$built/libinterfuse.so" | grep -E "SONAME.*libinterfuse\.so\.$abi\]" &&
        readelf -d "$built/libinterfuse.so" | grep -E 'FLAGS_1.*NODELETE'
}
check C name_carries_the_abi_version_and_stays_loaded soname

link=(-L "$built" -linterfuse -lpthread "-Wl,-rpath,$built")
cc=${CC:-cc} cxx=${CXX:-c++}
posix=(-D_POSIX_C_SOURCE=200809L -g "${strict[@]}")
check C compile_check $cc -std=c99 "${posix[@]}" -c "$here/check.c" -o check.o
programs=(answers streams fusion batch cancel misuse ready threads forked)
for program in "${programs[@]}" examples; do
    check C "compile_$program" $cc -std=c99 "${posix[@]}" "$here/$program.c" check.o -o "$program" "${link[@]}"
done
check C++ compile_wrapper $cxx -std=c++17 -g "${strict[@]}" "$here/wrapper.cpp" check.o -o wrapper "${link[@]}"
check C link_header $cc -std=c99 "${strict[@]}" "$here/header.c" -o header "${link[@]}"
for example in chat stream loop fuse; do
    check C "compile_example_$example" $cc -std=c99 "${strict[@]}" "$root/ffi/examples/$example.c" -o $example "${link[@]}"
done
for example in fuse budget batch; do
    check C++ "compile_example_$example" $cxx -std=c++17 "${strict[@]}" "$root/ffi/examples/$example.cpp" -o $example-cpp "${link[@]}"
done
check C loaded_library_fits_the_header ./header
# What a program that links statically needs besides, as `--print native-static-libs` says.
check C link_statically $cc -std=c99 "${strict[@]}" "$here/header.c" "$built/libinterfuse.a" -lgcc_s -lutil -lrt -lpthread -lm -ldl -o header-static
check C static_library_runs ./header-static

# run LANGUAGE PROGRAM [COMMAND...]: its own lines are the tests; one that ends early or leaks is a failure more.
run() {
    local name=$2 text status line
    [ $# -gt 2 ] || set -- "$1" "$2" "./$2"
    text=$(timeout 1800 "${@:3}" 2>&1) ; status=$?
    while IFS= read -r line; do
        case $line in
            "ok cpp_"*) say C++ 0 "$name: ${line#ok }" ;;
            "ok "*) say "$1" 0 "$name: ${line#ok }" ;;
            "FAIL cpp_"*) say C++ 1 "$name: ${line#FAIL }" ;;
            "FAIL "*) say "$1" 1 "$name: ${line#FAIL }" ;;
            *) echo "$line" ;;
        esac
    done <<<"$text"
    [ $status -le 1 ] && grep -q '^ok \|^FAIL ' <<<"$text" || say "$1" 1 "$name: ends by itself" "exit code $status"
}
for program in "${programs[@]}" examples; do run C "$program"; done
run C++ wrapper

# What stays reachable at the end is no leak; everything else is. A stripped library has no names for valgrind.supp.
kinds=definite,indirect,possible ; [ "$profile" = release ] && kinds=definite,indirect
# leaks PROGRAM: leaves PROGRAM.valgrind, and PROGRAM.clean if all was well.
leaks() {
    local leaks=full
    # A forked child leaves on purpose what was its parent's; there valgrind looks for wrong accesses only.
    [[ $1 == forked || $1 == threads ]] && leaks=no
    timeout 900 valgrind --quiet --leak-check=$leaks --num-callers=40 --show-leak-kinds=$kinds --errors-for-leak-kinds=$kinds \
        --error-exitcode=99 --suppressions="$here/valgrind.supp" "./$1" >"$1.valgrind" 2>&1 && touch "$1.clean"
}
export -f leaks ; export here kinds
printf '%s\n' "${programs[@]}" wrapper | xargs -P 2 -I NAME bash -c 'leaks NAME; true'
watched() { cat "$1.valgrind" && [ -f "$1.clean" ]; }
for program in "${programs[@]}"; do check C "valgrind_$program" watched "$program"; done
check C++ valgrind_wrapper watched wrapper
run C dist bash "$here/dist.sh"

for language in C C++; do echo "$language: ${passed[$language]} passed, ${failed[$language]} failed"; done
[ $((failed[C] + failed[C++])) -eq 0 ]
