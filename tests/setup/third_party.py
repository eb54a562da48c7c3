"""Writes what is linked into a package of this workspace: names, versions and licences, then the licences' texts as each
crate carries them. Usage: third_party.py PACKAGE TARGET > THIRD-PARTY.md"""

import json
import subprocess
import sys
from pathlib import Path

TEXTS = ("license", "licence", "copying", "copyright", "notice", "unlicense")


def cargo(*words: str) -> str:
    return subprocess.run(["cargo", *words, "--locked"], check=True, capture_output=True, text=True).stdout


def linked(package: str, target: str) -> set[tuple[str, str]]:
    """Name and version of every crate of others that ends up in the library; what only builds it does not."""
    tree = cargo(
        "tree", "-p", package, "--target", target, "-e", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"
    )
    words = (line.split() for line in tree.splitlines() if line)
    return {(word[0], word[1].removeprefix("v")) for word in words}


def texts(folder: Path, named: str | None) -> list[str]:
    files = {file for file in folder.iterdir() if file.is_file() and file.name.lower().startswith(TEXTS)}
    if named:
        files.add(folder / named)
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in sorted(files) if file.is_file()]


def main(package: str, target: str) -> None:
    wanted = linked(package, target)
    crates = [
        crate
        for crate in json.loads(cargo("metadata", "--format-version", "1"))["packages"]
        if crate["source"] and (crate["name"], crate["version"]) in wanted
    ]
    crates.sort(key=lambda crate: (crate["name"], crate["version"]))
    if not crates:
        sys.exit(f"{package} has no dependency on {target}: that cannot be")
    print("# What is linked in\n")
    print("Besides these, the standard library of Rust (MIT OR Apache-2.0). A crate without a text of its own here stands under")
    print("the terms that its line names. libsqlite3-sys brings SQLite, which is in the public domain.\n")
    print("| crate | licence | source |\n|---|---|---|")
    # Texts that differ in the width of their lines only are one.
    holders: dict[str, tuple[str, list[str]]] = {}
    for crate in crates:
        name = f"{crate['name']} {crate['version']}"
        print(f"| {name} | {crate['license'] or crate['license_file']} | {crate['repository'] or ''} |")
        for text in texts(Path(crate["manifest_path"]).parent, crate["license_file"]):
            names = holders.setdefault(" ".join(text.split()), (text, []))[1]
            if name not in names:
                names.append(name)
    for text, names in holders.values():
        print(f"\n## {', '.join(names)}\n\n```text\n{text}\n```")


if __name__ == "__main__":
    main(*sys.argv[1:])
