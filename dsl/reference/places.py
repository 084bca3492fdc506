"""What cannot stand in some places, however deep: a `return` in a compensation, a `break` outside
a loop. Each place has a schema that looks only for that, and follows the steps inside steps.
"""

from __future__ import annotations

from typing import Any

from dsl.model.rules import forbids

__all__ = ["place_root", "place_schemas", "place_step"]

_COMPENSATION = {"$ref": "#/$defs/InCompensation"}
_FINALLY = {"$ref": "#/$defs/InFinally"}
_HANDLER = {"$ref": "#/$defs/InHandler"}
_OUTSIDE = {"$ref": "#/$defs/OutsideLoops"}
_HIDDEN = {"doNotSuggest": True}
"""Keeps what is said here of a key from being suggested as another key."""


def place_schemas() -> dict[str, Any]:
    """What goes under `$defs`."""
    outside = _inside(_OUTSIDE)
    loop = {"anyOf": [{"required": [key]} for key in ("foreach", "while", "until")]}
    body = {"properties": {"do": outside.pop("do")}}
    return {
        "InCompensation": _place(
            forbids("compensate", "return", "rollback", why="This cannot stand in a compensation."),
            _inside(_COMPENSATION),
        ),
        "InFinally": _place(
            forbids("return", why="This cannot stand in a `finally`."), _inside(_FINALLY)
        ),
        "InHandler": _place(
            forbids("return", why="This cannot stand in the handler of a message."),
            _inside(_HANDLER),
        ),
        "OutsideLoops": {
            **_place(forbids("break", "continue", why="There is no loop here to leave."), outside),
            **{"if": loop, "else": body},
        },
    }


def _place(rule: dict[str, Any], inside: dict[str, Any]) -> dict[str, Any]:
    return {**rule, "properties": rule["properties"] | inside}


def _inside(place: dict[str, Any]) -> dict[str, Any]:
    """The keys of a step that have steps in the same place; a `finally` is a place of its own."""
    steps = {"items": place, **_HIDDEN}
    cases = {"items": {"properties": {"do": steps, "else": steps}}, **_HIDDEN}
    branches = {"additionalProperties": steps, **_HIDDEN}
    return {"do": steps, "parallel": branches, "switch": cases, "catch": cases}


def place_step(properties: dict[str, Any]) -> None:
    """Says of the steps inside a step where they are."""
    _add(properties["finally"], {"items": {"allOf": [_FINALLY, _OUTSIDE]}})
    undo = {"allOf": [_COMPENSATION, _OUTSIDE]}
    _add(properties["compensate"], {"if": {"type": "array"}, "then": {"items": undo}, "else": undo})


def place_root(properties: dict[str, Any]) -> None:
    """Says of the steps of a definition where they are."""
    steps = {"items": _OUTSIDE}
    _add(properties["steps"], steps)
    _add(properties["catch"], {"items": {"properties": {"do": steps | _HIDDEN}}})
    _add(properties["finally"], {"items": {"allOf": [_FINALLY, _OUTSIDE]}})
    handler = {"items": {"allOf": [_HANDLER, _OUTSIDE]}} | _HIDDEN
    for messages in ("signals", "updates"):
        _add(properties[messages], {"additionalProperties": {"properties": {"do": handler}}})


def _add(schema: dict[str, Any], rule: dict[str, Any]) -> None:
    schema["allOf"] = [rule]
