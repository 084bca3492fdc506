"""The use of activities against what is known of them."""

from __future__ import annotations

from typing import Any, cast

from dsl.catalogue import Catalogue
from dsl.check.report import Report
from dsl.check.shapes import type_of
from dsl.diagnostics import did_you_mean
from dsl.expressions.types import ANY, Field, Rest, Type, list_of, literal, object_of, union
from dsl.source import Span
from dsl.steps import ActivityStep
from dsl.syntax import Entry, Mapping, Node, Scalar
from dsl.syntax import Sequence as SequenceNode

__all__ = ["check_activity", "check_arguments"]


def check_activity(
    step: ActivityStep, node: Mapping, given: Type | None, catalogue: Catalogue, report: Report
) -> None:
    """Checks the name of an activity and its arguments, as far as they are known at load.

    Args:
        step: The step.
        node: Its nodes.
        given: The type of its `with`, if it has one.
        catalogue: The activities that there are.
        report: Where mistakes are reported.
    """
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
    schema = {"additionalProperties": False, **known.arguments}
    name, at = f"`{step.activity}`", entry.value.span
    check_arguments(name, at, node.get("with"), given, schema, report)


def check_arguments(
    name: str,
    at: Span,
    there: Entry | None,
    given: Type | None,
    schema: dict[str, Any],
    report: Report,
) -> None:
    """Checks a `with` against a schema, as far as its values are known at load.

    Args:
        name: What takes the arguments, for messages.
        at: Where that is named.
        there: The `with`, if there is one.
        given: The type of its values; what is written out where that is not known.
        schema: The schema.
        report: Where mistakes are reported.
    """
    arguments = there.value if there is not None else None
    properties: dict[str, Any] = schema.get("properties", {})
    names = [e.name for e in arguments.entries] if isinstance(arguments, Mapping) else []
    missing = [
        one
        for one in schema.get("required", [])
        if one not in names and "default" not in _object(properties.get(one))
    ]
    if missing:
        noun = "argument" if len(missing) == 1 else "arguments"
        shown = ", ".join(f"`{one}`" for one in missing)
        place = there.key.span if there is not None else at
        report.add("DSL503", f"{name} needs the {noun} {shown}", place)
    if not isinstance(arguments, Mapping):
        return
    given = _literal(arguments) if given is None else given
    wanted = type_of(schema)
    for argument in arguments.entries:
        if argument.name not in properties:
            if schema.get("additionalProperties") is False and not schema.get("patternProperties"):
                hint = did_you_mean(argument.name, properties)
                hint = hint or "known: " + (", ".join(properties) or "none")
                message = f"{name} has no argument `{argument.name}`"
                report.add("DSL503", message, argument.key.span, hint)
            continue
        field, inner = given.fields.get(argument.name), wanted.fields.get(argument.name)
        if field is not None and inner is not None:
            what = f"the argument `{argument.name}`"
            _check_type(what, argument.value, field.type, inner.type, report)


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _check_type(what: str, node: Node, given: Type, wanted: Type, report: Report) -> None:
    """A value against the type that is wanted, as far as both are known."""
    kinds = wanted.kinds | {"int"} if "float" in wanted.kinds else wanted.kinds
    if given.kinds.isdisjoint(kinds):
        report.add("DSL503", f"{what} must be {wanted}, is {given}", _place(node))
    elif given.values and wanted.values and not set(given.values) & set(wanted.values):
        known = ", ".join(f"`{value}`" for value in wanted.values)
        hint = did_you_mean(str(given.values[0]), [str(value) for value in wanted.values])
        report.add("DSL503", f"{what} must be one of {known}", _place(node), hint)
    elif given.is_only("object") and wanted.may_be("object"):
        _check_keys(what, node, given, wanted, report)
    elif isinstance(node, SequenceNode) and wanted.may_be("list"):
        for item in node:
            _check_type(f"an item of {what}", item, _literal(item), wanted.items, report)


def _check_keys(what: str, node: Node, given: Type, wanted: Type, report: Report) -> None:
    if given.rest is Rest.CLOSED:
        for name, field in wanted.fields.items():
            if field.required and name not in given.fields:
                report.add("DSL503", f"{what} needs the key `{name}`", _place(node))
    for name, field in given.fields.items():
        entry = node.get(name) if isinstance(node, Mapping) else None
        place = entry.value if entry is not None else node
        if name in wanted.fields:
            inner = wanted.fields[name].type
            _check_type(f"`{name}` of {what}", place, field.type, inner, report)
        elif wanted.rest is Rest.CLOSED and wanted.fields:
            hint = did_you_mean(name, wanted.fields)
            span = entry.key.span if entry is not None else _place(node)
            report.add("DSL503", f"{what} has no key `{name}`", span, hint)


def _literal(node: Node) -> Type:
    """What is known of a value without its expressions."""
    if isinstance(node, Scalar):
        return ANY if isinstance(node.value, str) and "${" in node.value else literal(node.value)
    if isinstance(node, Mapping):
        return object_of({entry.name: Field(_literal(entry.value)) for entry in node.entries})
    return list_of(union(map(_literal, node)))


def _place(node: Node) -> Span:
    return node.span if isinstance(node, Scalar) else Span(node.span.start, node.span.start + 1)
