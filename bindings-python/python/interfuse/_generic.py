"""A generic base for streams that costs nothing at import: `typing` is only there for type checkers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, TypeVar

    Item = TypeVar("Item")

    class OfItems(Generic[Item]):
        """Something that gives items of one type."""

else:
    Item = None

    class OfItems:
        def __class_getitem__(cls, item):
            return cls
