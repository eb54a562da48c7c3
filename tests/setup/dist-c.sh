#!/usr/bin/env bash
# Packs target/dist/interfuse-VERSION-TARGET.tar.gz for C and C++: headers, both libraries, what CMake and pkg-config need to
# find them, licences, examples. From ffi/package, which has the words, and a build of ffi/. One commit gives one archive,
# byte for byte. PROFILE=dev packs a quick build.
set -euo pipefail
. "$(dirname "$0")/common.sh"
cd "$ROOT"
bash "$SETUP/machine.sh" dist-c
profile=${PROFILE:-release}
target=$(rustc -vV | awk '/^host:/ { print $2 }')
case $target in
    *-linux-gnu) system=Linux ;;
    *) echo "make dist-c packs for Linux with glibc; for $target the names of the libraries are not known here" >&2; exit 1 ;;
esac
processor=${target%%-*} processors=$processor
case $processor in
    x86_64) processors='x86_64|amd64|AMD64' ;;
    aarch64) processors='aarch64|arm64' ;;
esac
# The first of each is the workspace's.
version=$(awk -F'"' '/^version/ { print $2; exit }' Cargo.toml)
url=$(awk -F'"' '/^repository/ { print $2; exit }' Cargo.toml)
abi=$(awk '/#define INTERFUSE_ABI_VERSION/ { print $3 }' include/interfuse.h)
soname=libinterfuse.so.$abi shared=libinterfuse.so.$version
name=interfuse-$version-$target
out=$TARGET/dist
work=$out/pack
tree=$work/$name

title "libraries ($profile)"
built=$TARGET/release flags=(--release) ; [ "$profile" = release ] || { built=$TARGET/debug flags=() ; }
rm -rf "$work" && mkdir -p "$tree"/{include,lib/pkgconfig,lib/cmake/interfuse,examples}
# A quick build is not compiled anew for that.
[ "$profile" = release ] && remap_paths
# rustc tells what a program that links the static library needs besides; cargo tells it again when nothing was to build.
cargo rustc --locked -p interfuse-ffi --lib "${flags[@]}" -- --print native-static-libs 2>&1 | tee "$work/build.log"
native=$(sed -n 's/^note: native-static-libs: //p' "$work/build.log" | tail -n 1)
[ -n "$native" ] || { echo "rustc did not say which libraries the static one needs" >&2; exit 1; }

title "$name"
install -m 755 "$built/libinterfuse.so" "$tree/lib/$shared"
install -m 644 "$built/libinterfuse.a" "$tree/lib/libinterfuse.a"
strip --strip-unneeded "$tree/lib/$shared"
strip --enable-deterministic-archives --strip-debug "$tree/lib/libinterfuse.a"
readelf -d "$tree/lib/$shared" | grep "SONAME.*\[$soname\]" >/dev/null || { echo "the shared library is not called $soname" >&2; exit 1; }
ln -s "$shared" "$tree/lib/$soname"
ln -s "$soname" "$tree/lib/libinterfuse.so"
glibc=$(objdump -T "$tree/lib/$shared" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
pointer=$(readelf -h "$tree/lib/$shared" | awk '/Class:/ { print $2 == "ELF64" ? 8 : 4 }')

numbers=${version%%-*}
major=${numbers%%.*} minor=${numbers#*.} ; minor=${minor%%.*}
# fill FILE INTO: a file of ffi/package with its @WORDS@ said.
fill() {
    sed -e "s|@VERSION@|$version|g" -e "s|@CMAKE_VERSION@|$numbers|g" -e "s|@MAJOR@|$major|g" -e "s|@MINOR@|$minor|g" \
        -e "s|@TARGET@|$target|g" -e "s|@ARCHIVE@|$name|g" -e "s|@URL@|$url|g" -e "s|@SYSTEM@|$system|g" \
        -e "s/@PROCESSORS@/$processors/g" -e "s|@POINTER@|$pointer|g" -e "s|@SHARED@|$shared|g" -e "s|@SONAME@|$soname|g" \
        -e "s|@NATIVE@|$native|g" -e "s|@NATIVE_LIST@|${native// /;}|g" \
        -e "s|@NEEDS@|Linux on $processor with glibc ${glibc#GLIBC_} or newer|g" "ffi/package/$1" >"$tree/$2"
    ! grep -nE '@[A-Z_]+@' "$tree/$2" || { echo "ffi/package/$1 has a word nobody says" >&2; exit 1; }
}
fill README.md README.md
fill CMakeLists.txt CMakeLists.txt
for file in cmake/interfuse-config cmake/interfuse-config-version; do fill $file.cmake "lib/cmake/interfuse/${file#*/}.cmake"; done
for file in interfuse interfuse-static; do fill pkgconfig/$file.pc lib/pkgconfig/$file.pc; done
cp include/interfuse.{h,hpp,schema.json} "$tree/include"
cp ffi/examples/* "$tree/examples"
cp LICENSE-MIT LICENSE-APACHE "$tree"
python3 "$SETUP/third_party.py" interfuse-ffi "$target" >"$tree/THIRD-PARTY.md"
find "$tree" -type d -exec chmod 755 {} + ; find "$tree" -type f ! -name '*.so.*' -exec chmod 644 {} +

# What it must hold, and nothing else.
cat >"$work/allowed" <<LIST
CMakeLists.txt
LICENSE-APACHE
LICENSE-MIT
README.md
THIRD-PARTY.md
examples/CMakeLists.txt
examples/batch.c
examples/batch.cpp
examples/budget.c
examples/budget.cpp
examples/chat.c
examples/chat.cpp
examples/fuse.c
examples/fuse.cpp
examples/log.c
examples/log.cpp
examples/loop.c
examples/loop.cpp
examples/stream.c
include/interfuse.h
include/interfuse.hpp
include/interfuse.schema.json
lib/cmake/interfuse/interfuse-config-version.cmake
lib/cmake/interfuse/interfuse-config.cmake
lib/libinterfuse.a
lib/libinterfuse.so
lib/$shared
lib/$soname
lib/pkgconfig/interfuse-static.pc
lib/pkgconfig/interfuse.pc
LIST
(cd "$tree" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort) >"$work/held"
LC_ALL=C sort "$work/allowed" | diff - "$work/held" >"$work/surprise" ||
    { echo "the archive does not hold what it should (<: missing, >: too much):" >&2; cat "$work/surprise" >&2; exit 1; }

archive=$out/$name.tar.gz
moment=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
level=-9 ; [ "$profile" = release ] || level=-1
LC_ALL=C tar --sort=name --format=ustar --mtime="@$moment" --owner=0 --group=0 --numeric-owner -C "$work" -cf - "$name" |
    gzip --no-name $level >"$archive.new"
mv "$archive.new" "$archive"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")

(cd "$tree" && for file in lib/$shared lib/libinterfuse.a THIRD-PARTY.md; do
    printf '%9d KB  %s\n' $(($(stat -c %s "$file") / 1000)) "$file"
done)
printf '%9d KB  %s\n' $(($(stat -c %s "$archive") / 1000)) "${archive#"$ROOT"/}"
echo "needs glibc ${glibc#GLIBC_}; the static library also $native"
rm -rf "$work"
