"""The JSON Schemas that stand in a definition."""

from __future__ import annotations

from jsonschema import Draft202012Validator, SchemaError

from dsl.check.report import Report
from dsl.syntax import Mapping, Node, Scalar, locate
from dsl.syntax import Sequence as SequenceNode

__all__ = ["check_schemas"]


def check_schemas(document: Mapping, report: Report) -> None:
    """Checks the schema of the input, and those of messages."""
    given = document.get("input")
    if given is not None:
        _check(given.value, report)
    signals = document.get("signals")
    if signals is None or not isinstance(signals.value, Mapping):
        return
    for signal in signals.value.entries:
        payload = signal.value.get("payload") if isinstance(signal.value, Mapping) else None
        if payload is not None:
            _check(payload.value, report, bounded=True)


def _check(node: Node, report: Report, bounded: bool = False) -> None:
    try:
        Draft202012Validator.check_schema(node.data())  # pyright: ignore[reportArgumentType]
    except SchemaError as error:
        place, key = locate(node, tuple(error.absolute_path))
        span = place.span if isinstance(place, Scalar) else (key or place).span
        report.add("DSL204", f"this is no JSON Schema: {error.message[:200]}", span)
        return
    for key, value in _keys(node):
        if key.value == "$ref" and not str(value.data()).startswith("#"):
            message = "only references inside the schema (`#...`) are followed"
            report.add("DSL204", message, value.span)
        if bounded and key.value in ("pattern", "patternProperties"):
            message = f"`{key.value}` is not allowed in the schema of a message"
            hint = "messages are checked inside the workflow, where a pattern cannot be bounded"
            report.add("DSL204", message, key.span, hint)


def _keys(node: Node) -> list[tuple[Scalar, Node]]:
    """Every key of a schema with its value, at any depth."""
    found: list[tuple[Scalar, Node]] = []
    if isinstance(node, Mapping):
        for entry in node.entries:
            found.append((entry.key, entry.value))
            found += _keys(entry.value)
    elif isinstance(node, SequenceNode):
        for item in node:
            found += _keys(item)
    return found
