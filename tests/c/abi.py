"""The ABI as the header declares it, against the record in symbols.txt.

A line of the record is kind, name, the version of the library that brought it, and what it is in C. What programs that exist
rely on may only be added to, unless the shared library takes another name (its SONAME), which stands for another ABI; what is
added is recorded.

    abi.py HEADER SYMBOLS             says what differs and what to do; exit code 1 if anything does
    abi.py HEADER SYMBOLS VERSION     records what may be recorded, as of that version
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pycparser import c_ast, c_generator, c_parser

ABI = "INTERFUSE_ABI_VERSION"
RAISE = (
    "programs that are linked to the library of this name would break: keep it and add another beside it, or raise the SONAME "
    "(ABI in ffi/build.rs, INTERFUSE_ABI_VERSION in ffi/src/version.rs)"
)
RECORD = "record it: `python tests/c/abi.py include/interfuse.h tests/c/symbols.txt VERSION`"


@dataclass(frozen=True)
class Symbol:
    kind: str
    text: str
    since: str = ""


def preprocessed(header: Path, *flags: str) -> str:
    # The attributes of the C library's own headers are no C that a standard knows.
    command = ["cc", "-E", "-P", "-D__attribute__(x)=", "-D__extension__=", *flags, str(header)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def constants(header: Path) -> dict[str, Symbol]:
    """Macros with a value; how the value is written does not matter."""
    found = re.findall(r"^#define (INTERFUSE_\w+) (.+)$", preprocessed(header, "-dM"), re.MULTILINE)
    return {name: Symbol("constant", re.sub(r"^\((.*)\)$", r"\1", value.strip())) for name, value in found}


def written(node: c_ast.Node) -> str:
    """A type in C on one line, without the names that it and its parameters are declared under: no program relies on them."""
    todo = [node]
    while todo:
        inner = todo.pop()
        if isinstance(inner, c_ast.TypeDecl):
            inner.declname = None
        todo += [child for _, child in inner.children()]
    return " ".join(c_generator.CGenerator().visit(c_ast.Typename(None, [], None, node)).split())


def layouts(node: c_ast.Node) -> dict[str, Symbol]:
    """A struct or union with its members in their order, which decides where they lie; the constants of an enum."""
    found, name = {}, node.name
    while hasattr(node, "type") and not isinstance(node, (c_ast.Struct, c_ast.Union, c_ast.Enum)):
        node = node.type
    if isinstance(node, (c_ast.Struct, c_ast.Union)) and node.decls is not None:
        kind = type(node).__name__.lower()
        members = " ".join(f"{' '.join(c_generator.CGenerator().visit(member).split())};" for member in node.decls)
        found[f"{kind}:{node.name or name}"] = Symbol("layout", f"{{ {members} }}")
    if isinstance(node, c_ast.Enum) and node.values is not None:
        value = -1
        for enumerator in node.values.enumerators:
            value = int(c_generator.CGenerator().visit(enumerator.value), 0) if enumerator.value else value + 1
            found[enumerator.name] = Symbol("constant", str(value))
    return found


def declared(header: Path) -> dict[str, Symbol]:
    """Everything of the header that a compiled program relies on, by name."""
    found = constants(header)
    for node in c_parser.CParser().parse(preprocessed(header)).ext:
        if isinstance(node, (c_ast.Decl, c_ast.Typedef)):
            mine = (node.name or "interfuse_").startswith("interfuse_")
            found |= {name: layout for name, layout in layouts(node).items() if mine and "interfuse_" in name.lower()}
            if mine and node.name is not None:
                kind = "type" if isinstance(node, c_ast.Typedef) else "function"
                found[node.name] = Symbol(kind, written(node.type))
    return found


def recorded(symbols: Path) -> dict[str, Symbol]:
    rows = (line.split(" ", 3) for line in symbols.read_text().splitlines() if line and not line.startswith("#"))
    return {name: Symbol(kind, text, since) for kind, name, since, text in rows}


def order(name: str, symbol: Symbol) -> tuple[int, str]:
    return ("constant", "type", "layout", "function").index(symbol.kind), name


def write(symbols: Path, rows: dict[str, Symbol]) -> None:
    head = [line for line in symbols.read_text().splitlines() if line.startswith("#")]
    body = [f"{row.kind} {name} {row.since} {row.text}" for name, row in sorted(rows.items(), key=lambda row: order(*row))]
    symbols.write_text("\n".join([*head, *body]) + "\n")


def main(header: Path, symbols: Path, version: str | None = None) -> int:
    now, before = declared(header), recorded(symbols)

    def same(name: str) -> bool:
        return name in now and (now[name].kind, now[name].text) == (before[name].kind, before[name].text)

    added = [name for name in now if name not in before]
    broken = [name for name in before if not same(name)]
    other = ABI in now and int(now[ABI].text) > int(before[ABI].text)
    if broken and not other:
        for name in broken:
            what = f"is `{now[name].text}` now" if name in now else "is gone from the header"
            print(f"{name}, `{before[name].text}` since {before[name].since}, {what}: {RAISE}")
        return 1
    if version is not None:
        since = {name: before[name].since for name in before if same(name)}
        write(symbols, {name: Symbol(row.kind, row.text, since.get(name, version)) for name, row in now.items()})
        return 0
    for name in added:
        print(f"{name}, `{now[name].text}`, is not in symbols.txt; {RECORD}")
    if other:
        print(f"symbols.txt is that of ABI {before[ABI].text}, the header that of ABI {now[ABI].text}; {RECORD}")
    return 1 if added or other else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
