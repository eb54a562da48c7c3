"""From answers to questions whose right answer is known: whom to ask."""

from __future__ import annotations

import os

from . import _native

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from collections.abc import Sequence

    from . import types
    from ._responses import Calibration


def calibrate(items: str | os.PathLike[str] | Sequence[types.Labelled]) -> Calibration:
    """How good each model and judge is, and whom to ask: ``pool``, with priors where these help, and ``advice`` in a sentence.
    ``.to_text()`` tells it, with the pool as lines for a configuration. Asks nobody.

    items: objects with ``prompt``, ``gold`` and ``answers`` (texts by model); or the path of a file with one a line, such as the
        checkpoint of an evaluation.
    """
    return _native.calibrate(os.fspath(items) if isinstance(items, (str, os.PathLike)) else list(items))
