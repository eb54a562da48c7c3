"""A made-up month, written out of a ledger by the library."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

Write = Callable[..., tuple[Path, Any]]


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes an export of that month; gives the file, and what the library says of it."""
    folder = tmp_path_factory.mktemp("exports")

    def one(name: str, attempts: int = 3000, **request: Any) -> tuple[Path, Any]:
        file = folder / name
        program = TARGET / "debug" / "sample-ledger"
        done = subprocess.run([program, json.dumps(request), file, str(attempts)], capture_output=True, text=True, check=True)
        return file, json.loads(done.stdout)

    return one
