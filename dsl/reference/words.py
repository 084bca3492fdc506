"""The types of keys in the author's words: `duration`, `list of steps`."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from dsl.model.common import AnyStep, Model
from dsl.model.leaves import (
    ANY,
    BRANCH,
    DEFINITION_NAME,
    DURATION,
    ERROR_TYPE,
    EXPRESSION,
    EXPRESSION_OR_LIST,
    JSON_SCHEMA,
    LOCAL_NAME,
    MESSAGE_NAME,
    POSITIVE,
    QUERY_NAME,
    REVISION,
    SIGNAL_ELSEWHERE,
    STEP_ID,
    TIME,
    VARIABLE,
    Leaf,
    Role,
)

__all__ = ["MEANINGS", "models_in", "words"]

MEANINGS = {
    "duration": "`250ms`, `30s`, `5m`, `1h30m`, `2d`, `PT5M`; or a template that gives one "
    "of these, or seconds",
    "error type": "`CardDeclined`, as it was raised; `Timeout` for every timeout",
    "expression": "an [expression](functions.md), bare: `if: input.amount > 1000`",
    "JSON Schema": "version 2020-12; only references inside it (`#...`) are followed",
    "map": "a YAML map; `map of values`: by names that you choose",
    "name": "of steps, variables, items and branches `[a-z][a-z0-9_]*`, of messages "
    "`[A-Za-z_][A-Za-z0-9_]*`, of definitions `[A-Za-z][A-Za-z0-9_.-]*`",
    "steps": "a list of [steps](kinds.md)",
    "template": "a text in which `${ expression }` may stand",
    "text": "a text as it is, without expressions",
    "time": "RFC 3339, `2030-01-01T09:00:00Z`; seconds since 1970; or a template that gives one",
    "value": "any YAML value; `${ expression }` may stand in its texts, at any depth",
}
"""What the words mean that stand for types."""

_NAME = "name"
_LEAVES = {
    ANY: "JSON value",
    BRANCH: _NAME,
    DEFINITION_NAME: _NAME,
    DURATION: "duration",
    ERROR_TYPE: "error type",
    EXPRESSION: "expression",
    EXPRESSION_OR_LIST: "expression or list",
    JSON_SCHEMA: "JSON Schema",
    LOCAL_NAME: _NAME,
    MESSAGE_NAME: _NAME,
    POSITIVE: "number over 0",
    QUERY_NAME: _NAME,
    REVISION: "number or alias",
    SIGNAL_ELSEWHERE: "text",
    STEP_ID: _NAME,
    TIME: "time",
    VARIABLE: _NAME,
}
_TYPES = {
    "array": "list",
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "number": "number",
    "object": "map",
    "string": "text",
}
_PYTHON = {bool: "`true` or `false`", float: "number", int: "whole number", str: "text"}


def words(field: FieldInfo) -> str:
    """The type of a key.

    Raises:
        KeyError: if there are no words for it.
    """
    return _type(field.annotation, field.metadata)


def models_in(field: FieldInfo) -> list[type[Model]]:
    """The models that stand in a key."""
    return _models(field.annotation)


def _models(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _type(annotation: Any, metadata: Any = ()) -> str:
    leaf = next((one for one in metadata if isinstance(one, Leaf)), None)
    if leaf is not None:
        return _leaf(leaf)
    if annotation == AnyStep:
        return "step"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in arguments if part is not NoneType)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return _many(_type(arguments[0]))
    if origin is dict:
        return "map of " + _several(_type(arguments[1]))
    if hasattr(annotation, "__metadata__"):
        return _type(annotation.__origin__, annotation.__metadata__)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "map"
    return _PYTHON[annotation]


def _leaf(leaf: Leaf) -> str:
    if leaf in _LEAVES:
        return _LEAVES[leaf]
    if leaf.role is Role.TEMPLATE:
        kind = leaf.schema.get("type")
        return {"string": "template", "object": "map of values", "array": "list of values"}.get(
            cast("str", kind), "value"
        )
    return _schema(leaf.schema)


def _schema(schema: dict[str, Any]) -> str:
    """A JSON Schema in words, as far as leaves have them."""
    if "if" in schema:
        return f"{_schema(schema['if'] | schema['then'])} or {_schema(schema['else'])}"
    if "anyOf" in schema:
        return " or ".join(_schema(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    if "const" in schema:
        value = schema["const"]
        return "`true`" if value is True else f"`{value}`"
    if "items" in schema:
        return _many(_schema(schema["items"]))
    if "pattern" in schema and schema == MESSAGE_NAME.schema:
        return _NAME
    return _TYPES[schema["type"]] + (f" from {schema['minimum']}" if "minimum" in schema else "")


def _many(word: str) -> str:
    return "steps" if word == "step" else "list of " + _several(word)


def _several(word: str) -> str:
    return "lists of steps" if word == "steps" else f"{word}s"
