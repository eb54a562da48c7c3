#!/usr/bin/env bash
# Packs target/dist/interfuse-VERSION.tar.gz, the sources that pip builds, and of nothing else than these the wheel
# target/dist/interfuse-VERSION-cp311-abi3-PLATFORM.whl, which serves every CPython from 3.11. One commit gives one of each,
# byte for byte. PROFILE=dev packs a quick build.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
bash "$SETUP/machine.sh" dist-python
bash "$SETUP/python.sh"
profile=${PROFILE:-release}
target=$(rustc -vV | awk '/^host:/ { print $2 }')
# The first is the workspace's.
version=$(awk -F'"' '/^version/ { print $2; exit }' Cargo.toml)
out=$TARGET/dist
work=$out/pack-python
tree=$work/interfuse-$version
notices=bindings-python/THIRD-PARTY.md
export CARGO_TARGET_DIR=$TARGET
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
rm -rf "$work" && mkdir -p "$work"

title "sources"
# It travels with the sources, so that a wheel made of them has it, too; the checkout does not keep it.
trap 'rm -f "$ROOT/$notices"' EXIT
python3 "$SETUP/third_party.py" interfuse-python "$target" >"$notices"
maturin sdist --manifest-path bindings-python/Cargo.toml --out "$work"
# With the moment of unpacking: what changed must look newer than what was built.
tar -xmzf "$work/interfuse-$version.tar.gz" -C "$work"

title "wheel ($profile)"
# What is shipped names no folder of the machine it was built on; a quick build is not compiled anew for that.
if [ "$profile" = release ]; then
    unit=$'\x1f' at=$ROOT
    case $work in "$ROOT"/*) ;; *) at=$work ;; esac
    remap="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo${unit}--remap-path-prefix=$at=interfuse"
    export CARGO_ENCODED_RUSTFLAGS="${RUSTFLAGS:+${RUSTFLAGS// /$unit}$unit}$remap"
fi
(cd "$tree" && maturin build --profile "$profile" --out "$work/built")
# Taken apart once more: the list of what is linked in names the folder it was read in, and a quick build has all its symbols.
wheel unpack --dest "$work/wheel" "$work"/built/*.whl >/dev/null
held=$work/wheel/interfuse-$version
sed -i "s|file://$tree|file:///interfuse|g" "$held"/*.dist-info/sboms/*.json
strip --strip-unneeded "$held"/interfuse/_native.abi3.so
wheel pack --dest-dir "$work" "$held" >/dev/null

rm -f "$out"/interfuse-*.whl "$out/interfuse-$version.tar.gz"
mv "$work"/*.whl "$work/interfuse-$version.tar.gz" "$out"
(cd "$out" && for file in interfuse-*.whl "interfuse-$version.tar.gz"; do
    sha256sum "$file" >"$file.sha256"
    printf '%9d KB  %s\n' $(($(stat -c %s "$file") / 1000)) "$file"
done)
rm -rf "$work"
