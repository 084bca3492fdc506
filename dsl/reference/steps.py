"""The schemas of steps.

A step is told apart by its kind key with `if`, `then` and `else`, so that a mistake in a step
gives the one error that helps, where `anyOf` would give one for each kind.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from dsl.model.common import StepBase
from dsl.model.rules import needs
from dsl.reference.places import place_step
from dsl.steps import KINDS

__all__ = ["finish_kind", "step_schemas"]

_OF = {kind.kind: kind for kind in KINDS}
_BLOCKS = ("foreach", "while", "until", "do", "parallel", "switch")
"""The kinds with steps inside. In a loop `do` is no kind: the loops come first."""
_OTHERS = tuple(key for key in _OF if key not in _BLOCKS)
_SNIPPETS = [
    {
        "label": "activity with arguments",
        "body": {"id": "$1", "activity": "$2", "with": {"$3": "$4"}},
    },
    {
        "label": "foreach with steps",
        "body": {"id": "$1", "foreach": "$2", "as": "$3", "do": ["$4"]},
    },
    {
        "label": "parallel with branches",
        "body": {"id": "$1", "parallel": {"$2": ["$3"], "$4": ["$5"]}},
    },
    {
        "label": "switch with cases",
        "body": {"switch": [{"when": "$1", "do": ["$2"]}, {"else": ["$3"]}]},
    },
]
"""Steps to fill in."""
_NAMED = {"activity": "An activity", "workflow": "A workflow"}
"""Kinds whose steps have an id wherever they are not alone in a compensation."""
_STEP = {"$ref": "#/$defs/Step"}
_UNDO = {"$ref": "#/$defs/Undo"}


def finish_kind(kind: type[StepBase], schema: dict[str, Any]) -> dict[str, Any]:
    """Makes the schema of a kind's model one for editors.

    Returns:
        The schema of its kind key, which goes under `$defs`.
    """
    schema["title"] = f"{kind.kind} step"
    properties = schema["properties"]
    properties["compensate"] = _one_or_many(properties["compensate"])
    place_step(properties)
    key = properties[kind.kind]
    paragraphs = [" ".join(part.split()) for part in (kind.__doc__ or "").strip().split("\n\n")]
    about = [*paragraphs, key["description"]]
    example = f"```yaml\n{textwrap.dedent(kind.example).strip()}\n```"
    key["description"] = " ".join(about)
    key["markdownDescription"] = "\n\n".join([*about, example])
    name = _kind_key(kind)
    properties[kind.kind] = {"$ref": f"#/$defs/{name}"}
    return {name: key}


def _kind_key(kind: type[StepBase]) -> str:
    return f"{kind.__name__}.{kind.kind}"


def _one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    """What undoes a step: a step, or a list. One that is alone needs no id."""
    return {
        "description": schema["description"],
        "defaultSnippets": [{"label": "activity", "body": {"activity": "$1"}}],
        "if": {"type": "array"},
        "then": {
            "minItems": 1,
            "if": {"maxItems": 1},
            "then": {"items": _UNDO},
            "else": {"items": _STEP},
        },
        "else": _UNDO,
    }


def step_schemas(definitions: dict[str, Any]) -> dict[str, Any]:
    """`Step`, a step of any kind, and `Undo`, one that needs no id.

    Args:
        definitions: The schemas of all kinds, and of the keys that they share.
    """
    other = _when(_OTHERS, _told_apart(_OTHERS), _without_a_kind(definitions))
    step = _when(_BLOCKS, _told_apart(_BLOCKS), other)
    undo = _when(tuple(_NAMED), _told_apart(tuple(_NAMED), alone=True), _STEP)
    return {
        "Step": {"title": "step", "type": "object", **step},
        "Undo": {"title": "step", **undo},
    }


def _told_apart(keys: Sequence[str], alone: bool = False) -> dict[str, Any]:
    """A step that has one of these kinds: by halves, because validators recurse into schemas."""
    if len(keys) == 1:
        return _kind(*keys) if alone else _with_id(*keys)
    half = len(keys) // 2
    return _when(keys[:half], _told_apart(keys[:half], alone), _told_apart(keys[half:], alone))


def _when(keys: Sequence[str], then: dict[str, Any], otherwise: dict[str, Any]) -> dict[str, Any]:
    some = {"anyOf": [{"required": [key]} for key in keys]}
    return {"if": {"type": "object", **some}, "then": then, "else": otherwise}


def _kind(key: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{_OF[key].__name__}"}


def _with_id(key: str) -> dict[str, Any]:
    if key not in _NAMED:
        return _kind(key)
    why = f"{_NAMED[key]} needs an `id`: it is its name in Temporal's history."
    return {"allOf": [_kind(key), needs("id", why)]}


def _without_a_kind(definitions: dict[str, Any]) -> dict[str, Any]:
    """A step that has no kind yet: what it may have, and the one error that it has."""
    kinds = {key: {"$ref": f"#/$defs/{_kind_key(kind)}"} for key, kind in _OF.items()}
    common = {key: {"$ref": f"#/$defs/{key}"} for key in _keys(StepBase)}
    others = {key for kind in KINDS for key in definitions[kind.__name__]["properties"]}
    known = kinds | common | {key: True for key in sorted(others - kinds.keys() - common.keys())}
    shown = ", ".join(f"`{key}`" for key in kinds)
    first, *rest = kinds
    return {
        "properties": known,
        "additionalProperties": False,
        "errorMessage": f"This is no key of a step. A step has one kind key: {shown}.",
        "defaultSnippets": _SNIPPETS,
        "allOf": [
            {
                "if": {"propertyNames": {"enum": list(known)}},
                "then": {
                    # An editor shows the first of what is not met.
                    "anyOf": [
                        needs(first, f"A step needs a kind key: {shown}."),
                        *({"required": [key]} for key in rest),
                    ]
                },
            }
        ],
    }


def _keys(model: type[StepBase]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
