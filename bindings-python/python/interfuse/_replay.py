"""The decision of a stored report, made again."""

from __future__ import annotations

from . import _native

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from ._responses import Fused, FusionReport


def replay(report: FusionReport) -> Fused:
    """Makes a fusion's decision again from what its report holds; nobody is asked. ``.report.earlier.differs`` tells where it
    comes to something else than the report says, and is empty when it is the same.

    report: ``fused.report``, also one that was stored as JSON.
    """
    return _native.replay(report)
