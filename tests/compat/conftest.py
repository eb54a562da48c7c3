"""The scripted upstream of the package's own tests, and the transport for the library that the installed openai uses."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

_FILE = Path(__file__).resolve().parents[2] / "bindings-python" / "tests" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("scripted", _FILE)
assert _SPEC is not None and _SPEC.loader is not None
scripted = importlib.util.module_from_spec(_SPEC)
sys.modules["scripted"] = scripted
_SPEC.loader.exec_module(scripted)

program, start = scripted.program, scripted.start

TRANSPORT = "interfuse.httpx" if int(openai.__version__.split(".")[0]) < 3 else "interfuse.httpx2"


@pytest.fixture
def transport() -> Any:
    """``interfuse.httpx`` or ``interfuse.httpx2``."""
    return importlib.import_module(TRANSPORT)
