"""The input of a definition: its defaults and its check."""

from __future__ import annotations

from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry

__all__ = ["check_input", "with_defaults"]

_MOST = 5
_MAX_DEPTH = 64


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
    # An empty registry: nothing is ever fetched.
    validator = Draft202012Validator(schema, registry=Registry())
    found = validator.iter_errors(value)  # pyright: ignore[reportUnknownMemberType]
    errors: list[ValidationError] = sorted(found, key=lambda error: [str(p) for p in error.path])
    lines = [_line(error) for error in errors[:_MOST]]
    if len(errors) > _MOST:
        lines.append(f"and {len(errors) - _MOST} more")
    return lines


def _line(error: ValidationError) -> str:
    place = "input"
    for part in error.absolute_path:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = error.message if len(error.message) <= 200 else error.message[:197] + "..."
    return f"{place}: {message}"
