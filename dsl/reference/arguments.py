"""What is known of activities, as JSON Schema: their names and their arguments.

In a definition a template may stand for any value of an argument, at any depth. What it gives is
not known before it runs, so that a schema takes it wherever it takes a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from dsl.catalogue import ActivityType, Catalogue
from dsl.model.inputs import TYPES
from dsl.model.patterns import TEMPLATE
from dsl.model.rules import needs

__all__ = ["know_activities"]

_TEMPLATE = {"type": "string", "pattern": TEMPLATE}
_MAPS = frozenset(("dependentSchemas", "patternProperties", "properties"))
_LISTS = frozenset(("allOf", "anyOf", "prefixItems"))
_SINGLE = frozenset(("additionalProperties", "contains", "items"))
_UNKNOWABLE = frozenset(
    (
        *("discriminator", "else", "if", "maxContains", "not", "then"),
        *("unevaluatedItems", "unevaluatedProperties", "uniqueItems"),
    )
)
"""Keywords that may refuse a template whatever it gives."""
_OF_TEXTS = frozenset(("const", "enum", "format", "maxLength", "minLength", "pattern"))
"""Keywords that say something of a text, which a template is before it runs."""
_ANNOTATIONS = frozenset(
    (
        *("default", "deprecated", "description", "examples", "title"),
        *("readOnly", "writeOnly"),
    )
)


def know_activities(definitions: dict[str, Any], activities: Catalogue) -> None:
    """Makes the schema of the step `activity` one that knows which there are.

    An activity with a `task_queue` of its own is run by other workers: nothing is known of it.

    Args:
        definitions: What stands under `$defs`. The schemas of arguments are added.
        activities: The activities.
    """
    step, key = definitions["ActivityStep"], definitions["ActivityStep.activity"]
    del key["examples"]
    # An editor shows the first description it meets: that of the activity, else the general one.
    general = {"properties": {"activity": step["properties"]["activity"]}}
    step["properties"]["activity"] = {"type": "string"}
    descriptions = [one.description for one in activities.values()]
    names = {
        "enum": list(activities),
        "enumDescriptions": descriptions,
        "markdownEnumDescriptions": descriptions,
    }
    known = {
        "properties": {"activity": {"anyOf": [names, _TEMPLATE]}},
        "allOf": [_of(one, definitions) for one in activities.values()],
    }
    step["allOf"] += [{"if": {"properties": {"task_queue": False}}, "then": known}, general]


def _of(activity: ActivityType, definitions: dict[str, Any]) -> dict[str, Any]:
    """What follows from the name of an activity."""
    schema: dict[str, Any] = {"title": activity.name, **activity.arguments}
    parts: dict[str, Any] = schema.pop("$defs", {})
    own, *others = _reserve(
        (activity.name, *(f"{activity.name}.{part}" for part in parts)), definitions
    )
    names = {f"#/$defs/{part}": f"#/$defs/{name}" for part, name in zip(parts, others, strict=True)}
    definitions[own] = _inside(schema, names)
    for part, name in zip(parts.values(), others, strict=True):
        definitions[name] = _templated(part, names)
    then: dict[str, Any] = {
        "properties": {
            "activity": {"description": activity.description},
            "with": {"$ref": f"#/$defs/{own}"},
        }
    }
    if schema.get("required"):
        shown = ", ".join(f"`{name}`" for name in schema["required"])
        why = f"`{activity.name}` needs arguments, in `with`: {shown}."
        then |= {"if": {"properties": {"args": False}}, "then": needs("with", why)}
    return {"if": {"properties": {"activity": {"const": activity.name}}}, "then": then}


def _reserve(names: Iterable[str], definitions: dict[str, Any]) -> list[str]:
    """Names under `$defs` that are free, and can be referred to as they are."""
    found: list[str] = []
    for name in names:
        plain = free = "with." + re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        count = 1
        while free in definitions:
            count += 1
            free = f"{plain}-{count}"
        definitions[free] = {}
        found.append(free)
    return found


def _templated(part: Any, names: Mapping[str, str]) -> Any:
    """A schema that takes templates beside what it takes, and inside it."""
    if not isinstance(part, dict):
        return part
    schema = _inside(cast("dict[str, Any]", part), names)
    given = schema.get("type", [])
    types = cast("list[str]", given if isinstance(given, list) else [given])
    if not schema.keys() & _OF_TEXTS:
        if not types or "string" in types:
            return schema
        why = f"This must be {' or '.join(map(_word, types))}, or a template such as `${{ ... }}`."
        return {
            **schema,
            "type": [*types, "string"],
            "pattern": TEMPLATE,
            "errorMessage": why,
        }
    about = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    rules = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    return {**about, "anyOf": [rules, _TEMPLATE]}


def _word(kind: str) -> str:
    return TYPES.get(kind, kind)


def _inside(schema: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A schema that takes templates inside what it takes."""
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS:
            made[key] = {name: _templated(part, names) for name, part in value.items()}
        elif key in _LISTS:
            made[key] = [_templated(part, names) for part in value]
        elif key in _SINGLE:
            made[key] = _templated(value, names)
        elif key == "$ref":
            made[key] = names.get(value, value)
        elif key not in _UNKNOWABLE and key != "oneOf":
            made[key] = value
    if "oneOf" in schema:
        # A template fits all of them.
        some = {"anyOf": [_templated(part, names) for part in schema["oneOf"]]}
        made["allOf"] = [*made.get("allOf", ()), some]
    return made
