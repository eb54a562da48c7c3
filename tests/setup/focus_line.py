"""Writes the one line of focus-validator 2.2.1 that only Python 3.12 reads in words that 3.11 reads too."""

import sys
from importlib.util import find_spec
from pathlib import Path

NEW = """", ".join(f"'{k.replace('\\"', '\\"\\"')}'" for k in ignore_keys)"""
OLD = """", ".join("'" + k.replace('"', '""') + "'" for k in ignore_keys)"""

if sys.version_info < (3, 12):
    package = find_spec("focus_validator")
    assert package is not None and package.origin is not None
    file = Path(package.origin).parent / "config_objects" / "focus_to_duckdb_converter.py"
    text = file.read_text(encoding="utf-8")
    if NEW in text:
        file.write_text(text.replace(NEW, OLD), encoding="utf-8")
    elif OLD not in text:
        sys.exit(f"{file} is not what it was in 2.2.1; look whether it runs on this Python without this script")
