"""What changed in a JSON Schema, in terms of its properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from dsl.difference.values import MISSING, changes, joined, text_of

__all__ = ["schema_changes"]


def schema_changes(
    at: str, old: dict[str, Any], new: dict[str, Any], path: str = ""
) -> Iterator[str]:
    """What changed in a schema, a line each.

    Args:
        at: What stands before every line.
        old: The old schema.
        new: The new schema.
        path: The property that it is of, such as `order.lines[].price`.
    """
    if text_of(old) == text_of(new):
        return
    of = f"{at}property {path}: " if path else at
    nested = {"properties", "required"}
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        nested.add("items")
    for key in new | old:
        if key not in nested:
            yield from changes(of, key, old.get(key, MISSING), new.get(key, MISSING))
    before: dict[str, Any] = old.get("properties", {})
    after: dict[str, Any] = new.get("properties", {})
    required: list[str] = new.get("required", [])
    was_required: list[str] = old.get("required", [])
    names = before | after | dict.fromkeys((*required, *was_required))
    for name in (*after, *(name for name in names if name not in after)):
        place = joined(path, name)
        yield from _property(at, place, before.get(name, MISSING), after.get(name, MISSING))
        if name in required and name not in was_required:
            yield f"{at}property {place} is required now"
        elif (
            name in was_required and name not in required and (name in after or name not in before)
        ):
            yield f"{at}property {place} is not required any more"
    if "items" in nested:
        yield from schema_changes(at, old["items"], new["items"], f"{path}[]")


def _property(at: str, path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from schema_changes(
            at, cast("dict[str, Any]", old), cast("dict[str, Any]", new), path
        )
    elif old is not MISSING or new is not MISSING:
        yield from changes(f"{at}property ", path, old, new)
