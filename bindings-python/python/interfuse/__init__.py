"""One API over every inference provider, and fusion of their answers.

    client = interfuse.Client()
    r = client.chat.completions.create(model="openai/gpt-5-mini", messages=[{"role": "user", "content": "hi"}])
    f = client.fuse("Which proof is wrong?", pool=["openai/gpt-5-mini", "anthropic/claude-haiku-4.5"], judge="mistral/...")

Importing reads no environment, starts no thread and does not import asyncio.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 12):  # later ones refuse it by themselves
    from ._packages import main_interpreter_only

    main_interpreter_only()
try:
    from ._native import __version__ as __version__
except ImportError as _error:
    from ._packages import without_native

    raise without_native(_error) from None

from ._calibrate import calibrate as calibrate
from ._record import Record as Record
from ._replay import replay as replay
from .client import Client as Client
from .client import Stream as Stream
from .errors import *

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from ._parsed import *
    from ._raw import APIResponse as APIResponse
    from ._raw import AsyncAPIResponse as AsyncAPIResponse
    from ._raw import RawResponse as RawResponse
    from ._responses import *
    from ._batch import AsyncBatch as AsyncBatch
    from ._batch import Batch as Batch
    from ._batch import BatchedRow as BatchedRow
    from ._tools import ToolCalled as ToolCalled
    from ._tools import ToolRun as ToolRun
    from ._tools import function_tool as function_tool
    from ._tools import pydantic_function_tool as pydantic_function_tool
    from ._typed_errors import AnswerFormatError as AnswerFormatError
    from ._typed_errors import ConflictError as ConflictError
    from ._typed_errors import ContentFilterFinishReasonError as ContentFilterFinishReasonError
    from ._typed_errors import LengthFinishReasonError as LengthFinishReasonError
    from ._typed_errors import MaxStepsError as MaxStepsError
    from ._typed_errors import PackageError as PackageError
    from ._typed_errors import SchemaError as SchemaError
    from ._typed_errors import UnprocessableEntityError as UnprocessableEntityError
    from .aio import AsyncClient as AsyncClient
    from .aio import AsyncStream as AsyncStream
else:

    _ELSEWHERE = {
        "APIResponse": "_raw",
        "AsyncAPIResponse": "_raw",
        "AsyncBatch": "_batch",
        "AsyncClient": "aio",
        "AsyncStream": "aio",
        "Batch": "_batch",
        "BatchedRow": "_batch",
        "RawResponse": "_raw",
        "ToolCalled": "_tools",
        "ToolRun": "_tools",
        "function_tool": "_tools",
        "pydantic_function_tool": "_tools",
        "AnswerFormatError": "_typed_errors",
        "ChatCompletionStream": "_streaming",
        "ChatCompletionStreamManager": "_streaming",
        "AsyncChatCompletionStream": "_streaming",
        "AsyncChatCompletionStreamManager": "_streaming",
        "ConflictError": "_typed_errors",
        "ContentFilterFinishReasonError": "_typed_errors",
        "LengthFinishReasonError": "_typed_errors",
        "MaxStepsError": "_typed_errors",
        "PackageError": "_typed_errors",
        "SchemaError": "_typed_errors",
        "UnprocessableEntityError": "_typed_errors",
    }

    def __getattr__(name):
        if name in _ELSEWHERE:
            from importlib import import_module

            return getattr(import_module(f".{_ELSEWHERE[name]}", __name__), name)
        # Names of responses, for annotations; errors were imported above.
        if name[:1].isupper() and not name.endswith("Error"):
            return Record
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
