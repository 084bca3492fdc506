"""The JSON Schemas that stand in a definition."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import regex
from jsonschema import Draft202012Validator, ValidationError

from dsl.check.references import References
from dsl.check.report import Report
from dsl.diagnostics import closest, did_you_mean
from dsl.model.inputs import TYPES, check_part
from dsl.model.leaves import describe
from dsl.source import Span
from dsl.syntax import Mapping, Node, Scalar, locate
from dsl.syntax import Sequence as SequenceNode

__all__ = ["check_schemas"]

_META: Any = Draft202012Validator(Draft202012Validator.META_SCHEMA)
_OF_NAMES = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))
"""Keywords whose value is a map of schemas by names."""
_OF_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_OF_ONE = frozenset(
    ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
) | {"unevaluatedItems", "unevaluatedProperties"}
_WORDS: Any = Draft202012Validator.VALIDATORS
_CHECKED = frozenset((*_WORDS, "default", "then", "else", "$defs"))
"""Keywords that mean something here."""
_OTHER = frozenset(("maxContains", "minContains", "definitions"))
"""Keywords that look like others."""
_MOST = 100
_ALIKE = 0.8


def check_schemas(document: Mapping, report: Report) -> None:
    """Checks the schema of the input, and those of messages."""
    given = document.get("input")
    if given is not None and isinstance(given.value, Mapping):
        root = given.value
        if _is_schema(root, report) and _parts(root, report, bounded=False):
            _defaults(root, report)
    for key in ("signals", "updates"):
        messages = document.get(key)
        if messages is None or not isinstance(messages.value, Mapping):
            continue
        for message in messages.value.entries:
            payload = message.value.get("payload") if isinstance(message.value, Mapping) else None
            if payload is None or not isinstance(payload.value, Mapping):
                continue
            if _is_schema(payload.value, report):
                _parts(payload.value, report, bounded=True)


def _is_schema(node: Mapping, report: Report) -> bool:
    """Checks a schema by the schema of schemas."""
    errors = list(_META.iter_errors(node.data()))
    told: set[Span] = set()
    for error in errors:
        while error.context:
            error = max(error.context, key=lambda one: len(one.absolute_path))
        place, key = locate(node, tuple(error.absolute_path))
        written = isinstance(place, Scalar) and place.span.end > place.span.start
        span = place.span if written else (key or place).span
        if span not in told and len(told) < _MOST:
            told.add(span)
            message, hint = _said(error)
            report.add("DSL204", message, span, hint)
    return not errors


def _said(error: ValidationError) -> tuple[str, str | None]:
    """What is wrong with a schema, in the author's words."""
    names = [part for part in error.absolute_path if isinstance(part, str)]
    key = names[-1] if names else "the schema"
    value = cast("object", error.instance)
    if key == "type":
        known = ", ".join(TYPES)
        hint = did_you_mean(value, TYPES) if isinstance(value, str) else None
        return f"`type` must be one of {known}, is {describe(value)}", hint
    if key == "required" and isinstance(value, bool):
        hint = "beside `properties` it lists the keys that must be there: `required: [a, b]`"
        return f"`required` must be a list, is {describe(value)}", hint
    rule = cast("Any", error.validator_value)
    if error.validator == "type":
        kinds = cast("list[str]", rule) if isinstance(rule, list) else [str(rule)]
        words = [TYPES.get(kind, kind) for kind in kinds]
        if kinds == ["object", "boolean"]:
            words = ["a schema"]
        return f"`{key}` must be {' or '.join(words)}, is {describe(value)}", None
    bounds = {"minimum": "at least", "exclusiveMinimum": "more than"}
    if error.validator in bounds:
        return f"`{key}` must be {bounds[str(error.validator)]} {rule}, is {value}", None
    if error.validator == "minItems":
        return f"`{key}` must not be empty", None
    if error.validator == "uniqueItems":
        return f"`{key}` must not hold a value twice", None
    return f"`{key}` does not hold what JSON Schema wants there, but {describe(value)}", None


def _parts(root: Mapping, report: Report, bounded: bool) -> bool:
    """Checks each schema inside a schema; says whether values can be checked by it."""
    schemas = list(_schemas(root))
    references = References(root, schemas)
    sound = True
    for schema in schemas:
        for entry in schema.entries:
            name, at = entry.name, entry.value.span
            wrong = None
            if name in ("$ref", "$dynamicRef"):
                wrong = references.wrong(str(entry.value.data()))
            elif bounded and name in ("pattern", "patternProperties"):
                message = f"`{name}` is not allowed in the schema of a message"
                hint = "messages are checked inside the workflow, where a pattern has no bound"
                report.add("DSL204", message, entry.key.span, hint)
            elif name == "pattern":
                wrong = _regular(regex.compile, str(entry.value.data()))
            elif name == "patternProperties" and isinstance(entry.value, Mapping):
                names = [(one.name, one.key.span) for one in entry.value.entries]
                found = ((_regular(re.compile, one), place) for one, place in names)
                wrong, at = next((one for one in found if one[0]), (None, at))
            elif name not in _CHECKED and schema.flow and _is_nothing(entry.value):
                message = f"`{name}` is no word of JSON Schema, and has no value"
                hint = "a text with a comma inside { } must be quoted"
                report.add("DSL207", message, entry.key.span, hint)
            elif name not in _CHECKED | _OTHER:
                meant = closest(name, sorted(_CHECKED), _ALIKE)
                if meant is not None and schema.get(meant) is None:
                    message = f"`{name}` is no word of JSON Schema, and checks nothing"
                    report.add("DSL207", message, entry.key.span, f"did you mean `{meant}`?")
            if wrong is not None:
                sound = False
                report.add("DSL204", wrong, at)
    circle = references.endless()
    if circle is not None:
        message = "this schema leads back to itself: no value can ever be checked"
        report.add("DSL204", message, circle.entries[0].key.span)
    return sound and circle is None


def _is_nothing(node: Node) -> bool:
    """Whether nothing was written where a value belongs."""
    return isinstance(node, Scalar) and node.value is None and node.span.start == node.span.end


def _regular(read: Callable[[str], object], pattern: str) -> str | None:
    """What is wrong with a regular expression, for what will read it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            read(pattern)
    except (re.error, regex.error, RecursionError, OverflowError) as error:
        return f"this is no regular expression: {error}"
    return None


def _schemas(node: Node) -> Iterator[Mapping]:
    """A schema, and those in it."""
    if not isinstance(node, Mapping):
        return
    yield node
    for entry in node.entries:
        if entry.name in _OF_ONE:
            yield from _schemas(entry.value)
        elif entry.name in _OF_LISTS and isinstance(entry.value, SequenceNode):
            for part in entry.value:
                yield from _schemas(part)
        elif entry.name in _OF_NAMES and isinstance(entry.value, Mapping):
            for part in entry.value.entries:
                yield from _schemas(part.value)


def _defaults(root: Node, report: Report) -> None:
    """Checks the defaults of an input by their own schemas."""
    whole: Any = root.data()
    for schema in _schemas(root):
        given = schema.get("default")
        if given is None:
            continue
        wrong = check_part(whole, schema.data(), given.value.data(), "the default")
        if wrong:
            place = given.value
            span = place.span if isinstance(place, Scalar) else given.key.span
            report.add("DSL205", wrong[0], span, None, "its schema is here", schema.span.at(0))
