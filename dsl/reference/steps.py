"""The schemas of steps.

A step is told apart by its kind key with `if`, `then` and `else`, so that a mistake in a step
gives the one error that helps, where `anyOf` would give one for each kind.
"""

from __future__ import annotations

import textwrap
from typing import Any

from dsl.model.common import StepBase
from dsl.model.rules import needs
from dsl.reference.places import place_step
from dsl.steps import KINDS

__all__ = ["finish_kind", "step_schemas"]

_LOOPS = ("foreach", "while", "until")
"""The kinds that have a `do` beside them. They come first: with one of them `do` is no kind."""
_BLOCKS = (*_LOOPS, "do", "parallel", "switch")
"""The kinds with steps inside. They are found first, because they are what makes a schema deep."""
_ORDER = sorted(KINDS, key=lambda kind: (kind.kind not in _LOOPS, kind.kind not in _BLOCKS))
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
    step = _without_a_kind(definitions)
    for kind in reversed(_ORDER):
        step = {"if": _map_with(kind.kind), "then": _of(kind), "else": step}
    undo = {"if": _map_with("activity"), "then": _kind("activity"), "else": _STEP}
    return {
        "Step": {"title": "step", "type": "object", **step},
        "Undo": {"title": "step", **undo},
    }


def _map_with(key: str) -> dict[str, Any]:
    return {"type": "object", "required": [key]}


def _kind(key: str) -> dict[str, Any]:
    (name,) = [kind.__name__ for kind in KINDS if kind.kind == key]
    return {"$ref": f"#/$defs/{name}"}


def _of(kind: type[StepBase]) -> dict[str, Any]:
    if kind.kind != "activity":
        return _kind(kind.kind)
    why = "An activity needs an `id`: it is its name in Temporal's history."
    return {"allOf": [_kind("activity"), needs("id", why)]}


def _without_a_kind(definitions: dict[str, Any]) -> dict[str, Any]:
    """A step that has no kind yet: what it may have, and the one error that it has."""
    kinds = {kind.kind: {"$ref": f"#/$defs/{_kind_key(kind)}"} for kind in KINDS}
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
