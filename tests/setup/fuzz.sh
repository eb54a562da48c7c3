#!/usr/bin/env bash
# Lets a fuzzer make up inputs for each target of tests/fuzz, FUZZ_SECONDS each (10 if not said). TARGETS="sse config" runs
# some. An input that a target does not hold for is kept in the target's corpus, where every `cargo test` tries it again,
# and fails this. What else is found new stays out of the checkout, in FUZZ_CORPUS if that is set.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
seconds=${FUZZ_SECONDS:-10}
fuzz=$ROOT/tests/fuzz
targets=${TARGETS:-$(cd "$fuzz/fuzz_targets" && echo *.rs | sed 's/\.rs//g')}

if ! command -v cargo-fuzz >/dev/null; then
    title "cargo-fuzz in .tools"
    cargo install cargo-fuzz --version 0.13.1 --locked --quiet --root "$ROOT/.tools" --target-dir "$TARGET/cargo-fuzz"
fi
bash "$SETUP/machine.sh" fuzz
# Coverage is a stable option of the compiler; cargo-fuzz asks for one that is not, and the library has no unsafe code that
# a sanitizer would watch.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=$fuzz/target
title "building the fuzz targets"
cargo fuzz build --fuzz-dir "$fuzz" --sanitizer none

failed=0
for target in $targets; do
    title "$target, $seconds s"
    found=${FUZZ_CORPUS:-$CARGO_TARGET_DIR/found}/$target
    mkdir -p "$found" "$fuzz/artifacts/$target"
    log=$fuzz/artifacts/$target.log
    # What was found first, so that new inputs go there; the kept ones are read only.
    if cargo fuzz run --fuzz-dir "$fuzz" --sanitizer none "$target" "$found" "$fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 >"$log" 2>&1; then
        grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$log"
    else
        failed=1
        tail -n 40 "$log"
    fi
    for input in "$fuzz/artifacts/$target"/*; do
        [ -f "$input" ] || continue
        case $(basename "$input") in
            crash-* | timeout-* | oom-*) mv "$input" "$fuzz/corpus/$target/" && echo "kept: tests/fuzz/corpus/$target/$(basename "$input")" ;;
            *) rm "$input" ;;
        esac
    done
done
exit $failed
