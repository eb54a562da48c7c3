"""What every response is at run time: a dict whose fields can also be read as attributes."""

from __future__ import annotations

from ._fields import OPTIONAL

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from typing import Any


class Record(dict[str, "Any"]):
    """``r.usage.total_tokens`` and ``r["usage"]["total_tokens"]`` are the same value.

    A field that the vendor left out reads as None; a name that no response has raises AttributeError. Being a dict, it
    pickles, copies, compares and goes through ``json.dumps``.
    """

    __slots__ = ()

    # Absent from type checking, so that only the fields of the declared classes are accepted there.
    if not TYPE_CHECKING:

        def __getattr__(self, name):
            try:
                return self[name]
            except KeyError:
                pass
            if name in OPTIONAL:
                return None
            raise AttributeError(f"a response has no field {name!r}; this one has {', '.join(self)}", name=name, obj=self)

        def __setattr__(self, name, value):
            self[name] = value

        def __delattr__(self, name):
            try:
                del self[name]
            except KeyError:
                raise AttributeError(name) from None

    @property
    def _request_id(self) -> str | None:
        """The vendor's id of the request."""
        told: dict[str, Any] = self.get("interfuse") or {}
        return told.get("request_id")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def copy(self) -> Record:
        """A shallow copy."""
        return type(self)(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists all the way down."""
        return {name: _plain(value) for name, value in self.items()}

    def to_json(self, *, indent: int | None = 2) -> str:
        """JSON text."""
        import json

        return json.dumps(self, indent=indent, ensure_ascii=False)

    def model_dump(self, *, exclude_none: bool = False, **_pydantic: object) -> dict[str, Any]:
        """The same as ``to_dict``, under pydantic's name; of pydantic's options only ``exclude_none`` has an effect."""
        plain = self.to_dict()
        return _without_none(plain) if exclude_none else plain

    def model_dump_json(self, *, indent: int | None = None, **_pydantic: object) -> str:
        """JSON text, under pydantic's name."""
        return self.to_json(indent=indent)

    def to_text(self, width: int = 100, color: bool = False) -> str:
        """A fusion, an evaluation or a calibration as text for people. `width` is in columns; with `color` the text holds ANSI colours."""
        from . import _native

        if _is_fused(self):
            return _native.render_fused(self, width, color)
        if _is_evaluation(self):
            return _native.evaluation_text(self, width, color)
        if _is_calibration(self):
            return _native.calibration_text(self)
        raise TypeError("only a fusion, an evaluation and a calibration are told as text; this has to_json()")

    def to_html(self) -> str:
        """A fusion or an evaluation as one HTML page for people, which needs no network and runs no script."""
        from . import _native

        if _is_fused(self):
            return _native.fused_html(self)
        if _is_evaluation(self):
            return _native.evaluation_html(self)
        raise TypeError("only a fusion and an evaluation have a page; this has to_json()")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What a notebook shows: the whole story of a fusion, an evaluation or a calibration, the plain data of anything else."""
        if _is_fused(self) or _is_evaluation(self) or _is_calibration(self):
            printer.text(self.to_text())
        else:
            printer.pretty(dict(self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str] | None:
        """What a notebook shows of a fusion: a card, and the same as text where there is no HTML."""
        if not _is_fused(self):
            return None
        from ._native import fused_html, render_fused

        return {"text/html": fused_html(self, part=True), "text/plain": render_fused(self)}


def _is_fused(record: Record) -> bool:
    return "report" in record and "text" in record


def _is_evaluation(record: Record) -> bool:
    return "contenders" in record and "recommendation" in record


def _is_calibration(record: Record) -> bool:
    return "held_out" in record and "advice" in record


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value
