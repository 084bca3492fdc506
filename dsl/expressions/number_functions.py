"""Functions on numbers, and from one type to another."""

import json
import re
from typing import Final, cast

from .errors import Fault, shorten
from .frame import Frame, Value
from .function import (
    Function,
    function,
    want_comparable,
    want_list,
    want_number,
    want_text,
    want_whole,
)
from .limits import LIMITS, MAX_INT
from .operators import number
from .values import describe, json_text, kind, measure, text_of, too_long

__all__ = ["NUMBER_FUNCTIONS"]

_INT: Final = re.compile(r"[+-]?[0-9]{1,30}")
_FLOAT: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _extreme(frame: Frame, name: str, values: tuple[Value, ...]) -> Value:
    items = want_list(name, values[0]) if len(values) == 1 else list(values)
    if not items:
        raise Fault(f"`{name}` wants at least one item; the list is empty")
    want_comparable(frame, name, items)
    pick = min if name == "min" else max
    return pick(cast("list[float]", items))


@function(
    "min(a, b, ...)",
    "any... -> extreme",
    "The smallest of the numbers or strings, or of those in one list.",
    ("min(3, 1, 2)", 1),
    ('min(["b", "a"])', "a"),
    iterates=True,
    weight=6,
)
def _min(frame: Frame, a: Value, *others: Value) -> Value:
    return _extreme(frame, "min", (a, *others))


@function(
    "max(a, b, ...)",
    "any... -> extreme",
    "The largest of the numbers or strings, or of those in one list.",
    ("max(1, 2)", 2),
    ("max([1, 2.5])", 2.5),
    iterates=True,
    weight=6,
)
def _max(frame: Frame, a: Value, *others: Value) -> Value:
    return _extreme(frame, "max", (a, *others))


@function(
    "sum(numbers)",
    "list -> int|float",
    "The sum of a list of numbers; of none it is 0.",
    ("sum([1, 2.5])", 3.5),
    ("sum(x * 2 for x in [1, 2])", 6),
    iterates=True,
)
def _sum(frame: Frame, numbers: Value) -> Value:
    items = want_list("sum", numbers)
    frame.spend(2 * len(items))
    # Python's own sum() rounds floats differently from one version to the next.
    total: int | float = 0
    for place, item in enumerate(items):
        if not isinstance(item, int | float) or isinstance(item, bool):
            raise Fault(f"`sum` wants numbers; item {place} is {describe(item)}")
        total = number(total + number(item))
    return total


@function("abs(x)", "int|float -> int|float", "The number without its sign.", ("abs(-2)", 2))
def _abs(frame: Frame, x: Value) -> Value:
    return number(abs(want_number("abs", x)))


@function(
    "round(x, digits)",
    "int|float, int -> int|float",
    "The nearest int, or the nearest number of so many decimals; halves go to the even one.",
    ("round(2.5)", 2),
    ("round(2.675, 1)", 2.7),
    ("round(1250, -2)", 1200),
    weight=8,
)
def _round(frame: Frame, x: Value, digits: Value = None) -> Value:
    value = number(want_number("round", x))
    if digits is None:
        return number(round(value))
    return number(
        round(value, want_whole("round", digits, -LIMITS.round_digits, LIMITS.round_digits))
    )


@function(
    "int(x)",
    "int|float|string -> int",
    "An int: of a number without its decimals, of a string of digits.",
    ("int(2.9)", 2),
    ('int("-12")', -12),
    weight=6,
)
def _int(frame: Frame, x: Value) -> Value:
    if isinstance(x, str):
        if not _INT.fullmatch(x):
            raise Fault(f"`{shorten(x)}` is no int")
        return number(int(x))
    return number(int(number(want_number("int", x))))


@function(
    "float(x)",
    "int|float|string -> float",
    "A float: of a number, of a string that holds one.",
    ("float(2)", 2.0),
    ('float("1.5e3")', 1500.0),
    weight=8,
)
def _float(frame: Frame, x: Value) -> Value:
    if isinstance(x, str):
        if not _FLOAT.fullmatch(x):
            raise Fault(f"`{shorten(x)}` is no number")
        return number(float(x))
    return float(number(want_number("float", x)))


@function(
    "bool(x)",
    "bool|string -> bool",
    'A bool: of a bool, of "true" or "false".',
    ('bool("true")', True),
    ("bool(false)", False),
)
def _bool(frame: Frame, x: Value) -> Value:
    if isinstance(x, bool):
        return x
    if x == "true" or x == "false":
        return x == "true"
    what = f"`{shorten(x)}`" if isinstance(x, str) else describe(x)
    raise Fault(f'`bool` wants a bool, "true" or "false", not {what}', "write a comparison")


@function(
    "str(x)",
    "any -> string",
    "A string: of a string the same, of anything else its JSON text.",
    ("str(1.5)", "1.5"),
    ("str(true)", "true"),
    ('str({"a": [1]})', '{"a":[1]}'),
    ('str("a")', "a"),
    weight=10,
)
def _str(frame: Frame, x: Value) -> Value:
    return text_of(frame, x)


@function(
    "type(x)",
    "any -> kind",
    "The type's name: null, bool, int, float, string, list or object.",
    ("type(null)", "null"),
    ("type(1)", "int"),
    ('type("a")', "string"),
    ("type([])", "list"),
    ("type({})", "object"),
)
def _type(frame: Frame, x: Value) -> Value:
    return kind(x)


@function(
    "json(x)",
    "any -> string",
    "The value as compact JSON text.",
    ('json("a")', '"a"'),
    ('json({"a": [1, null]})', '{"a":[1,null]}'),
    weight=15,
)
def _json(frame: Frame, x: Value) -> Value:
    return json_text(frame, x)


def _json_int(digits: str) -> int:
    if len(digits) <= 20:
        value = int(digits)
        if -MAX_INT - 1 <= value <= MAX_INT:
            return value
    raise Fault("the JSON text holds a number that is too large (over 64 bits)")


def _json_float(digits: str) -> Value:
    if len(digits) > 800:
        raise Fault("the JSON text holds a number that is too long")
    return number(float(digits))


def _json_constant(name: str) -> Value:
    raise Fault(f"`{name}` is no JSON")


_decode = json.JSONDecoder(
    parse_int=_json_int, parse_float=_json_float, parse_constant=_json_constant
).decode


@function(
    "from_json(text)",
    "string -> any",
    "The value that JSON text stands for.",
    ("from_json('{\"a\": [1, null]}')", {"a": [1, None]}),
    weight=30,
)
def _from_json(frame: Frame, text: Value) -> Value:
    source = want_text("from_json", text)
    if len(source) > LIMITS.string:
        raise too_long()
    frame.spend(len(source))
    try:
        value: Value = _decode(source)
    except json.JSONDecodeError as error:
        raise Fault(f"the text is no JSON: it goes wrong at character {error.pos}") from None
    except RecursionError:
        raise Fault(
            f"the JSON text is nested too deeply (over {LIMITS.value_depth} levels)"
        ) from None
    measure(value)
    if _SURROGATE_ESCAPE.search(source) and _SURROGATE.search(
        json.dumps(value, ensure_ascii=False)
    ):
        raise Fault("the JSON text holds half a character (a surrogate)")
    return value


@function(
    'format_number(x, decimals=0, separator=",")',
    "int|float, int, string -> string",
    "The number with so many decimals, and a separator between thousands.",
    ("format_number(1234.5, 2)", "1,234.50"),
    ("format_number(1234567)", "1,234,567"),
    ('format_number(1234.5, 1, "")', "1234.5"),
    weight=15,
)
def _format_number(frame: Frame, x: Value, decimals: Value = 0, separator: Value = ",") -> Value:
    value = number(want_number("format_number", x))
    digits = want_whole("format_number", decimals, 0, LIMITS.format_decimals)
    between = want_text("format_number", separator)
    if len(between) > 1:
        raise Fault("`format_number` wants one character between thousands, or none")
    if isinstance(value, int):
        # By way of a float, large ints would lose digits.
        text = f"{value:,}" + ("." + "0" * digits if digits else "")
    else:
        text = f"{value:,.{digits}f}"
    whole, point, rest = text.partition(".")
    return whole.replace(",", between) + point + rest


NUMBER_FUNCTIONS: Final[tuple[Function, ...]] = (
    _min,
    _max,
    _sum,
    _abs,
    _round,
    _int,
    _float,
    _str,
    _bool,
    _type,
    _json,
    _from_json,
    _format_number,
)
"""The functions of this module."""
