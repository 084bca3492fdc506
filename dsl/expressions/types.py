"""Static types: what is known of a value before anything runs.

A type says which kinds of values are possible, and of those what is known: the only values
there may be, the items of a list, the keys of an object. Everything is possible of `ANY`. A
mistake is reported only where no possible value would do: what is not known is never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import reduce
from typing import Final, TypeAlias

__all__ = [
    "ANY",
    "BOOL",
    "INT",
    "KINDS",
    "NULL",
    "NUMBER",
    "STRING",
    "Field",
    "Literal",
    "Rest",
    "Type",
    "list_of",
    "literal",
    "object_of",
    "of",
    "one_of",
    "union",
]

Literal: TypeAlias = bool | int | float | str | None

KINDS: Final = frozenset(("null", "bool", "int", "float", "string", "list", "object"))
_NUMBERS: Final = frozenset(("int", "float"))
_MANY_VALUES: Final = 64
_MANY_FIELDS: Final = 500
_DEPTH: Final = 12


class Rest(Enum):
    """What is known of the keys of an object beside those that are named."""

    OPEN = "open"
    """There may be any."""
    DECLARED = "declared"
    """There may be any, but whoever described the object named those that count."""
    CLOSED = "closed"
    """There are none."""


@dataclass(frozen=True, slots=True)
class Field:
    """A key of an object.

    Args:
        type: Its value.
        required: Whether it is always there.
    """

    type: Type
    required: bool = True


@dataclass(frozen=True, slots=True)
class Type:
    """What is known of a value.

    Args:
        kinds: The kinds that are possible, a part of `KINDS`.
        values: The only values that are possible, if they are known: strings, numbers, bools,
            null.
        item: The type of the items, if it is a list; None if nothing is known of them.
        fields: The keys that are known, if it is an object.
        rest: What is known of its other keys.
    """

    kinds: frozenset[str]
    values: tuple[Literal, ...] | None = None
    item: Type | None = None
    fields: Mapping[str, Field] = field(default_factory=dict[str, Field], hash=False)
    rest: Rest = Rest.OPEN

    def may_be(self, *kinds: str) -> bool:
        """Whether it may be of one of some kinds; an int may stand for a float."""
        return any(kind in self.kinds for kind in kinds)

    def is_only(self, kind: str) -> bool:
        """Whether it is of one kind, and of no other."""
        return len(self.kinds) == 1 and kind in self.kinds

    @property
    def items(self) -> Type:
        """The type of an item, where it is a list."""
        return self.item or ANY

    def without_null(self) -> Type:
        """The same, but never null."""
        if "null" not in self.kinds or len(self.kinds) == 1:
            return self
        values = self.values
        if values is not None:
            values = tuple(value for value in values if value is not None)
        return replace(self, kinds=self.kinds - {"null"}, values=values)

    def __str__(self) -> str:
        """A noun for messages: `a string`, `a number or null`."""
        kinds = self.kinds
        if kinds == KINDS:
            return "any value"
        words = [_WORDS[kind] for kind in _ORDER if kind in kinds]
        if kinds >= _NUMBERS:
            words = [word for word in words if word != "an int"]
            words[words.index("a float")] = "a number"
        return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"


_ORDER: Final = ("bool", "int", "float", "string", "list", "object", "null")
_WORDS: Final = {
    "null": "null",
    "bool": "a bool",
    "int": "an int",
    "float": "a float",
    "string": "a string",
    "list": "a list",
    "object": "an object",
}

ANY: Final = Type(KINDS)
NULL: Final = Type(frozenset(("null",)))
BOOL: Final = Type(frozenset(("bool",)))
INT: Final = Type(frozenset(("int",)))
NUMBER: Final = Type(_NUMBERS)
STRING: Final = Type(frozenset(("string",)))


def of(*kinds: str) -> Type:
    """A value of one of some kinds."""
    return Type(frozenset(kinds))


def literal(value: Literal) -> Type:
    """Exactly one value."""
    return one_of((value,))


def one_of(values: Iterable[Literal]) -> Type:
    """One of some values."""
    known = tuple(values)
    kinds = frozenset(map(_kind, known))
    if any(isinstance(value, float) and value.is_integer() for value in known):
        kinds |= {"int"}  # 2.0 is a whole number for JSON Schema
    return Type(kinds, known if len(known) <= _MANY_VALUES else None)


def _kind(value: Literal) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"


def list_of(item: Type) -> Type:
    """A list of such items."""
    return Type(frozenset(("list",)), item=item)


def object_of(fields: Mapping[str, Field], rest: Rest = Rest.CLOSED) -> Type:
    """An object with such keys."""
    return Type(frozenset(("object",)), fields=fields, rest=rest)


def union(types: Iterable[Type]) -> Type:
    """What is known of a value that has one of these types; of none: `ANY`."""
    given = list(types)
    return reduce(_either, given) if given else ANY


def _either(one: Type, other: Type, depth: int = 0) -> Type:
    if one is other:
        return one
    if depth > _DEPTH:
        return ANY
    values = None
    if one.values is not None and other.values is not None:
        merged = tuple(dict.fromkeys(_typed(v) for v in (*one.values, *other.values)))
        values = tuple(value for _, value in merged) if len(merged) <= _MANY_VALUES else None
    item = one.item if not other.may_be("list") else other.item if not one.may_be("list") else None
    if one.item is not None and other.item is not None:
        item = _either(one.item, other.item, depth + 1)
    fields, rest = _shape(one, other, depth)
    return Type(one.kinds | other.kinds, values, item, fields, rest)


def _typed(value: Literal) -> tuple[str, Literal]:
    return _kind(value), value


def _shape(one: Type, other: Type, depth: int) -> tuple[Mapping[str, Field], Rest]:
    if not one.may_be("object"):
        return other.fields, other.rest
    if not other.may_be("object"):
        return one.fields, one.rest
    if len(one.fields) + len(other.fields) > _MANY_FIELDS:
        return {}, Rest.OPEN
    rests = {one.rest, other.rest}
    rest = next(r for r in (Rest.OPEN, Rest.DECLARED, Rest.CLOSED) if r in rests)
    fields: dict[str, Field] = {}
    for name in dict.fromkeys((*one.fields, *other.fields)):
        left, right = one.fields.get(name), other.fields.get(name)
        if left is not None and right is not None:
            type = _either(left.type, right.type, depth + 1)
            fields[name] = Field(type, left.required and right.required)
        else:
            known, absent = (left, other) if left is not None else (right, one)
            assert known is not None
            # Where nothing is known of the other, it may well have the key.
            open = absent.rest is Rest.OPEN
            type = known.type if absent.rest is Rest.CLOSED else ANY
            fields[name] = Field(type, known.required and open)
    return fields, rest
