#!/usr/bin/env bash
# The archive that `make dist-c` packs, as those meet it who unpack it: in a folder with a space in its name, found by CMake
# and pkg-config, fetched, moved, linked shared and static by each compiler; what is built runs and is answered. One line per
# test, as the C programs print them; run.sh counts them. Needs INTERFUSE_UPSTREAM, the scripted server.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/test-dist
failures=0

# check NAME COMMAND...: one test, whose output is shown if it fails.
check() {
    local name=$1 text ; shift
    if text=$("$@" 2>&1); then echo "ok $name"
    else echo "FAIL $name"; sed 's/^/    /' <<<"$text" | tail -n 40; failures=$((failures + 1)); fi
}
has() { command -v "$1" >/dev/null || { echo "not here, left out: $1" >&2; return 1; }; }
# refuses PART COMMAND...: it fails and says so, with this in its words, however they are wrapped.
refuses() {
    local part=$1 text ; shift
    if text=$("$@" 2>&1); then echo "this went well: $*"; return 1; fi
    tr -s '\n ' ' ' <<<"$text" | grep -F "$part" >/dev/null || { echo "$text"; return 1; }
}

rm -rf "$work" && mkdir -p "$work/a folder" "$work/another place" && cd "$work" || exit 1
pack() { PROFILE=${PROFILE:-dev} bash "$root/tests/setup/dist-c.sh"; }
check dist_is_packed pack
archive=$(ls -t "$target"/dist/interfuse-*.tar.gz | head -n 1)
hash=$(cut -d ' ' -f 1 "$archive.sha256")
name=$(basename "$archive" .tar.gz)
tree="$work/a folder/$name"
again() { pack && [ "$(sha256sum <"$archive" | cut -d ' ' -f 1)" = "$hash" ]; }
check dist_packed_again_is_the_same again
check dist_unpacks tar -xzf "$archive" -C "$work/a folder"
exported() {
    diff <(awk '$1 == "function" { print $2 }' "$here/symbols.txt" | LC_ALL=C sort) \
        <(nm -D --defined-only "$tree/lib/libinterfuse.so" | awk '{ print $3 }' | LC_ALL=C sort)
}
check dist_exports_the_symbols_of_the_header exported
# A quick build tells where its crates lay; what is shipped does not.
builder=("$root/") ; [ "${PROFILE:-}" = release ] && builder+=("${CARGO_HOME:-$HOME/.cargo}/")
knows_no_build() { local place; for place in "${builder[@]}"; do ! grep -rlaF -e "$place" "$tree" || return 1; done; }
check dist_names_no_path_of_the_build knows_no_build

# A server that answers what the examples ask; it ends with this script, whose end of the pipe it watches.
coproc upstream { exec "$INTERFUSE_UPSTREAM" --script -; }
cat >&"${upstream[1]}" <<'SCRIPT'
{"routes": [{"when": {"body": {"response_format": {"type": "json_schema"}}}, "then": {"answer": "{\"consensus\": [], \"contradictions\": [], \"partial_coverage\": [], \"unique_insights\": [], \"blind_spots\": []}"}}, {"when": {"model": "mistral-large-latest"}, "then": {"answer": "Rhine and Moselle."}}, {"when": {"model": "gpt-5-mini"}, "then": {"answer": "In Bern."}}, {"then": {"answer": "Rhine and Aare."}}]}
SCRIPT
read -r address <&"${upstream[0]}"
base=$(sed 's/.*"\(http[^"]*\)".*/\1/' <<<"$address")
export INTERFUSE_CONFIG=$work/config.toml
{
    echo 'use_environment = false'
    for provider in openai groq mistral; do printf '[providers.%s]\nbase_url = "%s/v1"\napi_key = "k"\n' $provider "$base"; done
} >"$INTERFUSE_CONFIG"
unset LD_LIBRARY_PATH

# answered PROGRAM: asks its question and hears the answer.
answered() {
    local said
    said=$(timeout 60 "$1" 2>&1 <<<"Where?") ; echo "$1 said: $said"
    case $1 in
        */fuse* | */budget*) grep -F 'Rhine and Moselle.' <<<"$said" ;;
        *) grep -F 'In Bern.' <<<"$said" ;;
    esac
}
# needs PROGRAM: whether it loads our shared library at run time.
needs() { readelf -d "$1" | grep -F '[libinterfuse.so.0]' >/dev/null; }
# both FOLDER LINK: the two programs of the consumer, linked as they should be.
both() {
    local program
    for program in "$1/chat_$2" "$1/fuse_$2"; do
        if [ "$2" = shared ]; then needs "$program" || { echo "$program has it inside"; return 1; }
        else ! needs "$program" || { echo "$program is not linked statically"; return 1; }; fi
        answered "$program" || return 1
    done
}

# configures FOLDER CC CXX OPTIONS...: the consumer, its warnings as errors.
configures() {
    local folder=$1 cc=$2 cxx=$3 ; shift 3
    cmake -S "$here/consumer" -B "$folder" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_C_FLAGS='-Wall -Wextra -Wpedantic -Werror' -DCMAKE_CXX_FLAGS='-Wall -Wextra -Wpedantic -Werror' "$@"
}
cmake_builds() { configures "$@" && cmake --build "$1"; }
# pkg_builds SOURCE OUT PACKAGE COMPILER...: as a makefile would; the shell reads the escapes of pkg-config.
pkg_builds() {
    local source=$1 out=$2 package=$3 path flags ; shift 3
    export PKG_CONFIG_PATH=$tree/lib/pkgconfig
    flags=$(pkg-config --cflags --libs "$package") && path=$(pkg-config --variable=libdir "$package") || return 1
    [ "$package" = interfuse ] && flags="$flags $(printf '%q' "-Wl,-rpath,$(eval echo "$path")")"
    eval "$* -Wall -Wextra -Wpedantic -Werror $(printf '%q' "$tree/examples/$source") -o $(printf '%q' "$out") $flags"
}

for pair in "gcc g++" "clang clang++"; do
    read -r cc cxx <<<"$pair"
    has $cc && has $cxx || continue
    check "dist_find_package_$cc" cmake_builds "a folder/found-$cc" $cc $cxx -DCMAKE_PREFIX_PATH="$tree" -DWANTED=0.1
    check "dist_fetch_content_$cc" cmake_builds "a folder/fetched-$cc" $cc $cxx -DARCHIVE="file://$archive" -DHASH="$hash"
    for link in shared static; do
        check "dist_find_package_${link}_${cc}_runs" both "a folder/found-$cc" $link
        check "dist_fetch_content_${link}_${cc}_runs" both "a folder/fetched-$cc" $link
        package=interfuse ; [ $link = shared ] || package=interfuse-static
        made="a folder/pkg-$cc" ; mkdir -p "$made"
        check "dist_pkg_config_${link}_$cc" pkg_builds chat.c "$made/chat_$link" $package $cc -std=c11
        check "dist_pkg_config_${link}_$cxx" pkg_builds fuse.cpp "$made/fuse_$link" $package $cxx -std=c++17
        check "dist_pkg_config_${link}_${cc}_runs" both "$made" $link
    done
done

examples() {
    local program
    cmake -S "$tree/examples" -B examples && cmake --build examples || return 1
    for program in {chat,loop,fuse,budget,batch,log}{,_cpp} stream; do answered "./examples/$program" || return 1; done
    cmake -S "$tree/examples" -B examples -DINTERFUSE_LINK=static && cmake --build examples --target loop || return 1
    ! needs examples/loop && answered ./examples/loop
}
check dist_examples_build_where_they_lie_and_run examples

# wants VERSION: configures with this wish.
wants() { configures "wish" gcc g++ -DCMAKE_PREFIX_PATH="$tree" -DWANTED="$1"; }
check dist_refuses_a_later_minor_version refuses 'version: 0.1.0' wants 0.2
check dist_refuses_an_earlier_minor_version refuses 'version: 0.1.0' wants 0.0.9
check dist_fits_a_range_of_versions wants 0.0.9...0.2
check dist_refuses_a_range_that_ends_before refuses 'version: 0.1.0' wants '0.0.9...<0.1'
check dist_refuses_another_system refuses 'this archive was built for' \
    cmake -S "$tree" -B other -DCMAKE_SYSTEM_NAME=Darwin -DCMAKE_SYSTEM_PROCESSOR=arm64

# Shipped: the program and the library beside it, installed by CMake, the archive gone from where it was.
installs() { cmake --install "a folder/found-gcc" --prefix "$work/shipped"; }
check dist_program_installs_with_the_library installs
mv "$tree" "another place/moved" ; tree="$work/another place/moved"
gone() { refuses 'libinterfuse.so.0' "$work/a folder/found-gcc/chat_shared"; }
check dist_program_has_no_other_library gone
check dist_installed_program_runs_without_the_archive answered "$work/shipped/bin/chat_shared"
check dist_moved_find_package cmake_builds "moved" gcc g++ -DCMAKE_PREFIX_PATH="$tree"
for link in shared static; do
    check "dist_moved_${link}_runs" both moved $link
    package=interfuse ; [ $link = shared ] || package=interfuse-static
    mkdir -p moved-pkg
    check "dist_moved_pkg_config_$link" pkg_builds chat.c moved-pkg/chat_$link $package gcc -std=c11
    check "dist_moved_pkg_config_${link}_runs" answered moved-pkg/chat_$link
done

[ $failures -eq 0 ] && rm -rf "$work"
[ $failures -eq 0 ]
