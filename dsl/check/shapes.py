"""What a JSON Schema tells of a value, as a static type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from dsl.expressions.types import (
    ANY,
    KINDS,
    Field,
    Rest,
    Type,
    one_of,
    union,
)

__all__ = ["type_of"]

_KINDS: Final = {
    "string": ("string",),
    "number": ("int", "float"),
    "integer": ("int",),
    "boolean": ("bool",),
    "array": ("list",),
    "object": ("object",),
    "null": ("null",),
}
_DEPTH: Final = 10
_SCALARS: Final = (str, int, float, bool, type(None))


def type_of(schema: Any, defaults: bool = False) -> Type:
    """The type of the values that fit a schema, as far as it can be said.

    Args:
        schema: A JSON Schema 2020-12, with local references only.
        defaults: Whether its `default`s are applied: what has one is always there.
    """
    return _Shapes(schema, defaults).of(schema, 0)


class _Shapes:
    def __init__(self, root: Any, defaults: bool) -> None:
        self.root = root
        self.defaults = defaults

    def of(self, schema: Any, depth: int) -> Type:
        if not isinstance(schema, dict) or depth > _DEPTH:
            return ANY
        known = cast("dict[str, Any]", schema)
        found = self.plain(known, depth)
        if isinstance(reference := known.get("$ref"), str):
            found = _both(found, self.of(self.resolve(reference), depth + 1))
        for part in _list(known.get("allOf")):
            found = _both(found, self.of(part, depth + 1))
        for word in ("anyOf", "oneOf"):
            if parts := _list(known.get(word)):
                found = _both(found, union(self.of(part, depth + 1) for part in parts))
        if "if" in known:
            parts = [known.get("then"), known.get("else")]
            found = _both(found, union(self.of(part, depth + 1) for part in parts))
        return found

    def plain(self, schema: dict[str, Any], depth: int) -> Type:
        """What the words say that stand in a schema itself."""
        given = schema.get("type")
        words = cast("list[Any]", given) if isinstance(given, list) else [given]
        kinds = frozenset(kind for word in words for kind in _KINDS.get(str(word), ()))
        found = Type(kinds or KINDS)
        if "const" in schema or "enum" in schema:
            values = _list(schema.get("enum")) if "enum" in schema else [schema["const"]]
            if values and all(isinstance(value, _SCALARS) for value in values):
                found = _both(found, one_of(values))
        if found.may_be("object"):
            found = replace(found, **self.keys(schema, depth))
        if found.may_be("list"):
            places = _list(schema.get("prefixItems"))
            items = [self.of(part, depth + 1) for part in places]
            if not places or "items" in schema:
                items.append(self.of(schema.get("items"), depth + 1))
            found = replace(found, item=union(items))
        return found

    def keys(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = cast("dict[str, Any]", properties) if isinstance(properties, dict) else {}
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        fields: dict[str, Field] = {}
        for name, part in properties.items():
            given = self.defaults and isinstance(part, dict) and "default" in part
            fields[name] = Field(self.of(part, depth + 1), given or name in required)
        fields |= {name: Field(ANY) for name in required if name not in fields}
        others = schema.get("additionalProperties")
        if others is False and "patternProperties" not in schema:
            rest = Rest.CLOSED
        elif others is None and properties and "patternProperties" not in schema:
            rest = Rest.DECLARED
        else:
            rest = Rest.OPEN
        return {"fields": fields, "rest": rest}

    def resolve(self, reference: str) -> Any:
        node: Any = self.root
        for part in reference.removeprefix("#").split("/"):
            if part:
                name = part.replace("~1", "/").replace("~0", "~")
                node = cast("dict[str, Any]", node).get(name) if isinstance(node, dict) else None
        return node


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _both(one: Type, other: Type) -> Type:
    """What is known of a value that has both types."""
    if one is ANY or other is ANY:
        return other if one is ANY else one
    kinds = one.kinds & other.kinds
    if not kinds:
        return ANY  # nothing fits: that is for the check of the input to say
    values = one.values if other.values is None else other.values
    if one.values is not None and other.values is not None:
        values = tuple(value for value in one.values if value in other.values)
    item = one.item if other.item in (None, ANY) else other.item
    fields = dict(one.fields)
    for name, field in other.fields.items():
        before = fields.get(name)
        if before is None:
            fields[name] = field
        else:
            required = before.required or field.required
            fields[name] = Field(_both(before.type, field.type), required)
    rests = (one.rest, other.rest)
    rest = next(r for r in (Rest.CLOSED, Rest.DECLARED, Rest.OPEN) if r in rests)
    if not isinstance(values, tuple) or not values:
        values = None
    return Type(kinds, values, item, fields, rest)
