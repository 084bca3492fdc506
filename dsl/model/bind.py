"""Nodes to models: pydantic reads the plain values, its findings get their places here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dsl.diagnostics import Diagnostic
from dsl.model.definition import Definition
from dsl.model.leaves import describe
from dsl.model.repair import repair
from dsl.source import Source, Span
from dsl.syntax import Mapping as MappingNode
from dsl.syntax import Node, Scalar, locate
from dsl.syntax import Sequence as SequenceNode

__all__ = ["Bound", "bind"]

_LEADING = frozenset(
    ("activity", "workflow", "foreach", "while", "until", "sleep", "sleep_until", "wait_signal")
) | {"wait_condition", "send_signal", "raise", "rollback"}
"""Kinds whose value is no map."""
_OF_TEXTS = frozenset(("errors", "non_retryable_error_types", "one_of"))
_TYPES = {
    "model_type": "a map",
    "model_attributes_type": "a map",
    "dict_type": "a map",
    "list_type": "a list",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What a document was read as.

    Args:
        definition: The definition, or what can be read of it; None where that is nothing.
        document: The nodes that it was read from.
        diagnostics: All that is wrong with the structure.
        holes: The steps that do nothing because they could not be read.
    """

    definition: Definition | None
    document: MappingNode | None
    diagnostics: list[Diagnostic]
    holes: frozenset[MappingNode] = frozenset()


def bind(node: Node, source: Source) -> Bound:
    """Reads a document as a definition, or what can be read of it."""
    if not isinstance(node, MappingNode):
        message = f"a definition is a map, this is {describe(node.data())}"
        hint = "it begins with `dsl: 1`"
        return Bound(None, None, [Diagnostic("DSL005", message, source, _start(node), hint)])
    try:
        return Bound(Definition.model_validate(node.data()), node, [])
    except ValidationError as error:
        details = error.errors(include_url=False)
    misspelt = {(*d["loc"][:-1], _meant(d)) for d in details if d["type"] == "unknown_key"}
    told = (d for d in details if d["type"] != "missing" or d["loc"] not in misspelt)
    found = list(dict.fromkeys(_diagnostic(detail, node, source) for detail in told))
    repaired = repair(node, source, details)
    if repaired is None:
        return Bound(None, None, found)
    return Bound(repaired.definition, repaired.document, found, repaired.holes)


def _meant(detail: ErrorDetails) -> str:
    """The key that an unknown one was probably meant to be."""
    hint = str(cast("Mapping[str, Any]", detail.get("ctx", {}))["hint"])
    return hint.removeprefix("did you mean `").removesuffix("`?")


def _start(node: Node) -> Span:
    """A value on one line, or where a larger one begins."""
    if isinstance(node, Scalar):
        line = node.source.text[node.span.start : node.span.end].partition("\n")[0]
        return Span(node.span.start, node.span.start + len(line.rstrip()))
    return Span(node.span.start, min(node.span.end, node.span.start + 1))


def _diagnostic(detail: ErrorDetails, root: Node, source: Source) -> Diagnostic:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    node, key = locate(root, path)
    name = str(path[-1]) if path else ""
    context = cast("Mapping[str, Any]", detail.get("ctx", {}))
    match detail["type"]:
        case "unknown_key":
            span = key.span if key else _start(node)
            hint = str(context["hint"])
            if isinstance(node, Scalar) and node.value is None and node.style == "":
                parent, _ = locate(root, path[:-1])
                if isinstance(parent, MappingNode) and parent.flow:
                    hint = "a text with a comma inside { } must be quoted"
            return Diagnostic("DSL101", f"unknown key `{name}`", source, span, hint)
        case "missing":
            owner = " of a definition" if len(path) == 1 else ""
            return Diagnostic(
                "DSL102", f"the key `{name}`{owner} is missing", source, _key_or_start(node, key)
            )
        case "too_short":
            return Diagnostic(
                "DSL106", f"`{_owner(path)}` must not be empty", source, _key_or_start(node, key)
            )
        case "mistake":
            written = isinstance(node, Scalar) and node.span.end > node.span.start
            span = node.span if written else _key_or_start(node, key)
            if detail["loc"] and detail["loc"][-1] == "[key]" and key is not None:
                span = key.span
            if isinstance(node, MappingNode) and name in _LEADING and key is not None:
                message = f"the options of `{name}` stand beside it, not under it"
                hint = f"- {name}: ...\n  option: ..."
                return Diagnostic("DSL109", message, source, key.span, hint)
            message = str(context["message"])
            if isinstance(node, SequenceNode):
                items = (item for item in node if isinstance(item, Scalar))
                wrong = (item.span for item in items if f"`{item.value}`" in message)
                span = next(wrong, span)
            if message.startswith("must "):
                message = f"`{_owner(path)}` {message}"
            return Diagnostic(str(context["code"]), message, source, span, context["hint"])
        case kind:
            wanted = _TYPES.get(kind, "something else")
            value = node.data()
            message = f"`{_owner(path)}` must be {wanted}, is {describe(value)}"
            hint = "it has no value" if value is None else None
            if wanted == "a list" and isinstance(value, dict):
                hint = "a `- ` begins each of its items"
            elif name in _OF_TEXTS and isinstance(value, str):
                hint = f"write `[{value}]`"
            return Diagnostic("DSL105", message, source, _key_or_start(node, key), hint)


def _key_or_start(node: Node, key: Scalar | None) -> Span:
    return key.span if key else _start(node)


def _owner(path: tuple[str | int, ...]) -> str:
    """The last key of a path, with the indexes behind it: `catch[0]`."""
    indexes: list[str] = []
    for part in reversed(path):
        if isinstance(part, str):
            return part + "".join(reversed(indexes))
        indexes.append(f"[{part}]")
    return "the document"
