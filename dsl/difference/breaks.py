"""Which inputs a new schema refuses that an old one took."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

from dsl.difference.values import joined, text_of
from dsl.model.inputs import TYPES

__all__ = ["input_breaks"]

_NUMBERS = frozenset(("number", "integer"))
_TEXTS = frozenset(("string",))
_LISTS = frozenset(("array",))
_MAPS = frozenset(("object",))
_ANY = frozenset(TYPES)
_LEAST = {
    "minLength": (_TEXTS, "must have {} or more characters"),
    "minItems": (_LISTS, "must have {} or more items"),
    "minProperties": (_MAPS, "must have {} or more properties"),
}
_MOST = {
    "maxLength": (_TEXTS, "must have {} or fewer characters"),
    "maxItems": (_LISTS, "must have {} or fewer items"),
    "maxProperties": (_MAPS, "must have {} or fewer properties"),
}
_OTHERS = {
    "pattern": _TEXTS,
    "format": _TEXTS,
    "multipleOf": _NUMBERS,
    "uniqueItems": _LISTS,
    "prefixItems": _LISTS,
    "contains": _LISTS,
    "minContains": _LISTS,
    "maxContains": _LISTS,
    "unevaluatedItems": _LISTS,
    "patternProperties": _MAPS,
    "propertyNames": _MAPS,
    "dependentRequired": _MAPS,
    "dependentSchemas": _MAPS,
    "unevaluatedProperties": _MAPS,
    "oneOf": _ANY,
    "not": _ANY,
    "if": _ANY,
    "then": _ANY,
    "else": _ANY,
}
"""Keywords that may refuse more wherever they are new or different, and what they are about."""


def input_breaks(old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[str]:
    """How a new input schema refuses what the old one took, a line each.

    It goes by the structure: where it is open whether two rules take the same, such as two
    patterns, the new one counts as narrower. What the old schema took without a word about it,
    as a property that it does not name, does not count. What is wrong with a definition inside
    the schema (`$ref`) is said where it is used first.

    Args:
        old: The JSON Schema as it was. None takes everything.
        new: The JSON Schema as it is.
    """
    before, after = old or {}, new or {}
    return list(dict.fromkeys(_Breaks(before, after).schema("input", before, after)))


class _Breaks:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old = old
        self.new = new
        self.seen: set[tuple[str, str]] = set()

    def schema(self, place: str, given: Any, wanted: Any) -> Iterator[str]:
        """What a part of the new schema refuses that this part of the old one took."""
        if given is False or wanted is True:
            return
        if wanted is False:
            yield f"`{place}` is not taken any more"
            return
        if self.again(given, wanted):
            return
        old = _resolved(self.old, {} if given is True else given)
        new = _resolved(self.new, wanted)
        yield from self.enumerated(place, old, new)
        types, allowed = _types_left(old, new), _types(new)
        common = _widened(types) & _widened(allowed)
        if not types <= _widened(allowed) and "type" in new:
            yield f"`{place}` must be {_words(allowed)} now, was {_words(types)}"
        yield from _bounds(place, old, new, common)
        yield from self.others(place, old, new, common)
        if common & _MAPS:
            yield from self.object(place, old, new)
        if common & _LISTS and "items" in new:
            yield from self.schema(f"{place}[]", old.get("items", True), new["items"])

    def again(self, given: Any, wanted: Any) -> bool:
        """Whether these two were compared before. Only references can lead back to them."""
        if not any(isinstance(part, dict) and "$ref" in part for part in (given, wanted)):
            return False
        pair = (_without_defs(given), _without_defs(wanted))
        known = pair in self.seen
        self.seen.add(pair)
        return known

    def enumerated(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        values, taken = _values(old), _values(new)
        if taken is None:
            return
        if values is None:
            if not ("enum" in new or "const" in new):
                return
            one_of = "one of " if len(taken) > 1 else ""
            yield f"`{place}` must be {one_of}{_listed(taken)} now"
            return
        texts = {text_of(value) for value in taken}
        refused = [value for value in values if text_of(value) not in texts]
        if refused:
            yield f"`{place}` no longer takes {_listed(refused)}"

    def others(
        self, place: str, old: dict[str, Any], new: dict[str, Any], types: frozenset[str]
    ) -> Iterator[str]:
        """Keywords that are only looked at as a whole."""
        for key, about in _OTHERS.items():
            if key not in new or not types & about or (key, new[key]) == ("uniqueItems", False):
                continue
            if key in old and self.meaning(self.old, old[key]) == self.meaning(self.new, new[key]):
                continue
            was = f", was {text_of(old[key])}" if key in old else ""
            if key == "pattern":
                yield f"`{place}` must match {text_of(new[key])} now{was}"
            elif key == "format":
                yield f"`{place}` must have the format {text_of(new[key])} now{was}"
            else:
                yield f"`{place}` has {'another' if was else 'a new'} rule `{key}`"
        for key in ("allOf", "anyOf"):
            before = {self.meaning(self.old, part) for part in old.get(key, ())}
            after = {self.meaning(self.new, part) for part in new.get(key, ())}
            # Of `allOf` fewer parts take more, of `anyOf` more parts do.
            wider = after <= before if key == "allOf" else not after or (before and before <= after)
            if not wider:
                yield f"`{place}` has {'another' if before else 'a new'} rule `{key}`"

    @staticmethod
    def meaning(root: dict[str, Any], part: Any) -> str:
        """What a part says, with all that it may refer to."""
        text = text_of(part)
        return text + text_of(root) if '"$ref"' in text else text

    def object(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        properties: dict[str, Any] = new.get("properties", {})
        rest, others = old.get("additionalProperties", True), new.get("additionalProperties", True)
        known: dict[str, Any] = dict.fromkeys(old.get("required", ()), rest)
        known |= old.get("properties", {})
        for name in new.get("required", ()):
            yield from _required(joined(place, name), name, old, new)
        for name, part in known.items():
            if name in properties:
                yield from self.schema(joined(place, name), part, properties[name])
            elif part is not False:
                yield from self.schema(joined(place, name), part, others)
        if isinstance(rest, dict):
            for name in properties:
                if name not in known:
                    yield from self.schema(joined(place, name), rest, properties[name])
        if others is False and rest is not False:
            yield f"`{place}` takes no other properties any more"
        elif isinstance(others, dict):
            yield from self.schema(f"{place}.*", rest, cast("dict[str, Any]", others))


def _required(place: str, name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if _has_default(new, name):
        return
    if name not in old.get("required", ()):
        yield f"`{place}` is required now and has no default"
    elif _has_default(old, name):
        yield f"`{place}` is required and has no default any more"


def _has_default(schema: dict[str, Any], name: str) -> bool:
    part = schema.get("properties", {}).get(name)
    return isinstance(part, dict) and "default" in part


def _bounds(
    place: str, old: dict[str, Any], new: dict[str, Any], types: frozenset[str]
) -> Iterator[str]:
    if types & _NUMBERS:
        if (low := _low(new)) > (was := _low(old)):
            yield f"`{place}` must be {_low_words(low)} now{_was(_low_words(was))}"
        if (high := _high(new)) < (was := _high(old)):
            yield f"`{place}` must be {_high_words(high)} now{_was(_high_words(was))}"
    for key, (about, words) in _LEAST.items():
        if types & about and new.get(key, 0) > old.get(key, 0):
            was = str(old[key]) if key in old else ""
            yield f"`{place}` {words.format(new[key])} now{_was(was)}"
    for key, (about, words) in _MOST.items():
        if types & about and new.get(key, math.inf) < old.get(key, math.inf):
            was = str(old[key]) if key in old else ""
            yield f"`{place}` {words.format(new[key])} now{_was(was)}"


def _was(words: str) -> str:
    return f", was {words}" if words else ""


_Bound = tuple[float, float]
"""A bound, and which way it leans where the number itself is not taken."""


def _low(schema: dict[str, Any]) -> _Bound:
    least = (schema.get("minimum", -math.inf), 0)
    return max(least, (schema.get("exclusiveMinimum", -math.inf), 1))


def _high(schema: dict[str, Any]) -> _Bound:
    most = (schema.get("maximum", math.inf), 0)
    return min(most, (schema.get("exclusiveMaximum", math.inf), -1))


def _low_words(bound: _Bound) -> str:
    number, exclusive = bound
    if number == -math.inf:
        return ""
    return f"more than {number}" if exclusive else f"{number} or more"


def _high_words(bound: _Bound) -> str:
    number, exclusive = bound
    if number == math.inf:
        return ""
    return f"less than {number}" if exclusive else f"{number} or less"


def _resolved(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to in place of its `$ref`."""
    seen: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        target: Any = _target(root, reference)
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**target, **rest} if isinstance(target, dict) else rest
    return schema


def _without_defs(part: Any) -> str:
    if isinstance(part, dict):
        known = cast("dict[str, Any]", part)
        part = {key: value for key, value in known.items() if key != "$defs"}
    return text_of(part)


def _target(root: dict[str, Any], reference: str) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            node = cast("dict[str, Any]", node).get(name) if isinstance(node, dict) else None
    return node


def _values(schema: dict[str, Any]) -> list[Any] | None:
    """The only values that a schema takes, if it says so."""
    values: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    types = _named_types(schema)
    if values is None:
        return [True, False] if types == frozenset(("boolean",)) else None
    return [v for v in values if types is None or _type(v) in _widened(types)]


def _named_types(schema: dict[str, Any]) -> frozenset[str] | None:
    kinds = schema.get("type")
    if kinds is None:
        return None
    return frozenset(cast("list[str]", kinds if isinstance(kinds, list) else [kinds]))


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """The types that a schema takes."""
    types = _named_types(schema)
    if types is not None:
        return types
    values = _values(schema)
    return _ANY if values is None else frozenset(map(_type, values))


def _types_left(old: dict[str, Any], new: dict[str, Any]) -> frozenset[str]:
    """The types that a schema takes, of its only values those that the new one names too."""
    values, taken = _values(old), _values(new)
    if values is None or taken is None:
        return _types(old)
    texts = {text_of(value) for value in taken}
    return frozenset(_type(value) for value in values if text_of(value) in texts)


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _widened(types: frozenset[str]) -> frozenset[str]:
    """Types with those that they hold."""
    return types | {"integer"} if "number" in types else types


def _words(types: frozenset[str]) -> str:
    if types == _ANY:
        return "anything"
    return " or ".join(words for kind, words in TYPES.items() if kind in types)


def _listed(values: list[Any]) -> str:
    return ", ".join(map(text_of, values))
