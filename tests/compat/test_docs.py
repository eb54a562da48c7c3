"""The blocks of the documentation that need a vendor's client: ``docs/drop-in.md``, with the openai that is installed."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from conftest import TRANSPORT
from scripted import ROOT, Start

MARK = "<!-- run by: tests/compat/test_docs.py -->"
BLOCKS = re.compile(rf"^ *{re.escape(MARK)}\n( *```python\n.*?)\n *```$", re.MULTILINE | re.DOTALL)


def test_the_blocks_run(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    up = start({"when": {"path": "/v1/chat/completions"}, "then": {"answer": "The Aare."}})
    config = tmp_path / "interfuse.json"
    config.write_text(json.dumps({"providers": {"mistral": {"base_url": up.base_url, "api_key": "k"}}}))
    monkeypatch.setenv("INTERFUSE_CONFIG", str(config))
    blocks = BLOCKS.findall((ROOT / "docs" / "drop-in.md").read_text())
    assert len(blocks) == 1
    for block in blocks:
        _, code = textwrap.dedent(block).split("\n", 1)
        # The page names the transport of openai 2, and that of openai 3 beside it.
        exec(code.replace("interfuse.httpx", TRANSPORT), {})
    assert capsys.readouterr().out.splitlines() == ["The Aare.", "mistral"]
