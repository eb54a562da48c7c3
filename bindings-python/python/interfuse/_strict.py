"""The strict subset of JSON Schema, to which vendors hold a model: every object closed, every property required. What only
narrows values moves into descriptions (the answer is checked against the type all the same); what the subset can not hold
is refused by name."""

from __future__ import annotations

from typing import Any

from ._typed_errors import SchemaError

_KEPT = {"type", "enum", "const", "description", "properties", "required", "items", "anyOf", "additionalProperties", "$ref", "$defs"}
_KEPT |= {"pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
_HINTS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
}
_REFUSED = {
    "prefixItems": "a tuple of different parts; use a dataclass or model with a name for each part, or a list",
    "patternProperties": "an object with keys by a pattern; use a list of objects that have the key as a field",
    "propertyNames": "an object with any keys; use a list of objects that have the key as a field",
    "unevaluatedProperties": "an object with any keys; list its properties",
    "dependentRequired": "properties that depend on others; use a union of models",
    "dependentSchemas": "properties that depend on others; use a union of models",
    "contains": "a list that must contain something; check that in the type",
    "not": "what a value must not be; check that in the type",
    "if": "a condition; use a union of models",
    "then": "a condition; use a union of models",
    "else": "a condition; use a union of models",
}
_MOST_PROPERTIES = 5000
_MOST_DEPTH = 10


def strict(schema: dict[str, Any], at: str) -> dict[str, Any]:
    """The schema in the strict subset. `at` is its place, for errors. Raises SchemaError naming what does not fit."""
    return _Strict(schema, at).whole()


class _Strict:
    def __init__(self, schema: dict[str, Any], at: str) -> None:
        self._schema = schema
        self._at = at
        self._defs: dict[str, Any] = {**schema.get("definitions", {}), **schema.get("$defs", {})}
        self._properties = 0

    def whole(self) -> dict[str, Any]:
        root = self._schema
        name = _reference(root)
        if name is not None:  # pydantic writes a model that holds itself this way
            root = {**self._target(name, self._at), "$defs": self._defs}
        if root.get("type") != "object":
            self._refuse(self._at, "an answer that is no object", "put it into a field of a dataclass or model")
        made = self._part({k: v for k, v in root.items() if k not in ("$defs", "definitions")}, self._at, (), 0)
        if self._defs:
            made["$defs"] = {name: self._part(inner, f"{self._at}.{name}", (), 0) for name, inner in self._defs.items()}
            _without_unused(made)
        if self._properties > _MOST_PROPERTIES:
            self._refuse(self._at, f"{self._properties} properties", f"{_MOST_PROPERTIES} is the most")
        return made

    def _part(self, given: dict[str, Any] | bool, at: str, inlined: tuple[str, ...], depth: int) -> dict[str, Any]:
        if given is True or given == {} or (isinstance(given, dict) and not _says_anything(given)):
            self._refuse(at, "a value of any type", "say which")
        if given is False:
            self._refuse(at, "a value that can not be", "leave it out")
        assert isinstance(given, dict)
        for word, why in _REFUSED.items():
            if word in given:
                what, _, instead = why.partition("; ")
                self._refuse(at, what, instead)
        name = _reference(given)
        if name is not None:
            beside = {k: v for k, v in given.items() if k not in ("$ref", "title", "default")}
            if not beside or name in inlined:
                self._target(name, at)
                return {"$ref": f"#/$defs/{name}"}
            # Beside a reference nothing may stand, so what is referred to stands here.
            return self._part({**self._target(name, at), **beside}, at, (*inlined, name), depth)
        whole = given.get("allOf")
        if whole is not None:
            if len(whole) != 1:
                self._refuse(at, "a value of several schemas at once (allOf)", "write one class with all fields")
            return self._part({**whole[0], **{k: v for k, v in given.items() if k != "allOf"}}, at, inlined, depth)
        made: dict[str, Any] = {name: value for name, value in given.items() if name in _KEPT and name != "$defs"}
        variants = given.get("anyOf", given.get("oneOf"))
        if variants is not None:
            made["anyOf"] = [self._part(one, at, inlined, depth) for one in variants]
        self._narrowing(given, made)
        if "properties" in given or given.get("type") == "object":
            self._object(given, made, at, inlined, depth)
        if "items" in given or given.get("type") == "array":
            made["items"] = self._part(given.get("items", {}), f"{at}[]", inlined, depth)
        return made

    def _object(self, given: dict[str, Any], made: dict[str, Any], at: str, inlined: tuple[str, ...], depth: int) -> None:
        if given.get("additionalProperties", False) is not False or "properties" not in given:
            self._refuse(at, "an object with any keys", "list its properties, or use a list of objects that have the key as a field")
        if depth == _MOST_DEPTH:
            self._refuse(at, f"objects more than {_MOST_DEPTH} deep in each other", "flatten them")
        properties = {name: self._part(inner, f"{at}.{name}", inlined, depth + 1) for name, inner in given["properties"].items()}
        made["properties"] = properties
        self._properties += len(properties)
        made["required"] = list(properties)
        made["additionalProperties"] = False

    def _narrowing(self, given: dict[str, Any], made: dict[str, Any]) -> None:
        """Moves what narrows values, but is not in the subset, into the description."""
        hints = [text.format(given[word]) for word, text in _HINTS.items() if word in given]
        if given.get("uniqueItems"):
            hints.append("all different")
        form = given.get("format")
        if form in _FORMATS:
            made["format"] = form
        elif form:
            hints.append(f"format {form}")
        if hints:
            said = f"({', '.join(hints)})"
            made["description"] = f"{made['description']} {said}" if made.get("description") else said

    def _target(self, name: str, at: str) -> dict[str, Any]:
        target = self._defs.get(name)
        if not isinstance(target, dict):
            self._refuse(at, f"a reference to {name!r}, which is not defined in it", "define it under $defs")
        assert isinstance(target, dict)
        return target

    def _refuse(self, at: str, what: str, instead: str) -> None:
        raise SchemaError(f"{at}: the strict subset of JSON Schema can not hold {what}; {instead}", {"param": at})


def _reference(given: dict[str, Any]) -> str | None:
    reference = given.get("$ref")
    return None if reference is None else str(reference).rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _says_anything(given: dict[str, Any]) -> bool:
    return any(word in given for word in ("type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "properties", *_REFUSED))


def _without_unused(made: dict[str, Any]) -> None:
    """Takes definitions away that nothing refers to any more."""
    used: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            name = value.get("$ref")
            if isinstance(name, str) and (short := name.rpartition("/")[2]) not in used:
                used.add(short)
                walk(made["$defs"].get(short))
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk({name: value for name, value in made.items() if name != "$defs"})
    made["$defs"] = {name: inner for name, inner in made["$defs"].items() if name in used}
    if not made["$defs"]:
        del made["$defs"]
