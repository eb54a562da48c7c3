#!/usr/bin/env bash
# Every test there is, in an order that builds each thing once: the C library, the Python package and the Node addon with
# their own tests, then Rust's, whose parity scenarios run through all three, then the faults, then the judges from outside
# (the vendors' SDKs, the clients that run on interfuse, FOCUS' validator), then a fuzzer. A part that is missing or cannot
# build counts as a failure; the others still run. PARTS="c python" runs some parts only and says so.
set -uo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
all_parts="c python node rust faults vendors compat focus fuzz"
parts=${PARTS:-$all_parts}
logs=$TARGET/test-logs
mkdir -p "$logs"
rm -f "$logs"/*

bash "$SETUP/machine.sh" test && bash "$SETUP/python.sh" || exit 1

names=() ; declare -A passed failed skipped
# tally NAME PASSED FAILED SKIPPED
tally() {
    [ -n "${passed[$1]+x}" ] || { names+=("$1"); passed[$1]=0 failed[$1]=0 skipped[$1]=0; }
    passed[$1]=$((passed[$1] + $2)) failed[$1]=$((failed[$1] + $3)) skipped[$1]=$((skipped[$1] + $4))
}

# step LOG COMMAND...: runs a command, showing its output and keeping it in a log.
step() {
    local log=$logs/$1.log; shift
    "$@" </dev/null 2>&1 | tee -a "$log"
    return "${PIPESTATUS[0]}"
}

# within FOLDER COMMAND...: where the tool's own configuration lies.
within() { (cd "$1" && shift && "$@"); }

# count NAME LOG STATUS READER: what a runner's log says; a runner that failed without naming a failed test, or that ran
# nothing, is one failure.
count() {
    local p f s
    read -r p f s < <("$4" "$logs/$2.log" "$1")
    if [ "$3" -ne 0 ] && [ "$f" -eq 0 ] || [ $((p + f)) -eq 0 ]; then f=$((f + 1)); fi
    tally "$1" "$p" "$f" "$s"
}
read_cargo()  { awk '/^test result:/ { p += $4; f += $6; s += $8 } END { print p+0, f+0, s+0 }' "$1"; }
read_pytest() { grep -E '^=* ?[0-9]+ (passed|failed|skipped|error).* in [0-9]' "$1" | awk '{
    for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1); if ($i ~ /^error/) f += $(i-1); if ($i ~ /^skipped/) s += $(i-1) } }
    END { print p+0, f+0, s+0 }' | grep . || echo 0 0 0; }
read_node()   { awk '/^(#|ℹ) (pass|fail|cancelled|skipped|todo) [0-9]+$/ { n[$2] += $3 }
    END { print n["pass"]+0, n["fail"]+n["cancelled"]+0, n["skipped"]+n["todo"]+0 }' "$1"; }
# The C runner closes with one plain line per language: "C: N passed, M failed".
read_plain()  { awk -v name="$2:" '$1 == name && $3 == "passed," { p += $2; f += $4 } END { print p+0, f+0, 0 }' "$1"; }
# One figure for each target that held, and one line for each input that one did not hold for.
read_fuzz()   { awk '/^stat::number_of_executed_units/ { p++ } /^kept: / { f++ } END { print p+0, f+0, 0 }' "$1"; }
# The player of faults closes with its tally.
read_last()   { tail -n 1 "$1" | awk '$2 == "passed," { p = $1; f = $3 } END { print p+0, f+0, 0 }'; }

part_c() {
    title "C and C++"
    step c cargo build --locked -p interfuse-ffi && step c bash tests/c/run.sh
    local status=$?
    count C c $status read_plain
    count C++ c 0 read_plain
}

# types LOG COMMAND...: a checker of the Python package's types, which is one test.
types() { if step "$1" within bindings-python "${@:2}"; then tally Types 1 0 0; else tally Types 0 1 0; fi; }

part_python() {
    title "Python"
    if ! step python bash "$SETUP/bind-python.sh"; then tally Python 0 1 0; return; fi
    # The real small model is part of the tests; where its packages have no build for a machine, those tests are skipped.
    step python python -P bindings-python/python/interfuse/local.py install
    step pytest within bindings-python python -m pytest tests
    count Python pytest $? read_pytest
    step wheel bash "$SETUP/wheel.sh"
    count Python wheel $? read_pytest
    types mypy python -m mypy --strict python tests
    types pyright pyright
    types stubtest python -m mypy.stubtest --allowlist stubtest.txt interfuse
}

part_node() {
    title "Node"
    if ! step node bash "$SETUP/bind-node.sh"; then tally Node 0 1 0; return; fi
    step nodetest npm --prefix bindings-node test
    count Node nodetest $? read_node
    if step tsc npm --prefix bindings-node run typecheck; then tally Types 1 0 0; else tally Types 0 1 0; fi
}

part_rust() {
    title "Rust"
    step rust cargo test --locked --workspace --no-fail-fast
    count Rust rust $? read_cargo
}

# Needs the packages, as parity does. The faults wait more than they work: an outage of a minute and the recovery after it.
part_faults() {
    title "Faults"
    step faults bash "$SETUP/faults.sh" built
    count Faults faults $? read_last
}

# package LOG: the Python package, which the parts below need, where no part before has built it.
package() { [ -n "$(ls bindings-python/python/interfuse/_native*.so 2>/dev/null)" ] || step "$1" bash "$SETUP/bind-python.sh"; }

part_vendors() {
    title "Vendors' SDKs"
    package vendors
    step vendors cargo build --locked --workspace --bin upstream && step judges bash "$SETUP/vendors.sh" built
    count Vendors judges $? read_pytest
}

part_compat() {
    title "Clients on interfuse"
    package compat
    step compat cargo build --locked --workspace --bin upstream && step clients bash "$SETUP/compat.sh" built
    count Clients clients $? read_pytest
}

part_focus() {
    title "Exports and the page"
    package focus
    bash "$SETUP/machine.sh" focus && step exports bash "$SETUP/focus.sh" built
    count Focus exports $? read_pytest
}

# A few seconds for each target, beside the kept inputs, which `cargo test` tries in any case.
part_fuzz() {
    title "Made-up inputs"
    step fuzz env FUZZ_SECONDS="${FUZZ_SECONDS:-5}" bash "$SETUP/fuzz.sh"
    count Fuzz fuzz $? read_fuzz
}

for part in $all_parts; do
    case " $parts " in *" $part "*) "part_$part" ;; esac
done

p=0 f=0 s=0
title "how many ran (logs: ${logs#"$ROOT"/})"
[ "$parts" = "$all_parts" ] || echo "only these parts: $parts"
for name in "${names[@]}"; do
    line="$name: ${passed[$name]} passed, ${failed[$name]} failed"
    [ "${skipped[$name]}" -eq 0 ] || line="$line, ${skipped[$name]} skipped"
    echo "$line"
    p=$((p + passed[$name])) f=$((f + failed[$name])) s=$((s + skipped[$name]))
done
if [ "$s" -eq 0 ]; then echo "$p passed, $f failed"; else echo "$p passed, $f failed, $s skipped"; fi
[ "$f" -eq 0 ]
