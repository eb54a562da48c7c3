"""One API over every inference provider, and fusion of their answers.

    client = interfuse.Client()
    r = client.chat.completions.create(model="openai/gpt-5-mini", messages=[{"role": "user", "content": "hi"}])
    f = client.fuse("Which proof is wrong?", pool=["openai/gpt-5-mini", "anthropic/claude-haiku-4.5"], judge="mistral/...")

Importing reads no environment, starts no thread and does not import asyncio.
"""

from __future__ import annotations

from ._calibrate import calibrate as calibrate
from ._native import __version__ as __version__
from ._record import Record as Record
from ._replay import replay as replay
from .client import Client as Client
from .client import Stream as Stream
from .errors import *

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from ._responses import *
    from .aio import AsyncClient as AsyncClient
    from .aio import AsyncStream as AsyncStream
else:

    def __getattr__(name):
        if name == "AsyncClient":
            from .aio import AsyncClient

            return AsyncClient
        if name == "AsyncStream":
            from .aio import AsyncStream

            return AsyncStream
        # Names of responses, for annotations; errors were imported above.
        if name[:1].isupper() and not name.endswith("Error"):
            return Record
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
