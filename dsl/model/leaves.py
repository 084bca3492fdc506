"""The leaf types of the model: how each is read from YAML, and what its JSON Schema says.

A leaf reads a plain value and gives its normal form, or raises `Mistake` in the author's
words. Pydantic carries the mistakes with their paths; `dsl.model.bind` gives them places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dsl.diagnostics import did_you_mean
from dsl.durations import parse_duration, parse_time
from dsl.expressions import FUNCTIONS, RESERVED, strip_braces
from dsl.model import patterns

__all__ = [
    "ANY",
    "ATTRIBUTE",
    "BRANCH",
    "DEFINITION_NAME",
    "DURATION",
    "ERROR_TYPE",
    "EXPRESSION",
    "EXPRESSION_OR_LIST",
    "FLAG",
    "JSON_SCHEMA",
    "LOCAL_NAME",
    "MESSAGE_NAME",
    "POSITIVE",
    "QUERY_NAME",
    "REVISION",
    "SIGNAL_ELSEWHERE",
    "STEP_ID",
    "TEMPLATE",
    "TEXT",
    "TEXT_TEMPLATE",
    "TIME",
    "VARIABLE",
    "Leaf",
    "Role",
    "choice",
    "constant",
    "count",
    "describe",
    "mistake",
    "positional",
    "refusal",
    "template_map",
    "whole_number",
]


class Role(Enum):
    """What the checker and the compiler do with a leaf."""

    PLAIN = "plain"
    EXPRESSION = "expression"
    TEMPLATE = "template"


def mistake(code: str, message: str, hint: str | None = None) -> PydanticCustomError:
    """An author's mistake, to be raised by a validator."""
    context = {"code": code, "message": message, "hint": hint}
    return PydanticCustomError("mistake", "{message}", context)


def describe(value: object) -> str:
    """A value in the author's words: `the text "ten"`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            shown = value if len(value) <= 40 else value[:37] + "..."
            return f'the text "{shown}"'
        case list():
            return "a list"
        case _:
            return "a map"


@dataclass(frozen=True)
class Leaf:
    """Metadata that makes a field of the model a leaf.

    Args:
        role: What stands there.
        read: From the plain value to its normal form. Raises `mistake(...)`.
        schema: Its JSON Schema.
    """

    role: Role
    read: Callable[[Any], Any]
    schema: dict[str, Any] = field(hash=False)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise mistake("DSL105", f"must be a text, is {describe(value)}")
    return value


def _expression(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        hint = None
        if isinstance(value, list | dict):
            bracket = "[" if isinstance(value, list) else "{"
            hint = f"an expression that begins with {bracket} must be in quotes"
        shown = describe(cast("object", value))
        raise mistake("DSL307", f"must be an expression, is {shown}", hint)
    bare = strip_braces(value)[0].strip()
    if not bare:
        raise mistake("DSL307", "must be an expression, is empty")
    return bare


def _expression_or_list(value: Any) -> str | list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, bool | int | float):
        hint = f"write `range({value})`" if type(value) is int else None
        raise mistake("DSL105", f"must be a list, is {describe(value)}", hint)
    return _expression(value)


def _duration(value: Any) -> str:
    """The normal form of a duration: its seconds, or the template that gives it."""
    if isinstance(value, str):
        if "${" in value:
            return value
        seconds = parse_duration(value)
        if seconds is not None:
            return f"{int(seconds) if seconds == int(seconds) else seconds}s"
        hint = "write 250ms, 30s, 5m, 1h30m, 2d or PT5M"
        raise mistake("DSL201", f"must be a duration, is {describe(value)}", hint)
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = f"write {value}s"
        raise mistake("DSL201", f"must be a duration with its unit, is {describe(value)}", hint)
    raise mistake("DSL201", f"must be a duration, is {describe(value)}", "write 30s")


def _time(value: Any) -> int | float | str:
    """A time: RFC 3339, seconds since 1970, or the template that gives it."""
    if isinstance(value, str):
        if "${" in value or parse_time(value) is not None:
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return value
    message = f"must be a time, is {describe(value)}"
    raise mistake("DSL201", message, "write it like 2030-01-01T09:00:00Z")


def _name(what: str, pattern: str, example: str, taken: Set[str] = frozenset()) -> Leaf:
    """A name that is chosen by the author."""
    match = re.compile(pattern).fullmatch

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise mistake("DSL105", f"must be a name, is {describe(value)}")
        if not match(value):
            raise mistake(
                "DSL202", f"`{value[:60]}` is no name of {what}", f"write it like `{example}`"
            )
        if value in taken:
            word = "the name of a function" if value in FUNCTIONS else "a reserved word"
            raise mistake("DSL203", f"`{value}` is {word}", f"for example `the_{value}`")
        return value

    schema: dict[str, Any] = {
        "type": "string",
        "pattern": patterns.whole(pattern),
        "patternErrorMessage": f"This is no name of {what}: write it like `{example}`.",
    }
    if taken:
        schema["if"] = {"not": {"enum": sorted(taken)}}
        functions = ", or the name of a function" if taken & FUNCTIONS.keys() else ""
        schema["else"] = refusal(f"This is a reserved word{functions}.")
    return Leaf(Role.PLAIN, read, schema)


def _signal_elsewhere(value: Any) -> str:
    if not isinstance(value, str):
        raise mistake("DSL105", f"must be a name, is {describe(value)}")
    if not value:
        raise mistake("DSL106", "must not be empty")
    if "${" in value:
        hint = "use a `switch` that has a step for each signal"
        raise mistake("DSL202", "the name of a signal cannot be an expression", hint)
    return value


def _attribute(value: Any) -> str:
    if not isinstance(value, str):
        raise mistake("DSL105", f"must be a name, is {describe(value)}")
    if not value:
        raise mistake("DSL106", "the name of a search attribute must not be empty")
    if "${" in value:
        hint = "only its value can be one"
        raise mistake("DSL202", "the name of a search attribute cannot be an expression", hint)
    if value in _SYSTEM_ATTRIBUTES or value.startswith("Temporal"):
        message = f"the search attribute `{value}` is set by Temporal itself"
        raise mistake("DSL203", message, f"for example `My{value}`")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise mistake("DSL105", f"must be true or false, is {describe(value)}")
    return value


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mistake("DSL105", f"must be a number, is {describe(value)}")
    if value <= 0:
        raise mistake("DSL106", f"must be more than 0, is {value}")
    return value


def _json_schema(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise mistake("DSL204", f"must be a JSON Schema, is {describe(value)}")
    return value  # pyright: ignore[reportUnknownVariableType]


def refusal(message: str) -> dict[str, Any]:
    """The JSON Schema that refuses a value, which is not null, in an editor with this message."""
    return {"type": "null", "errorMessage": message}


def choice(*words: str) -> Leaf:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            shown = ", ".join(f"`{word}`" for word in words)
            hint = did_you_mean(value, words) if isinstance(value, str) else None
            raise mistake("DSL106", f"must be one of {shown}, is {describe(value)}", hint)
        return value

    return Leaf(Role.PLAIN, read, {"enum": list(words)})


def constant(only: bool) -> Leaf:
    """One value: the kind keys that take nothing else."""

    def read(value: Any) -> bool:
        if value is not only:
            raise mistake("DSL106", f"must be {str(only).lower()}, is {describe(value)}")
        return only

    return Leaf(Role.PLAIN, read, {"const": only})


def whole_number(value: Any) -> int | None:
    """A whole number as JSON has them, where 2.0 is one too; None for anything else."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _BEYOND:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def count(least: int, word: str | None = None) -> Leaf:
    """A whole number of at least `least`, or a word that stands for none."""

    def read(value: Any) -> int | str:
        if word is not None and value == word:
            return value
        number = whole_number(value)
        if number is None:
            other = f" or `{word}`" if word else ""
            raise mistake("DSL105", f"must be a whole number{other}, is {describe(value)}")
        if number < least:
            hint = f"write `{word}`" if word and number == 0 else None
            raise mistake("DSL106", f"must be {least} or more, is {number}", hint)
        return number

    schema: dict[str, Any] = {"type": "integer", "minimum": least}
    if word is not None:
        schema["errorMessage"] = f"This must be a whole number, or `{word}`."
        schema = {"anyOf": [schema, {"const": word}]}
    return Leaf(Role.PLAIN, read, schema)


def _template_map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise mistake("DSL105", f"must be a map, is {describe(value)}")
    return value  # pyright: ignore[reportUnknownVariableType]


def _template_text(value: Any) -> str:
    if not isinstance(value, str):
        raise mistake("DSL105", f"must be a text, is {describe(value)}")
    if not value:
        raise mistake("DSL106", "must not be empty")
    return value


def _arguments(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise mistake("DSL105", f"must be a list, is {describe(value)}")
    return value  # pyright: ignore[reportUnknownVariableType]


def positional() -> Leaf:
    """A list of arguments, which are templates."""
    return Leaf(Role.TEMPLATE, _arguments, {"type": "array"})


def _revision(value: Any) -> int | str:
    number = whole_number(value)
    if number is not None:
        if number < 1:
            raise mistake("DSL106", f"must be 1 or more, is {number}")
        return number
    if not isinstance(value, str):
        hint = "write a number, or an alias such as `live`"
        raise mistake("DSL105", f"must be a revision, is {describe(value)}", hint)
    if "${" not in value and not re.fullmatch(_ALIAS, value):
        hint = "write a number, or an alias such as `live`"
        raise mistake("DSL202", f"`{value[:60]}` is no revision", hint)
    return value


def template_map() -> Leaf:
    """A map whose values are templates."""
    schema = {"type": "object", "errorMessage": "This must be a map."}
    return Leaf(Role.TEMPLATE, _template_map, schema)


_BEYOND = 2**63
"""The first number that is too large for 64 bits."""
_ID = "[a-z][a-z0-9_]*"
_MESSAGE = "[A-Za-z_][A-Za-z0-9_]*"
_DEFINITION = "[A-Za-z][A-Za-z0-9_.-]*"
_ALIAS = "[A-Za-z_][A-Za-z0-9_]*"
_SYSTEM_ATTRIBUTES = frozenset(
    (
        *("BatcherNamespace", "BatcherUser", "BinaryChecksums", "BuildIds", "CloseTime"),
        *("ExecutionDuration", "ExecutionStatus", "ExecutionTime", "HistoryLength"),
        *("HistorySizeBytes", "ParentRunId", "ParentWorkflowId", "RootRunId", "RootWorkflowId"),
        *("RunId", "StartTime", "StateTransitionCount", "TaskQueue", "WorkflowId", "WorkflowType"),
    )
)
"""Search attributes that belong to the server, besides those that begin with `Temporal`."""
_EXPRESSION_SCHEMA: dict[str, Any] = {
    "type": ["string", "boolean", "number"],
    "pattern": patterns.EXPRESSION,
    "patternErrorMessage": "An expression must not be empty.",
}

ANY = Leaf(Role.PLAIN, lambda value: value, {})
TEXT = Leaf(Role.PLAIN, _text, {"type": "string"})
FLAG = Leaf(Role.PLAIN, _flag, {"type": "boolean"})
TEMPLATE = Leaf(Role.TEMPLATE, lambda value: value, {})
TEXT_TEMPLATE = Leaf(Role.TEMPLATE, _template_text, {"type": "string", "minLength": 1})
EXPRESSION = Leaf(Role.EXPRESSION, _expression, _EXPRESSION_SCHEMA)
EXPRESSION_OR_LIST = Leaf(
    Role.EXPRESSION, _expression_or_list, _EXPRESSION_SCHEMA | {"type": ["string", "array"]}
)
DURATION = Leaf(
    Role.TEMPLATE,
    _duration,
    {
        "type": "string",
        "pattern": patterns.either(patterns.DURATION),
        "patternErrorMessage": "A duration has its units: `250ms`, `30s`, `5m`, `1h30m`, `2d`, "
        "`PT5M`, or a template such as `${ input.seconds }`.",
        "errorMessage": "A duration has its unit: write `30s`.",
        "examples": ["30s", "1h30m", "2d"],
    },
)
TIME = Leaf(
    Role.TEMPLATE,
    _time,
    {
        "type": ["string", "number"],
        "pattern": patterns.either(patterns.TIME),
        "patternErrorMessage": "A time is written like `2030-01-01T09:00:00Z`, in seconds since "
        "1970, or as a template such as `${ input.due }`.",
        "examples": ["2030-01-01T09:00:00Z", "${ input.due }"],
    },
)
STEP_ID = _name("a step", _ID, "charge_card", RESERVED)
VARIABLE = _name("a variable", _ID, "total_amount", RESERVED)
LOCAL_NAME = _name("an item", _ID, "line_item", RESERVED | set(FUNCTIONS))
BRANCH = _name("a branch", _ID, "hotel")
MESSAGE_NAME = _name("a message", _MESSAGE, "approval")
QUERY_NAME = _name("a query", _MESSAGE, "total", frozenset(("status", "definition", "journal")))
DEFINITION_NAME = _name("a definition", _DEFINITION, "order-fulfilment")
SIGNAL_ELSEWHERE = Leaf(
    Role.PLAIN,
    _signal_elsewhere,
    {
        "type": "string",
        "minLength": 1,
        "if": {"not": {"pattern": patterns.TEMPLATE}},
        "else": refusal("The name of a signal cannot be an expression."),
    },
)
ATTRIBUTE = Leaf(
    Role.PLAIN,
    _attribute,
    {
        "type": "string",
        "minLength": 1,
        "if": {
            "not": {
                "anyOf": [
                    {"enum": sorted(_SYSTEM_ATTRIBUTES)},
                    {"pattern": "^Temporal"},
                    {"pattern": patterns.TEMPLATE},
                ]
            }
        },
        "else": refusal("Such a search attribute is set by Temporal itself."),
    },
)
ERROR_TYPE = Leaf(
    Role.PLAIN,
    _template_text,
    {"type": "string", "minLength": 1, "examples": ["Timeout", "CardDeclined"]},
)
POSITIVE = Leaf(Role.PLAIN, _positive, {"type": "number", "exclusiveMinimum": 0})
JSON_SCHEMA = Leaf(Role.PLAIN, _json_schema, {"$ref": "#/$defs/JsonSchema"})
REVISION = Leaf(
    Role.TEMPLATE,
    _revision,
    {
        "type": ["integer", "string"],
        "minimum": 1,
        "pattern": patterns.either(_ALIAS),
        "patternErrorMessage": "A revision is a number, or an alias such as `live`.",
        "errorMessage": "A revision is a number, or an alias such as `live`.",
    },
)
