"""What is wrong with an activity's arguments, in the words of whoever wrote the definition."""

import difflib
import functools
import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["explain", "nearest", "shown"]

_MUST_BE = {
    "bool": "true or false",
    "bytes": "text",
    "callable": "a function",
    "dataclass": "an object",
    "date": "a date such as 2030-12-31",
    "date_from_datetime": "a date such as 2030-12-31",
    "datetime": "a date and time such as 2030-12-31T12:00:00Z",
    "datetime_from_date": "a date and time such as 2030-12-31T12:00:00Z",
    "decimal": "a number",
    "dict": "an object",
    "float": "a number",
    "frozen_set": "a list",
    "int": "a whole number",
    "iterable": "a list",
    "list": "a list",
    "mapping": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "named_tuple": "a list or an object",
    "set": "a list",
    "string": "text",
    "string_sub": "text",
    "time": "a time of day such as 12:00:00",
    "time_delta": "a duration such as PT5M",
    "tuple": "a list",
    "typed_dict": "an object",
    "url": "a URL",
    "uuid": "a UUID",
}
_ENDINGS = ("_type", "_parsing", "_from_float", "_object_invalid", "_scheme", "_syntax_violation")
_EXACT = {
    "finite_number": "a number, neither infinite nor NaN",
    "none_required": "null",
    "timezone_aware": "a date and time with a time zone",
    "timezone_naive": "a date and time without a time zone",
    "date_past": "a date in the past",
    "date_future": "a date in the future",
    "datetime_past": "a date and time in the past",
    "datetime_future": "a date and time in the future",
    "date_from_datetime_inexact": "a date without a time",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
_LENGTHS = {
    "string_too_short": ("min_length", "have at least", "character"),
    "string_too_long": ("max_length", "have at most", "character"),
    "bytes_too_short": ("min_length", "have at least", "byte"),
    "bytes_too_long": ("max_length", "have at most", "byte"),
    "url_too_long": ("max_length", "have at most", "character"),
    "too_short": ("min_length", "have at least", "item"),
    "too_long": ("max_length", "have at most", "item"),
    "decimal_max_digits": ("max_digits", "have at most", "digit"),
    "decimal_max_places": ("decimal_places", "have at most", "digit after the point"),
    "decimal_whole_digits": ("whole_digits", "have at most", "digit before the point"),
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote `name` most likely meant."""
    names = list(known)
    folded = {each.casefold(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return folded[close[0]]
    last = name.casefold().rsplit(".", 1)[-1]
    return next((each for each in names if each.casefold().rsplit(".", 1)[-1] == last), None)


def shown(value: Any) -> str:
    """A JSON value as it is told in a message: `the text "ten"`, `the number 3`, `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            short = value if len(value) <= 40 else value[:40] + "..."
            return f"the text {json.dumps(short, ensure_ascii=False)}" if value else "an empty text"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a value of type {type(value).__name__}"  # pyright: ignore[reportUnknownArgumentType]


def explain(
    activity: str,
    errors: Sequence["ErrorDetails"],
    given: Mapping[str, Any],
    known: Sequence[str],
    secret: frozenset[str] = frozenset(),
) -> str:
    """One line with everything that is wrong.

    Args:
        activity: The activity's name.
        errors: pydantic's findings, with each `loc` starting at an argument's name.
        given: The arguments as they came.
        known: The names the activity takes, in order.
        secret: The arguments whose values must not be told.
    """
    unknown: list[str] = []
    wrong: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for error in errors:
        path, value, is_key = _locate(error["loc"], given, error["type"])
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
            unknown.append(str(error["loc"][0]))
            continue
        problem = _problem(error, is_key)
        if problem not in wrong.setdefault(path, []):
            wrong[path].append(problem)
        if problem.startswith("must be") and not is_key and str(error["loc"][0]) not in secret:
            values[path] = f", is {shown(value)}"
    problems = [(f"unknown argument `{name}`", _hint(name, known)) for name in unknown]
    for path, found in wrong.items():
        text = " or ".join([found[0], *(each.removeprefix("must be ") for each in found[1:])])
        text = f" {text}" if text == "is missing" else f": {text}{values.get(path, '')}"
        problems.append((f"argument `{path}`", text))
    (subject, text), *rest = problems
    return "; ".join([f"{subject} of {activity}{text}", *(a + b for a, b in rest)])


def _hint(name: str, known: Sequence[str]) -> str:
    if meant := nearest(name, known):
        return f": did you mean `{meant}`?"
    if not known:
        return ": it takes none"
    return f": it takes {', '.join(f'`{each}`' for each in known)}"


def _locate(
    loc: tuple[int | str, ...], given: Mapping[str, Any], kind: str
) -> tuple[str, Any, bool]:
    """Follow a `loc` through the value; parts of it that name a type's branch lead nowhere."""
    value: Any = given
    path = ""
    for place, part in enumerate(loc):
        if isinstance(part, int) and isinstance(value, list) and part < len(value):  # pyright: ignore[reportUnknownArgumentType]
            value = value[part]  # pyright: ignore[reportUnknownVariableType]
            path += f"[{part}]"
        elif isinstance(value, dict) and part in value:
            value = value[part]  # pyright: ignore[reportUnknownVariableType]
            path += f".{part}" if path else str(part)
        elif kind == "missing" and place == len(loc) - 1:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path, value, loc[-1:] == ("[key]",)  # pyright: ignore[reportUnknownVariableType]


def _problem(error: "ErrorDetails", is_key: bool) -> str:
    kind = error["type"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not expected here"
    if kind in ("value_error", "assertion_error"):
        # Raised by a validator of the activity's author: their words.
        return " ".join(str(context.get("error", "")).split()) or "is refused by the activity"
    if kind in ("enum", "literal_error"):
        return f"must be {context.get('expected')}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"must be {words} {context.get(key)}"
    if kind in _LENGTHS:
        key, words, unit = _LENGTHS[kind]
        count = context.get(key)
        return f"must {words} {count} {_plural(unit, count)}"
    if kind == "string_pattern_mismatch":
        return f"must match the pattern {context.get('pattern')}"
    words = _must_be(kind)
    if words:
        return f"has a key that must be {words}" if is_key else f"must be {words}"
    if kind not in _pydantic_kinds():
        return error["msg"]  # of the author's own PydanticCustomError
    return "does not have the form that the activity asks for"


def _must_be(kind: str) -> str | None:
    if kind in _EXACT:
        return _EXACT[kind]
    for ending in _ENDINGS:
        if kind.endswith(ending):
            return _MUST_BE.get(kind.removesuffix(ending))
    return None


def _plural(unit: str, count: Any) -> str:
    if count == 1:
        return unit
    head, _, tail = unit.partition(" ")
    return f"{head}s {tail}".strip()


@functools.cache
def _pydantic_kinds() -> frozenset[str]:
    from pydantic_core import core_schema

    return frozenset(typing.get_args(core_schema.ErrorType))
