"""What the operators do with values."""

import operator
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, TypeAlias, cast

from .errors import Fault
from .frame import Frame, Value
from .limits import LIMITS, MAX_INT, MIN_INT
from .values import contains, describe, equal, too_long

__all__ = ["ARITHMETIC", "COMPARISONS", "Number", "Operation", "is_number", "negate", "number"]

Number: TypeAlias = int | float
Operation: TypeAlias = Callable[[Frame, Value, Value], Value]


def is_number(value: Value) -> bool:
    """Whether a value is an int or a float; a bool is neither."""
    return type(value) is int or type(value) is float


def number(value: Number) -> Number:
    """The number, if it is in range; else a fault."""
    if type(value) is int:
        if MIN_INT <= value <= MAX_INT:
            return value
        raise Fault("the number is too large (over 64 bits)")
    if isfinite(value):
        return value
    raise Fault("the number is too large")


def negate(value: Value) -> Value:
    """`-value`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(-value)
    raise Fault(f"`-` wants a number, not {describe(value)}")


def _arithmetic(symbol: str, compute: Callable[[Any, Any], Number]) -> Operation:
    """The operation of two numbers."""

    def apply(frame: Frame, left: Value, right: Value) -> Value:
        one, other = type(left), type(right)
        if (one is int or one is float) and (other is int or other is float):
            try:
                result = compute(left, right)
            except ZeroDivisionError:
                raise Fault("division by zero") from None
            except OverflowError:
                raise Fault("the number is too large") from None
            if type(result) is int and MIN_INT <= result <= MAX_INT:
                return result
            return number(result)
        raise _mismatch(symbol, left, right)

    return apply


def _mismatch(symbol: str, left: Value, right: Value) -> Fault:
    hint = None
    if isinstance(left, bool) or isinstance(right, bool):
        hint = "a bool is no number: write `1 if x else 0`"
    elif symbol == "+" and (isinstance(left, str) or isinstance(right, str)):
        hint = "`str(x)` makes a string of anything"
    elif symbol == "%" and isinstance(left, str):
        hint = "put strings together with `+`"
    return Fault(f"`{symbol}` cannot take {describe(left)} and {describe(right)}", hint)


_sum = _arithmetic("+", operator.add)
_product = _arithmetic("*", operator.mul)


def _add(frame: Frame, left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        size = len(left) + len(right)
        if size > 15:
            if size > LIMITS.string:
                raise too_long()
            frame.spend(size >> 4)
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        _spend_items(frame, len(left) + len(right))
        return left + right
    return _sum(frame, left, right)


def _multiply(frame: Frame, left: Value, right: Value) -> Value:
    one, other = type(left), type(right)
    if one is int and (other is str or other is list):
        return _repeat(frame, right, left)
    if other is int and (one is str or one is list):
        return _repeat(frame, left, right)
    return _product(frame, left, right)


def _repeat(frame: Frame, part: Value, times: Value) -> Value:
    # Python clips a negative count to 0, but fails on one that is over 64 bits.
    count = min(cast("int", times), MAX_INT)
    if isinstance(part, list):
        _spend_items(frame, len(part) * count)
        return part * count
    text = cast("str", part)
    if len(text) * count > LIMITS.string:
        raise too_long()
    frame.spend(max(0, len(text) * count) >> 4)
    return text * count


def _spend_items(frame: Frame, items: int) -> None:
    if items > LIMITS.items:
        raise Fault(f"the list is too long (over {LIMITS.items} items)")
    frame.spend(max(0, items) >> 3)


def _divide(left: Any, right: Any) -> Number:
    return left / right


def _floor(left: Any, right: Any) -> Number:
    return left // _narrow(right)


def _rest(left: Any, right: Any) -> Number:
    return left % _narrow(right)


def _narrow(divisor: Number) -> Number:
    """Division by ints of any length takes quadratic time; those read can be over 64 bits."""
    return number(divisor) if type(divisor) is int else divisor


def _ordered(symbol: str, compare: Callable[[Any, Any], bool]) -> Operation:
    def apply(frame: Frame, left: Value, right: Value) -> Value:
        one, other = type(left), type(right)
        if (one is int or one is float) and (other is int or other is float):
            return compare(left, right)
        if isinstance(left, str) and isinstance(right, str):
            if len(left) > 128 and len(right) > 128:
                frame.spend(min(len(left), len(right)) >> 7)
            return compare(left, right)
        raise Fault(
            f"`{symbol}` compares numbers, or strings, not {describe(left)} and {describe(right)}"
        )

    return apply


def _is_in(frame: Frame, left: Value, right: Value) -> Value:
    return contains(frame, left, right)


def _is_not_in(frame: Frame, left: Value, right: Value) -> Value:
    return not contains(frame, left, right)


def _equal(frame: Frame, left: Value, right: Value) -> Value:
    return equal(frame, left, right)


def _unequal(frame: Frame, left: Value, right: Value) -> Value:
    return not equal(frame, left, right)


ARITHMETIC: Final[dict[str, Operation]] = {
    "Add": _add,
    "Sub": _arithmetic("-", operator.sub),
    "Mult": _multiply,
    "Div": _arithmetic("/", _divide),
    "FloorDiv": _arithmetic("//", _floor),
    "Mod": _arithmetic("%", _rest),
}
"""What arithmetic does, by the name of its node."""

COMPARISONS: Final[dict[str, Operation]] = {
    "Eq": _equal,
    "NotEq": _unequal,
    "In": _is_in,
    "NotIn": _is_not_in,
    "Lt": _ordered("<", operator.lt),
    "LtE": _ordered("<=", operator.le),
    "Gt": _ordered(">", operator.gt),
    "GtE": _ordered(">=", operator.ge),
}
"""What comparisons do, by the name of their node."""
