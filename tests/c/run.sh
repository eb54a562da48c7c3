#!/usr/bin/env bash
# Every test of the C ABI and the C++ wrapper: one line each, and at the end "C: N passed, M failed" and the same for C++.
# Compiles with every compiler and language version promised, compares the exported symbols and the header with symbols.txt
# (abi.sh), runs the programs as they are, under valgrind and with sanitizers, and meets the archive as others will (dist.sh).
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
recorded() { awk '$1 == "function" { print $2 }' "$here/symbols.txt" | sort; }
same() { diff <(recorded) <(exported); }
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
programs=(answers streams fusion batches cancel misuse ready races log threads forked)
for program in "${programs[@]}" examples; do
    check C "compile_$program" $cc -std=c99 "${posix[@]}" "$here/$program.c" check.o -o "$program" "${link[@]}"
done
check C++ compile_wrapper $cxx -std=c++17 -g "${strict[@]}" "$here/wrapper.cpp" check.o -o wrapper "${link[@]}"
check C link_header $cc -std=c99 "${strict[@]}" "$here/header.c" -o header "${link[@]}"
for example in chat stream loop fuse budget batch log; do
    check C "compile_example_$example" $cc -std=c99 "${strict[@]}" "$root/ffi/examples/$example.c" -o $example "${link[@]}"
done
for example in chat loop fuse budget batch log; do
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

# A leg is a tool that watches the programs. Before it counts, it must catch the faults that probe.c makes on purpose.
# catches LEG FAULT WORDS: the leg reports this fault in these words.
catches() {
    local text
    text=$("watch_$1" probe "$2" 2>&1) && { echo "nothing was caught: $text"; return 1; }
    grep -F -e "$3" <<<"$text"
}
# watched LEG PROGRAM: what was said, and whether all was well.
watched() { cat "$2.$1.log" && [ -f "$2.$1.clean" ]; }
# leg LEG PROGRAM...: runs them two at a time, and says for each whether it was clean.
leg() {
    local name=$1 program ; shift
    export -f "watch_$name"
    printf '%s\n' "$@" | xargs -P 2 -I PROGRAM bash -c "watch_$name PROGRAM >PROGRAM.$name.log 2>&1 && touch PROGRAM.$name.clean; true"
    for program in "$@"; do
        if [ "$program" = wrapper ]; then check C++ "${name}_wrapper" watched "$name" wrapper
        else check C "${name}_$program" watched "$name" "$program"; fi
    done
}
export here

# What stays reachable at the end is no leak; everything else is. A stripped library has no names for valgrind.supp.
export kinds=definite,indirect,possible ; [ "$profile" = release ] && kinds=definite,indirect
watch_valgrind() {
    local leaks=full
    # A forked child leaves on purpose what was its parent's; there valgrind looks for wrong accesses only.
    [[ $1 == forked || $1 == threads ]] && leaks=no
    timeout 900 valgrind --quiet --leak-check=$leaks --num-callers=40 --show-leak-kinds=$kinds --errors-for-leak-kinds=$kinds \
        --error-exitcode=99 --suppressions="$here/valgrind.supp" "./$@"
}
check C compile_probe $cc -std=c99 "${posix[@]}" "$here/probe.c" check.o -o probe "${link[@]}"
check C valgrind_catches_a_write_past_the_heap catches valgrind past_the_heap 'Invalid write of size 1'
check C valgrind_catches_a_leak catches valgrind a_leak 'definitely lost'
check C valgrind_catches_a_leak_of_the_library catches valgrind a_leak_of_the_library 'definitely lost'
check C valgrind_catches_a_text_of_the_library_used_late catches valgrind a_text_used_late 'Invalid read of size 1'
leg valgrind "${programs[@]}" wrapper

# compile_for LEG FLAGS...: probe and programs once more, as PROGRAM.LEG; false where the compiler has no such sanitizer.
compile_for() {
    local leg=$1 program ; shift
    echo 'int main(void) { return 0; }' | $cc -xc - "$@" -o empty 2>/dev/null || return 1
    for program in probe "${programs[@]}"; do
        check C "compile_${program}_$leg" $cc -std=c99 "${posix[@]}" "$@" "$here/$program.c" "$here/check.c" -o "$program.$leg" "${link[@]}"
    done
}

# The shared library is as it is shipped; what it allocates and frees goes through the sanitizer all the same.
watch_sanitized() {
    local leaks=1
    [[ $1 == forked || $1 == threads ]] && leaks=0
    ASAN_OPTIONS=detect_leaks=$leaks:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1 timeout 900 "./$1.sanitized" "${@:2}"
}
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
if compile_for sanitized "${sanitizers[@]}"; then
    check C++ compile_wrapper_sanitized $cxx -std=c++17 -g "${strict[@]}" "${sanitizers[@]}" "$here/wrapper.cpp" check.o \
        -o wrapper.sanitized "${link[@]}"
    check C sanitized_catches_a_write_past_the_heap catches sanitized past_the_heap 'AddressSanitizer: heap-buffer-overflow'
    check C sanitized_catches_a_leak catches sanitized a_leak 'LeakSanitizer: detected memory leaks'
    check C sanitized_catches_an_undefined_shift catches sanitized an_undefined_shift 'runtime error: shift exponent 33'
    check C sanitized_catches_a_leak_of_the_library catches sanitized a_leak_of_the_library 'LeakSanitizer: detected memory leaks'
    check C sanitized_catches_a_text_of_the_library_used_late catches sanitized a_text_used_late 'heap-use-after-free'
    check C sanitized_catches_a_text_freed_twice catches sanitized a_text_freed_twice 'heap-use-after-free'
    leg sanitized "${programs[@]}" wrapper
else
    say C 1 sanitized "$cc cannot link ${sanitizers[*]}"
fi

# Sees races in the programs, also of their callbacks on the library's threads; sees none inside the library (tsan.supp).
# Where the kernel spreads addresses more than it can bear, it runs without that.
watch_raced() {
    TSAN_OPTIONS=suppressions=$here/tsan.supp:exitcode=99 timeout 900 ${plain_addresses:-} "./$1.raced" "${@:2}"
}
if compile_for raced -fsanitize=thread; then
    export plain_addresses=
    ./empty || plain_addresses="setarch $(uname -m) -R"
    check C raced_catches_a_race catches raced a_race 'ThreadSanitizer: data race'
    check C raced_catches_a_race_with_a_callback catches raced a_race_with_a_callback 'ThreadSanitizer: data race'
    leg raced races cancel ready log streams threads
else
    echo "not here, left out: -fsanitize=thread of $cc" >&2
fi
run C abi bash "$here/abi.sh"
run C dist bash "$here/dist.sh"

for language in C C++; do echo "$language: ${passed[$language]} passed, ${failed[$language]} failed"; done
[ $((failed[C] + failed[C++])) -eq 0 ]
