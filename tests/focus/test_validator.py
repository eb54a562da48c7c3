"""FOCUS' official validator on an export of a made-up month. It brings the rules of 1.2 alone; those of later versions are
tested in `core/src/ledger/export/focus_tests.rs`."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from conftest import Write

# What is supported here; the other criteria ask for columns of commitments, capacity and the like.
CRITERIA = (
    "USAGE_MEASUREMENT_SUPPORTED,UNIT_PRICING_SUPPORTED,PUBLIC_PRICE_LIST_SUPPORTED,TAGGING_SUPPORTED,SUB_ACCOUNT_SUPPORTED,"
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED,NEGOTIATED_PRICING_SUPPORTED"
)
# One says that an invoice's id must be nothing and one that it must be something, both without a condition.
CONTRADICTORY = {"InvoiceId-C-004-C", "InvoiceId-C-005-C"}


def _judged(file: Path) -> str:
    package = find_spec("focus_validator")
    assert package is not None and package.origin is not None
    command = [sys.executable, "-m", "focus_validator.main", "--data-file", str(file), "--validate-version", "1.2.0.1"]
    command += ["--block-download", "--show-violations", "--applicability-criteria", CRITERIA]
    # It opens a table of currencies by a path from its own folder.
    folder = Path(package.origin).parents[1]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def _failed(told: str) -> set[str]:
    return set(re.findall(r"^\W*(?:❌)?\W*([A-Z][A-Za-z]+-C-\d{3}-[A-Z])\b.*\bFAIL", told, re.MULTILINE))


def test_1_2_passes(write: Write) -> None:
    file, told = write("focus-1.2.csv", 600, format="focus", version="1.2")
    assert told["attempts"] > 500 and told["cost_unknown"] > 0
    judged = _judged(file)
    assert "PASS" in judged, judged[-3000:]
    assert _failed(judged) <= CONTRADICTORY, judged
