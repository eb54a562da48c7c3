"""Python's types as JSON schemas, and JSON as values of these types: dataclasses, TypedDicts, pydantic's models (known by
their methods, never imported), enums, literals, unions, lists and what they are made of."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import re
import types
import typing
import uuid
from typing import Any

from ._typed_errors import SchemaError

_PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", None: "null", type(None): "null"}
_TEXTS: dict[Any, tuple[str | None, Any]] = {
    datetime.datetime: ("date-time", datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.fromisoformat),
    datetime.time: ("time", datetime.time.fromisoformat),
    uuid.UUID: ("uuid", uuid.UUID),
    decimal.Decimal: (None, decimal.Decimal),
}
"""Types that JSON has as texts: the schema's format, and what reads one."""
_LISTS = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Set)
_MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_NULL = {"type": "null"}
_FENCE = re.compile(r"\s*```\w*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


class Unfit(Exception):
    """A value that is not of its type: every problem with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def named(kind: Any) -> str:
    """A name that schemas and tools may have."""
    name = getattr(kind, "__name__", None) or str(kind)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "answer"


def is_pydantic(kind: Any) -> bool:
    """Whether it is one of pydantic's models, or behaves as one."""
    return isinstance(kind, type) and hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate_json")


def is_typeddict(kind: Any) -> bool:
    """Whether it is a TypedDict, of `typing` or of `typing_extensions`."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def about(thing: Any) -> str | None:
    """What a class says of itself; not what Python makes up for it, and not what it inherits."""
    said = vars(thing).get("__doc__")
    if not said or (dataclasses.is_dataclass(thing) and said.startswith(f"{getattr(thing, '__name__', '')}(")):
        return None
    return inspect.cleandoc(said)


def schema_of(kind: Any, at: str) -> dict[str, Any]:
    """The JSON schema of a type, as it is, not yet in the strict subset. `at` is its place, for errors. Raises SchemaError."""
    if is_pydantic(kind):
        made: dict[str, Any] = kind.model_json_schema()
        return made
    builder = _Builder()
    made = builder.schema(kind, at)
    if made.get("$ref") == f"#/$defs/{builder.names.get(kind)}":
        # The root itself stands there; it is a definition only where it holds itself.
        definition = builder.defs[builder.names[kind]]
        if kind not in builder.referred:
            del builder.defs[builder.names[kind]]
        made = dict(definition)
    if builder.defs:
        made["$defs"] = builder.defs
    return made


class _Builder:
    def __init__(self) -> None:
        self.defs: dict[str, dict[str, Any]] = {}
        self.names: dict[Any, str] = {}
        self.referred: set[Any] = set()
        """Classes that something within refers to."""

    def schema(self, kind: Any, at: str) -> dict[str, Any]:
        kind, notes = unwrapped(kind)
        made = self._schema(kind, at)
        text = next((text for note in notes if (text := _described(note))), None)
        return {**made, "description": text} if text else made

    def _schema(self, kind: Any, at: str) -> dict[str, Any]:
        if kind is Any or kind is object:
            return {}
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
        if kind in _TEXTS:
            form = _TEXTS[kind][0]
            return {"type": "string", "format": form} if form else {"type": "string"}
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Literal:
            return _one_of(inner, at)
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.schema(one, at) for one in inner]}
        if kind is tuple or origin is tuple:
            if len(inner) == 2 and inner[1] is Ellipsis:
                return {"type": "array", "items": self.schema(inner[0], f"{at}[]")}
            return {
                "type": "array",
                "prefixItems": [self.schema(one, f"{at}[{i}]") for i, one in enumerate(inner)],
                "minItems": len(inner),
                "maxItems": len(inner),
            }
        if kind in _LISTS or origin in _LISTS:
            return {"type": "array", "items": self.schema(inner[0], f"{at}[]") if inner else {}}
        if kind in _MAPS or origin in _MAPS:
            if inner and unwrapped(inner[0])[0] is not str:
                raise SchemaError(f"{at}: keys of a JSON object are texts, not {_told(inner[0])}", {"param": at})
            values = self.schema(inner[1], f"{at}.*") if inner else {}
            return {"type": "object", "additionalProperties": values or True}
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            made = _one_of([member.value for member in kind], at)
            said = about(kind)
            return {**made, "description": said} if said else made
        if is_pydantic(kind):
            return self._pydantic(kind, at)
        if dataclasses.is_dataclass(kind) or is_typeddict(kind):
            return self._object(kind, at)
        raise SchemaError(
            f"{at}: {_told(kind)} has no JSON schema; a dataclass, a TypedDict, a pydantic model, an Enum, a Literal, str, int, "
            "float, bool, None, dates, UUID, Decimal, and lists, tuples, dicts and unions of these have one",
            {"param": at},
        )

    def _pydantic(self, kind: Any, at: str) -> dict[str, Any]:
        made: dict[str, Any] = kind.model_json_schema()
        for name, inner in made.pop("$defs", {}).items():
            if self.defs.setdefault(name, inner) != inner:
                raise SchemaError(f"{at}: two different classes are called {name}; rename one", {"param": at})
        if set(made) == {"$ref"}:  # a model that holds itself stands among its definitions
            return made
        name = self.names.setdefault(kind, self._free(named(kind)) if self.defs.get(named(kind)) != made else named(kind))
        self.defs.setdefault(name, made)
        return {"$ref": f"#/$defs/{name}"}

    def _free(self, name: str) -> str:
        return name if name not in self.defs else self._free(f"{name}_")

    def _object(self, kind: Any, at: str) -> dict[str, Any]:
        if kind in self.names:
            self.referred.add(kind)
            return {"$ref": f"#/$defs/{self.names[kind]}"}
        inside = len(self.names) > 0
        name = self.names[kind] = self._free(named(kind))
        made: dict[str, Any] = {"type": "object"}
        self.defs[name] = made
        if said := about(kind):
            made["description"] = said
        properties: dict[str, Any] = {}
        required: list[str] = []
        made.update(properties=properties, required=required)
        for field in fields_of(kind, at):
            part = self.schema(field.kind, f"{at}.{field.name}")
            if field.about and "description" not in part:
                part = {**part, "description": field.about}
            # The strict subset knows no field that may be missing: such a one may be null.
            if not field.required and is_typeddict(kind) and not nullable(field.kind):
                part = {"anyOf": [part, _NULL]}
            properties[field.name] = part
            if field.required:
                required.append(field.name)
        made["additionalProperties"] = False
        if inside:
            self.referred.add(kind)
        return {"$ref": f"#/$defs/{name}"}


class Field(typing.NamedTuple):
    """One field of a dataclass or TypedDict."""

    name: str
    kind: Any
    required: bool
    about: str | None


def fields_of(kind: Any, at: str) -> list[Field]:
    """The fields of a dataclass or TypedDict. Raises SchemaError where an annotation can not be resolved."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError) as error:
        raise SchemaError(f"{at}: annotations of {_told(kind)} can not be resolved: {error}", {"param": at}) from error
    if is_typeddict(kind):
        return [Field(name, hint, _required(hint, name in kind.__required_keys__), None) for name, hint in hints.items()]
    missing = dataclasses.MISSING
    return [
        Field(
            field.name,
            hints[field.name],
            field.default is missing and field.default_factory is missing,
            field.metadata.get("description"),
        )
        for field in dataclasses.fields(kind)
        if field.init
    ]


def _required(hint: Any, otherwise: bool) -> bool:
    """Whether a key has to be there; Python itself does not see what an annotation kept as text says of it."""
    while (origin := typing.get_origin(hint)) is typing.Annotated or getattr(origin, "__name__", "") == "ReadOnly":
        hint = hint.__origin__ if origin is typing.Annotated else typing.get_args(hint)[0]
    return True if origin is typing.Required else False if origin is typing.NotRequired else otherwise


def unwrapped(kind: Any) -> tuple[Any, list[Any]]:
    """A type without what is written around it, and the notes of its ``Annotated``."""
    notes: list[Any] = []
    while True:
        origin = typing.get_origin(kind)
        if origin is typing.Annotated:
            notes = [*kind.__metadata__, *notes]
            kind = kind.__origin__
        elif origin in (typing.Required, typing.NotRequired) or getattr(origin, "__name__", "") == "ReadOnly":
            (kind,) = typing.get_args(kind)
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":
            kind = kind.__value__
        else:
            return kind, notes


def _described(note: Any) -> str | None:
    """The description that an annotation holds: a text, pydantic's ``Field(description=...)``, a ``Doc``."""
    if isinstance(note, str):
        return note
    text = getattr(note, "description", None) or getattr(note, "documentation", None)
    return text if isinstance(text, str) else None


def _one_of(values: typing.Iterable[Any], at: str) -> dict[str, Any]:
    values = [value.value if isinstance(value, enum.Enum) else value for value in values]
    kinds: list[str] = []
    for value in values:
        kind = _PLAIN.get(type(value))
        if kind is None:
            raise SchemaError(f"{at}: {value!r} is no JSON value to choose", {"param": at})
        if kind not in kinds:
            kinds.append(kind)
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _told(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind).replace("typing.", "")


def read(kind: Any, text: str) -> Any:
    """JSON text as a value of a type; a fence of Markdown around it is no part of it. Raises Unfit."""
    fenced = _FENCE.fullmatch(text)
    if fenced:
        text = fenced.group(1)
    if is_pydantic(kind):
        return _validated(kind, text, "")
    try:
        value = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise Unfit([f"it is not JSON: {error}"]) from None
    except RecursionError:
        raise Unfit(["it is nested too deep"]) from None
    return take(kind, value, "")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _validated(kind: Any, text: str, at: str) -> Any:
    try:
        return kind.model_validate_json(text)
    except ValueError as error:
        problems = [
            f"{_joined(at, '.'.join(map(str, one['loc'])))}: {one['msg']}" for one in getattr(error, "errors", list)()
        ]
        raise Unfit(problems or [str(error)]) from None


def _joined(at: str, inner: str) -> str:
    return f"{at}.{inner}" if at and inner else at or inner or "the whole"


def take(kind: Any, value: Any, at: str) -> Any:
    """A decoded JSON value as a value of a type. `at` is its place. Raises Unfit."""
    kind, _ = unwrapped(kind)
    where = at or "the whole"
    if kind is Any or kind is object:
        return value
    if kind in _PLAIN:
        return _plain(kind, value, where)
    if kind in _TEXTS:
        form, made = _TEXTS[kind]
        # Numbers are as good as texts where digits count.
        if isinstance(value, str) or (kind is decimal.Decimal and isinstance(value, (int, float)) and not isinstance(value, bool)):
            try:
                return made(str(value))
            except (ValueError, ArithmeticError):
                pass
        raise Unfit([f"{where}: {_shown(value)} is no {form or 'decimal number'}"])
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _chosen({_same(one.value if isinstance(one, enum.Enum) else one): one for one in inner}, value, where)
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(inner, value, at)
    if kind is tuple or origin is tuple:
        each = inner[:1] * len(value) if len(inner) == 2 and inner[1] is Ellipsis and isinstance(value, list) else inner
        if not isinstance(value, list) or (inner and len(value) != len(each)):
            raise Unfit([f"{where}: {_shown(value)} is no list of {len(each)}"])
        return tuple(_all([(one, part, f"{at}[{i}]") for i, (one, part) in enumerate(zip(each, value))])) if inner else tuple(value)
    if kind in _LISTS or origin in _LISTS:
        if not isinstance(value, list):
            raise Unfit([f"{where}: {_shown(value)} is no list"])
        parts = _all([(inner[0], part, f"{at}[{i}]") for i, part in enumerate(value)]) if inner else value
        made = origin or kind
        return frozenset(parts) if made is frozenset else set(parts) if made in (set, collections.abc.Set) else parts
    if kind in _MAPS or origin in _MAPS:
        if not isinstance(value, dict):
            raise Unfit([f"{where}: {_shown(value)} is no object"])
        return dict(zip(value, _all([(inner[1], part, _joined(at, name)) for name, part in value.items()]))) if inner else value
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _chosen({_same(member.value): member for member in kind}, value, where)
    if is_pydantic(kind):
        return _validated(kind, json.dumps(value), at)
    return _taken(kind, value, at)


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is None or kind is type(None):
        fits = value is None
    elif kind is bool or kind is str:
        fits = isinstance(value, kind)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        fits = False
    elif kind is float:
        return float(value)
    else:
        fits = isinstance(value, int) or value.is_integer()
        value = int(value) if fits else value
    if not fits:
        raise Unfit([f"{where}: {_shown(value)} is no {_PLAIN[kind]}"])
    return value


def _same(value: Any) -> tuple[bool, Any]:
    """A key that keeps true and 1 apart."""
    return isinstance(value, bool), value


def _chosen(choices: dict[tuple[bool, Any], Any], value: Any, where: str) -> Any:
    try:
        return choices[_same(value)]
    except (KeyError, TypeError):
        said = ", ".join(json.dumps(one) for _, one in choices)
        raise Unfit([f"{where}: {_shown(value)} is none of {said}"]) from None


def _first_that_fits(kinds: tuple[Any, ...], value: Any, at: str) -> Any:
    problems: list[list[str]] = []
    for kind in kinds:
        try:
            return take(kind, value, at)
        except Unfit as unfit:
            problems.append(unfit.problems)
    # Of something and None, only what the something lacks says anything.
    told = [found for kind, found in zip(kinds, problems) if kind is not type(None)]
    raise Unfit(told[0] if len(told) == 1 else [f"{at or 'the whole'}: fits none of its {len(told)} forms ({'; or '.join('; '.join(one) for one in told)})"])


def _all(parts: list[tuple[Any, Any, str]]) -> list[Any]:
    taken, problems = [], []
    for kind, value, at in parts:
        try:
            taken.append(take(kind, value, at))
        except Unfit as unfit:
            problems += unfit.problems
    if problems:
        raise Unfit(problems)
    return taken


def _taken(kind: Any, value: Any, at: str) -> Any:
    """An object as a dataclass or TypedDict."""
    where = at or "the whole"
    if not isinstance(value, dict):
        raise Unfit([f"{where}: {_shown(value)} is no object"])
    dictionary = is_typeddict(kind)
    fields = {field.name: field for field in fields_of(kind, where)}
    problems = [f"{_joined(at, name)}: there is no such field" for name in value if name not in fields]
    taken: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in value:
            if field.required:
                problems.append(f"{_joined(at, name)}: it is missing")
            continue
        # The strict subset knows no field that may be missing; such a one is null there.
        if value[name] is None and dictionary and not field.required and not nullable(field.kind):
            continue
        try:
            taken[name] = take(field.kind, value[name], _joined(at, name))
        except Unfit as unfit:
            problems += unfit.problems
    if problems:
        raise Unfit(problems)
    if dictionary:
        return taken
    try:
        return kind(**taken)
    except (ValueError, TypeError) as error:  # what the class itself checks
        raise Unfit([f"{where}: {error}"]) from None


def nullable(kind: Any) -> bool:
    """Whether None is one of its values."""
    kind, _ = unwrapped(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(nullable(one) for one in typing.get_args(kind))
    return kind in (None, type(None), Any, object) or (typing.get_origin(kind) is typing.Literal and None in typing.get_args(kind))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def plain(value: Any) -> Any:
    """A value of any of these types as JSON has it."""
    if value is None or isinstance(value, (str, bool, int, float)) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, collections.abc.Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
