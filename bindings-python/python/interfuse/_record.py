"""What every response is at run time: a dict whose fields can also be read as attributes."""

from __future__ import annotations

from ._fields import OPTIONAL

TYPE_CHECKING = False  # `typing` costs milliseconds at import
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, Self


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

    @property
    def model_extra(self) -> dict[str, Any]:
        """Of a response in OpenAI's form, the fields that OpenAI's has not."""
        from ._openai_fields import NAMES

        return {name: value for name, value in self.items() if name not in NAMES}

    @property
    def model_fields_set(self) -> set[str]:
        """The fields that there are."""
        return set(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def copy(self) -> Record:
        """A shallow copy."""
        return type(self)(self)

    def to_dict(
        self,
        *,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        exclude_none: bool = False,
        **pydantic: object,
    ) -> dict[str, Any]:
        """Plain dicts and lists all the way down.

        include, exclude: names of this response's own fields.
        exclude_none: leaves fields out that are None, at every depth.
        Pydantic's other options (``mode``, ``by_alias``, ``exclude_unset``, ...) are taken and change nothing: names are the
        wire's, and only fields that came are there.
        """
        unknown = set(pydantic) - _PYDANTIC
        if unknown:
            raise TypeError(f"to_dict() and model_dump() have no option {', '.join(sorted(unknown))}")
        for option in (include, exclude):
            if isinstance(option, dict):
                raise TypeError("include and exclude are names of the response's own fields, not a dict")
        plain = {
            name: _plain(value)
            for name, value in self.items()
            if (include is None or name in include) and (exclude is None or name not in exclude)
        }
        return _without_none(plain) if exclude_none else plain

    def to_json(self, *, indent: int | None = 2, **options: Any) -> str:
        """JSON text; the options are those of ``to_dict``."""
        import json

        return json.dumps(self.to_dict(**options), indent=indent, ensure_ascii=False)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The same as ``to_dict``, under pydantic's name."""
        return self.to_dict(**options)

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """JSON text, under pydantic's name."""
        return self.to_json(indent=indent, **options)

    @classmethod
    def model_validate(cls, value: Mapping[str, Any]) -> Self:
        """A response out of what was stored of one: a dict as ``to_dict`` gives it, with records all the way down. Its fields
        are not checked."""
        if not isinstance(value, dict):
            raise TypeError(f"a response is made of a dict, not of {type(value).__name__}")
        return cls({name: _recorded(inner) for name, inner in value.items()})

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        """The same out of JSON text."""
        import json

        return cls.model_validate(json.loads(text))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Within a pydantic model, which calls this, a response is taken as it is and out of a dict."""
        from importlib import import_module

        core_schema: Any = import_module("pydantic_core.core_schema")
        return core_schema.no_info_after_validator_function(
            cls.model_validate,
            core_schema.dict_schema(core_schema.str_schema()),
            serialization=core_schema.plain_serializer_function_ser_schema(_plain),
        )

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


# Options of pydantic's that have nothing to change here.
_PYDANTIC = frozenset(
    "mode by_alias exclude_unset exclude_defaults exclude_computed_fields round_trip warnings serialize_as_any use_api_names "
    "context fallback".split()
)


def _recorded(value: Any) -> Any:
    if isinstance(value, dict):
        return Record({name: _recorded(inner) for name, inner in value.items()})
    return [_recorded(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    # What an answer was read into.
    from ._forms import plain

    return plain(value)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value
