#!/usr/bin/env bash
# The header against the record of its ABI (symbols.txt), and what abi.py says of changes, made to copies of both: those that
# break programs are refused and named, additions are asked to be recorded, other names and words are nobody's business. One
# line per test, as the C programs print them; run.sh counts them.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../setup/common.sh"
bash "$SETUP/python.sh" || exit 1
work=$TARGET/test-abi
failures=0
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1

# check NAME COMMAND...: one test, whose output is shown if it fails.
check() {
    local name=$1 text ; shift
    if text=$("$@" 2>&1); then echo "ok $name"
    else echo "FAIL $name"; sed 's/^/    /' <<<"$text"; failures=$((failures + 1)); fi
}
abi() { python "$here/abi.py" "$@"; }
check abi_is_what_is_recorded abi "$ROOT/include/interfuse.h" "$here/symbols.txt"

# changed PYTHON: a copy of the header with this done to its text `h`, which must change it.
changed() {
    python - "$ROOT/include/interfuse.h" "$1" >interfuse.h <<'PYTHON'
import re, sys
h = before = open(sys.argv[1]).read()
exec(sys.argv[2])
assert h != before, "the header is as it was"
print(h, end="")
PYTHON
    cp "$here/symbols.txt" symbols.txt
}
# breaks NAME PYTHON: refused, by name, with what to do; and no record makes it good.
breaks() {
    local name=$1 text ; shift
    changed "$1" || return 1
    for version in "" 0.2.0; do
        text=$(abi interfuse.h symbols.txt $version) && { echo "this went well"; return 1; }
        grep "^$name, .*raise the SONAME" <<<"$text" || { echo "$text"; return 1; }
        [ "$(wc -l <<<"$text")" = 1 ] && cmp symbols.txt "$here/symbols.txt" || { echo "$text"; return 1; }
    done
}
# grows NAME PYTHON: asked to be recorded, and fine once it is, with the version that brought it.
grows() {
    local name=$1 text ; shift
    changed "$1" || return 1
    text=$(abi interfuse.h symbols.txt) && { echo "this went well"; return 1; }
    grep "^$name, .*record it" <<<"$text" && ! grep SONAME <<<"$text" || { echo "$text"; return 1; }
    abi interfuse.h symbols.txt 0.2.0 && abi interfuse.h symbols.txt && grep -E "^[a-z]+ $name 0\.2\.0 " symbols.txt &&
        [ "$(grep -c ' 0\.1\.0 ' symbols.txt)" = "$(grep -c ' 0\.1\.0 ' "$here/symbols.txt")" ]
}
unharmed() { changed "$1" && abi interfuse.h symbols.txt; }

check abi_refuses_a_function_that_is_gone breaks interfuse_replay 'h = re.sub(r"int32_t interfuse_replay\([^;]*;", "", h)'
check abi_refuses_another_type_of_a_parameter breaks interfuse_shutdown 'h = h.replace("interfuse_shutdown(int64_t", "interfuse_shutdown(int32_t")'
check abi_refuses_one_parameter_more breaks interfuse_string_free 'h = h.replace("interfuse_string_free(char *text)", "interfuse_string_free(char *text, int32_t n)")'
check abi_refuses_another_result breaks interfuse_abi_version 'h = h.replace("uint32_t interfuse_abi_version", "uint64_t interfuse_abi_version")'
check abi_refuses_a_lost_const breaks interfuse_error_json 'h = h.replace("const char *interfuse_error_json", "char *interfuse_error_json")'
check abi_refuses_another_callback breaks interfuse_callback 'h = h.replace("(*interfuse_callback)(void *user_data)", "(*interfuse_callback)(int32_t status, void *user_data)")'
check abi_refuses_another_value breaks INTERFUSE_TIMEOUT 'h = h.replace("INTERFUSE_TIMEOUT (-13)", "INTERFUSE_TIMEOUT (-33)")'
check abi_refuses_an_earlier_abi breaks INTERFUSE_ABI_VERSION 'h = h.replace("ABI_VERSION 0", "ABI_VERSION (-1)")'
check abi_asks_to_record_a_function grows interfuse_more 'h = h.replace("uint32_t interfuse_abi", "int32_t interfuse_more(const char *text);\nuint32_t interfuse_abi")'
check abi_asks_to_record_a_constant grows INTERFUSE_LATE 'h = h.replace("#define INTERFUSE_END 1", "#define INTERFUSE_END 1\n#define INTERFUSE_LATE (-25)")'
check abi_does_not_mind_names_and_words unharmed 'h = h.replace("int64_t timeout_ms", "int64_t ms").replace("Done.", "All is well.").replace("(-13)", "-13")'

# The header has no struct and no enum; should one come, its layout and its values are held as well.
layout='h = h.replace("uint32_t interfuse_abi", "typedef struct interfuse_size { int32_t width; int32_t height; } interfuse_size;\nenum interfuse_side { INTERFUSE_LEFT, INTERFUSE_RIGHT };\nuint32_t interfuse_abi")'
# laid NAME PYTHON: the struct and the enum recorded, then this done to them.
laid() {
    changed "$layout" && abi interfuse.h symbols.txt 0.2.0 && cp symbols.txt before.txt && changed "$layout; $2" && cp before.txt symbols.txt || return 1
    local text ; text=$(abi interfuse.h symbols.txt) && { echo "this went well"; return 1; }
    echo "$text" ; grep "^$1, .*raise the SONAME" <<<"$text"
}
check abi_refuses_another_layout laid struct:interfuse_size 'h = h.replace("int32_t width; int32_t height;", "int32_t height; int32_t width;")'
check abi_refuses_another_value_of_an_enum laid INTERFUSE_RIGHT 'h = h.replace("INTERFUSE_LEFT,", "INTERFUSE_LEFT, INTERFUSE_MIDDLE,")'

# Another ABI: everything may change, and is recorded with the version that changed it.
raised() {
    changed 'h = h.replace("ABI_VERSION 0", "ABI_VERSION 1").replace("interfuse_shutdown(int64_t", "interfuse_shutdown(int32_t")' || return 1
    abi interfuse.h symbols.txt && { echo "this went well"; return 1; }
    abi interfuse.h symbols.txt 1.0.0 && abi interfuse.h symbols.txt || return 1
    grep ' 1\.0\.0 ' symbols.txt ; [ "$(grep -c ' 1\.0\.0 ' symbols.txt)" = 2 ]
}
check abi_of_another_number_may_differ raised

[ $failures -eq 0 ] && rm -rf "$work"
[ $failures -eq 0 ]
