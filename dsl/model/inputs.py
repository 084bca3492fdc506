"""The input of a definition: its defaults and its check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import regex
from jsonschema import Draft202012Validator, ValidationError, validators
from referencing import Registry

from dsl.diagnostics import did_you_mean
from dsl.model.leaves import describe

__all__ = ["TYPES", "check_input", "check_part", "with_defaults"]

_MOST = 5
_MAX_DEPTH = 64
_PATTERN_TIME = 0.2
"""How long one `pattern` may take on one text, in seconds."""
_NO_REMOTE: Registry[Any] = Registry()
"""Knows no schema but the one at hand: nothing is ever fetched."""
TYPES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "null",
}
"""The types of JSON Schema in the author's words."""


def with_defaults(schema: Any, value: Any) -> Any:
    """A value with the defaults of its schema, which is left as it is.

    Defaults are taken from `properties`, also inside `items`, `prefixItems`, `allOf` and
    local `$ref`s; not from `anyOf`, `oneOf` or `if`, where it is open which part applies.

    Returns:
        The value itself where nothing was added.
    """
    return _Defaults(schema).apply(schema, value, 0)


class _Defaults:
    def __init__(self, root: Any) -> None:
        self.root = root

    def apply(self, schema: Any, value: Any, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return value
        known = cast("dict[str, Any]", schema)
        reference = known.get("$ref")
        if isinstance(reference, str):
            value = self.apply(self.resolve(reference), value, depth + 1)
        for part in known.get("allOf", ()):
            value = self.apply(part, value, depth + 1)
        if isinstance(value, dict):
            return self.object(known, cast("dict[str, Any]", value), depth)
        if isinstance(value, list):
            return self.array(known, cast("list[Any]", value), depth)
        return value

    def object(self, schema: dict[str, Any], value: dict[str, Any], depth: int) -> Any:
        result = value
        for name, part in schema.get("properties", {}).items():
            if name in value:
                changed = self.apply(part, value[name], depth + 1)
                if changed is value[name]:
                    continue
            elif isinstance(part, dict) and "default" in part:
                changed = self.apply(part, part["default"], depth + 1)
            else:
                continue
            result = dict(value) if result is value else result
            result[name] = changed
        return result

    def array(self, schema: dict[str, Any], value: list[Any], depth: int) -> Any:
        first = schema.get("prefixItems", [])
        rest = schema.get("items")
        changed = [
            self.apply(first[index] if index < len(first) else rest, item, depth + 1)
            for index, item in enumerate(value)
        ]
        same = all(a is b for a, b in zip(changed, value, strict=True))
        return value if same else changed

    def resolve(self, reference: str) -> Any:
        node: Any = self.root
        for part in reference.removeprefix("#").split("/"):
            if part:
                name = part.replace("~1", "/").replace("~0", "~")
                node = cast("dict[str, Any]", node).get(name) if isinstance(node, dict) else None
        return node


def check_input(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with an input, a line each; nothing where it is right."""
    return check_part(schema, schema, value, "input")


def check_part(root: dict[str, Any], part: dict[str, Any], value: Any, name: str) -> list[str]:
    """What is wrong with a value that a part of a schema describes.

    Args:
        root: The whole schema, where references lead.
        part: The part of it.
        value: The value.
        name: What to call it.
    """
    validator: Any = _Validator(root, registry=_NO_REMOTE).evolve(schema=part)
    found: Iterable[ValidationError] = validator.iter_errors(value)
    errors = sorted(found, key=_place)
    lines = list(dict.fromkeys(line for error in errors for line in _lines(error, name)))
    more = len(lines) - _MOST
    return lines if more <= 0 else [*lines[:_MOST], f"and {more} more"]


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """`pattern`, with an end: a regular expression of the standard library may take years."""
    if not isinstance(value, str):
        return
    try:
        if not regex.search(pattern, value, timeout=_PATTERN_TIME):
            yield ValidationError(f"does not match {pattern}")
    except TimeoutError:
        yield ValidationError(f"it takes too long to match {pattern}")


def _place(error: ValidationError) -> list[str]:
    return [str(part) for part in error.absolute_path]


_extend: Any = validators.extend  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
_Validator: Any = _extend(Draft202012Validator, {"pattern": _pattern})


_SAID = {
    "const": "must be {}",
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have {} characters or more",
    "maxLength": "must have {} characters or less",
    "minItems": "must have {} items or more",
    "maxItems": "must have {} items or less",
    "uniqueItems": "must not hold an item twice",
    "minProperties": "must have {} keys or more",
    "maxProperties": "must have {} keys or less",
    "anyOf": "must fit one of the forms in its schema",
    "oneOf": "must fit exactly one of the forms in its schema",
    "contains": "must hold an item of the form in its schema",
    "not": "must not have the form in its schema",
}
"""What keywords of JSON Schema want, in the author's words."""


def _lines(error: ValidationError, place: str) -> Iterator[str]:
    """An error in the author's words."""
    for part in error.absolute_path:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    value: Any = error.instance
    rule: Any = error.validator_value
    shown = describe(cast("object", value))
    match error.validator:
        case "required" if isinstance(value, dict):
            yield from (f"{place}: `{name}` is missing" for name in rule if name not in value)
        case "additionalProperties" if isinstance(value, dict) and rule is False:
            known = list(cast("dict[str, Any]", error.schema).get("properties", {}))
            for name in cast("dict[str, Any]", value):
                if name not in known:
                    hint = did_you_mean(name, known)
                    yield f"{place}: `{name}` is unknown{'; ' + hint if hint else ''}"
        case "type":
            kinds = cast("list[str]", rule if isinstance(rule, list) else [rule])
            words = " or ".join(TYPES.get(kind, kind) for kind in kinds)
            yield f"{place}: must be {words}, is {shown}"
        case "enum":
            yield f"{place}: must be one of {', '.join(map(str, rule))}, is {shown}"
        case "pattern":
            message = error.message
            yield f"{place}: {message if len(message) <= 200 else message[:197] + '...'}"
        case _ if error.validator in _SAID:
            yield f"{place}: {_SAID[str(error.validator)].format(rule)}, is {shown}"
        case _:
            yield f"{place}: does not fit `{error.validator}` of its schema, is {shown}"
