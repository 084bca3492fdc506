"""The use of activities against what is known of them."""

from __future__ import annotations

from typing import Any, cast

from dsl.catalogue import Catalogue
from dsl.check.report import Report
from dsl.diagnostics import did_you_mean
from dsl.model.inputs import TYPES
from dsl.model.leaves import describe
from dsl.steps import ActivityStep
from dsl.syntax import Mapping, Node

__all__ = ["check_activity"]


def check_activity(step: ActivityStep, node: Mapping, catalogue: Catalogue, report: Report) -> None:
    """Checks the name of an activity and its arguments, as far as they are known at load."""
    entry = node.get("activity")
    assert entry is not None
    known = catalogue.get(step.activity)
    if known is None:
        hint = did_you_mean(step.activity, catalogue) or "known: " + ", ".join(sorted(catalogue))
        if not catalogue:
            hint = "no activities were loaded: --activities MODULE, or activities.py beside it"
        message = f"there is no activity `{step.activity}`"
        report.add("DSL502", message, entry.value.span, hint)
        return
    if step.has("args"):
        return
    given = node.get("with")
    arguments = given.value if given is not None else None
    schema = known.arguments
    properties: dict[str, Any] = schema.get("properties", {})
    names = [e.name for e in arguments.entries] if isinstance(arguments, Mapping) else []
    missing = [name for name in schema.get("required", []) if name not in names]
    if missing:
        shown = ", ".join(f"`{name}`" for name in missing)
        place = given.key.span if given is not None else entry.value.span
        report.add("DSL503", f"`{step.activity}` needs the argument {shown}", place)
    if not isinstance(arguments, Mapping):
        return
    for argument in arguments.entries:
        if argument.name not in properties:
            if schema.get("additionalProperties", False) is False:
                hint = did_you_mean(argument.name, properties)
                hint = hint or "known: " + (", ".join(properties) or "none")
                message = f"`{step.activity}` has no argument `{argument.name}`"
                report.add("DSL503", message, argument.key.span, hint)
            continue
        _check_type(argument.name, argument.value, properties[argument.name], report)


def _check_type(name: str, node: Node, schema: Any, report: Report) -> None:
    """A literal against the type of its argument. Templates are checked when they run."""
    if not isinstance(schema, dict):
        return
    value = node.data()
    wanted = cast("dict[str, Any]", schema).get("type")
    if not isinstance(wanted, str) or (isinstance(value, str) and "${" in value):
        return
    fits = {
        "string": isinstance(value, str),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    if not fits.get(wanted, True):
        message = f"the argument `{name}` must be {TYPES[wanted]}, is {describe(value)}"
        report.add("DSL503", message, node.span)
