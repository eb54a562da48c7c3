"""The wheel and the sources that `make dist-python` packs: what they hold, and what comes of installing them."""

from __future__ import annotations

import configparser
import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PACKAGE = ROOT / "bindings-python" / "python"
(WHEEL,) = (TARGET / "dist").glob("interfuse-*.whl")
NAME, VERSION, _, TAGS = parse_wheel_filename(WHEEL.name)
INFO = f"interfuse-{VERSION}.dist-info"
SOURCES = WHEEL.parent / f"interfuse-{VERSION}.tar.gz"
GUARD = 300.0
"""Seconds after which something hangs; nothing is measured with it."""

IN_THE_WHEEL = (
    ["interfuse/*.py", "interfuse/*.pyi", "interfuse/py.typed", "interfuse/_native.abi3.so", "interfuse/testing/*.py"]
    + [f"{INFO}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "sboms/interfuse-python.cyclonedx.json")]
    + [f"{INFO}/licenses/{name}" for name in ("LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY.md")]
)
IN_THE_SOURCES = (
    ["Cargo.lock", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "PKG-INFO", "README.md", "THIRD-PARTY.md", "pyproject.toml"]
    + [f"bindings-python/{name}" for name in ("Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "src/*.rs")]
    + [f"core/{name}" for name in ("Cargo.toml", "build.rs", "benches/*.rs", "examples/*.rs")]
    + [f"core/data/{name}" for name in ("models.json", "providers.toml")]
    + [f"core/src/*.{kind}" for kind in ("rs", "css", "txt", "csv", "json")]
    + ["python/interfuse/*.py", "python/interfuse/*.pyi", "python/interfuse/py.typed"]
)


def run(*command: str | Path, cwd: Path | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program that does not see the checkout's package."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=GUARD, check=False, **more)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done


def only(names: list[str], allowed: list[str]) -> None:
    """Nothing but what is allowed is there, and each of that is."""
    assert [name for name in names if not any(fnmatchcase(name, one) for one in allowed)] == []
    assert [one for one in allowed if not any(fnmatchcase(name, one) for name in names)] == []


def package() -> set[str]:
    """What belongs to the package in the checkout, the compiled half apart."""
    files = (file for file in (PACKAGE / "interfuse").rglob("*") if file.is_file() and file.suffix in (".py", ".pyi", ".typed"))
    return {str(file.relative_to(PACKAGE)) for file in files}


@pytest.fixture(scope="session")
def held() -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(WHEEL) as wheel:
        yield wheel


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, unpacked."""
    folder = tmp_path_factory.mktemp("sources")
    with tarfile.open(SOURCES) as packed:
        packed.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    assert tree.name == f"interfuse-{VERSION}"
    return tree


def test_the_wheel_holds_the_package_and_nothing_else(held: zipfile.ZipFile) -> None:
    names = held.namelist()
    only(names, IN_THE_WHEEL)
    assert package() == {name for name in names if name.startswith("interfuse/")} - {"interfuse/_native.abi3.so"}
    assert all(held.read(name) == (PACKAGE / name).read_bytes() for name in package())
    assert held.testzip() is None


def test_the_sources_hold_what_builds_the_wheel_and_nothing_else(sources: Path) -> None:
    names = [str(file.relative_to(sources)) for file in sources.rglob("*") if file.is_file()]
    only(names, IN_THE_SOURCES)
    assert {f"python/{name}" for name in package()} == {name for name in names if name.startswith("python/")}


def test_the_sources_build_what_was_tested(sources: Path) -> None:
    """Cargo finds all in them, and takes the versions of this checkout."""
    command = ["cargo", "metadata", "--offline", "--format-version", "1", "--manifest-path", sources / "Cargo.toml"]
    found = json.loads(run(*command).stdout)["packages"]
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    assert {(one["name"], one["version"]) for one in found} <= {(one["name"], one["version"]) for one in lock}
    own = {one["name"] for one in found if one["source"] is None}
    assert own == {"interfuse", "interfuse-python"}


def test_the_names_of_what_serves_every_python(held: zipfile.ZipFile) -> None:
    assert NAME == "interfuse"
    assert {(tag.interpreter, tag.abi) for tag in TAGS} == {("cp311", "abi3")}
    assert all("linux" in tag.platform for tag in TAGS)
    run(sys.executable, "-m", "abi3audit", "--strict", WHEEL)


def test_what_it_says_of_itself(held: zipfile.ZipFile) -> None:
    told = email.message_from_bytes(held.read(f"{INFO}/METADATA"))
    wanted = [Requirement(line) for line in told.get_all("Requires-Dist") or []]
    assert [str(one) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})] == []
    brought = {
        extra: {one.name for one in wanted if one.marker is not None and one.marker.evaluate({"extra": extra})}
        for extra in told.get_all("Provides-Extra") or []
    }
    assert brought == {"local": {"xllamacpp"}, "notebook": {"tqdm"}, "pandas": {"pandas"}, "polars": {"polars"}}
    assert (told["Requires-Python"], told["License-Expression"]) == (">=3.11", "MIT OR Apache-2.0")
    assert set(told.get_all("License-File") or []) == {"LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY.md"}
    scripts = configparser.ConfigParser()
    scripts.read_string(held.read(f"{INFO}/entry_points.txt").decode())
    assert dict(scripts["console_scripts"]) == {"interfuse": "interfuse.cli:main"}
    run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", WHEEL, SOURCES)


def test_what_is_linked_in_is_listed_with_its_licences(held: zipfile.ZipFile) -> None:
    listed = {one["name"] for one in json.loads(held.read(f"{INFO}/sboms/interfuse-python.cyclonedx.json"))["components"]}
    notices = held.read(f"{INFO}/licenses/THIRD-PARTY.md").decode()
    for crate in ("tokio", "rustls", "ring", "pyo3", "libsqlite3-sys"):
        assert crate in listed and f"| {crate} " in notices


def test_nothing_tells_where_it_was_built(held: zipfile.ZipFile) -> None:
    """A quick build tells where its crates lay; what is shipped does not."""
    places = [f"{ROOT}/"]
    if os.environ.get("PROFILE") == "release":
        places.append(f"{os.environ.get('CARGO_HOME', Path.home() / '.cargo')}/")
    for name in held.namelist():
        assert not [place for place in places if place.encode() in held.read(name)], name


def pythons() -> list[str]:
    """Every CPython from 3.11 that starts here, this one first."""
    found = {sys.version_info[:2]: sys.executable}
    for minor in range(11, 20):
        path = shutil.which(f"python3.{minor}")
        asked = "import sys, venv, ensurepip; print(sys.implementation.name)"
        starts = path and subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
        if path and starts and (starts.returncode, starts.stdout) == (0, "cpython\n"):
            found.setdefault((3, minor), path)
    return list(found.values())


@pytest.fixture(scope="session", params=pythons(), ids=lambda path: Path(path).name)
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    run(request.param, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-index", "--disable-pip-version-check", WHEEL)
    return python


@pytest.fixture
def server() -> Iterator[str]:
    """The scripted upstream, which says "In Bern." to everybody; the configuration of a client of it."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    script = {"routes": [{"when": {}, "then": {"answer": "In Bern.", "usage": usage}}]}
    with subprocess.Popen([TARGET / "debug" / "upstream", "--script", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as up:
        assert up.stdin is not None and up.stdout is not None
        up.stdin.write(json.dumps(script).encode())
        up.stdin.flush()
        base = json.loads(up.stdout.readline())["base_url"]
        providers = {"up": {"base_url": f"{base}/v1", "api_key": "key-of-up-only"}}
        yield json.dumps({"providers": providers, "prices": {"up/m": {"input": "1", "output": "2"}}, "use_environment": False})
        up.stdin.close()


ASKS = """
import asyncio, json, sys
import interfuse
config, hi = json.loads(sys.argv[1]), [{"role": "user", "content": "Where do you live?"}]
client = interfuse.Client(config)
answer = client.chat(model="up/m", messages=hi)
assert answer.choices[0].message.content == "In Bern." and answer.interfuse.cost_nanos == 11_000
assert "".join(c.choices[0].delta.content or "" for c in client.chat(model="up/m", messages=hi, stream=True) if c.choices) == "In Bern."
assert client.fuse("Where?", pool=["up/m", "up/m"], mode="vote").text == "In Bern."
async def main():
    async with interfuse.AsyncClient(config) as client:
        return await client.chat(model="up/m", messages=hi)
assert asyncio.run(main()).choices[0].message.content == "In Bern."
for method, extra in (("to_pandas", "interfuse[pandas]"), ("to_polars", "interfuse[polars]")):
    try: getattr(client.usage(), method)()
    except interfuse.PackageError as error: assert extra in str(error)
    else: raise AssertionError(method)
print(interfuse.__version__, interfuse.__file__)
"""


def test_installed_where_nothing_else_is(bare: Path, server: str, tmp_path: Path) -> None:
    listed = json.loads(run(bare, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check").stdout)
    assert {one["name"] for one in listed} - {"pip", "setuptools"} == {"interfuse"}
    version, file = run(bare, "-c", ASKS, server, cwd=tmp_path).stdout.split()
    assert version == str(VERSION) and Path(file).is_relative_to(bare.parents[1])
    assert str(VERSION) in run(bare.parent / "interfuse", "--version").stdout


def test_the_types_come_with_it(bare: Path, tmp_path: Path) -> None:
    checker = ROOT / ".venv" / "bin" / "python"
    program = ROOT / "bindings-python" / "tests" / "user_types.py"
    run(checker, "-m", "mypy", "--strict", "--python-executable", bare, "--cache-dir", tmp_path, program, cwd=tmp_path)


TABLES = """
import json, sys
import interfuse
client = interfuse.Client(json.loads(sys.argv[1]))
for project in ("search", "chat"):
    client.chat(model="up/m", messages=[{"role": "user", "content": "Where?"}], tags={"project": project})
usage, records = client.usage(by=["project"]), client.records()
for frame in (usage.to_pandas(), usage.to_polars()):
    assert sorted(frame["project"]) == ["chat", "search"] and frame["cost_nanos"].sum() == 22_000
for frame in (records.to_pandas(), records.to_polars()):
    assert frame.shape[0] == 2 and set(frame["provider"]) == {"up"}
assert list(records.to_pandas().columns) == records.to_polars().columns
told = client.ledger.export_focus(sys.argv[2])
import polars
assert polars.read_parquet(sys.argv[2]).height == told.rows > 0
if hasattr(client, "batch"):
    assert [row.text for row in client.batch(["a", "b"], model="up/m")] == ["In Bern."] * 2
print(interfuse.__file__)
"""


def test_extras_bring_what_is_used(server: str, tmp_path: Path) -> None:
    """What their packages are for works with the ones that are pinned here, which the extras' bounds admit."""
    folder = tmp_path / "site"
    wheel = f"interfuse[notebook,pandas,polars] @ {WHEEL.as_uri()}"
    run(sys.executable, "-m", "pip", "install", "--no-index", "--disable-pip-version-check", "--dry-run", wheel)
    run(sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", "--target", folder, WHEEL)
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{TABLES}"
    done = run(sys.executable, "-c", program, server, tmp_path / "october.parquet", cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(folder)
    if "batch" in (PACKAGE / "interfuse" / "client.py").read_text():
        assert "2/2" in done.stderr
