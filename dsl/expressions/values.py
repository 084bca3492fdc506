"""Operations on values that are more than one line: equality, size, text."""

import json
from collections.abc import Iterable
from math import isfinite
from typing import cast

from .errors import Fault, shorten
from .frame import Frame, Value
from .limits import LIMITS, MAX_INT, MIN_INT

__all__ = [
    "canonical",
    "contains",
    "describe",
    "equal",
    "json_text",
    "key_text",
    "kind",
    "measure",
    "scan_cost",
    "text_of",
    "too_long",
]

_KINDS = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "list",
    dict: "object",
}
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


def kind(value: Value) -> str:
    """The name of a value's type: null, bool, int, float, string, list or object."""
    return _KINDS.get(type(value), "value")


def describe(value: Value) -> str:
    """The type of a value as a noun with its article, for messages."""
    name = kind(value)
    if name == "null":
        return name
    return f"an {name}" if name in ("int", "object") else f"a {name}"


def equal(frame: Frame, left: Value, right: Value, depth: int = 0) -> bool:
    """Whether two values are equal: 1 and 1.0 are, true and 1 are not, at any depth."""
    if left is right:
        return True
    one, other = type(left), type(right)
    if one is bool or other is bool:
        return False
    if one is not other:
        return left == right
    if isinstance(left, str) and isinstance(right, str):
        size = len(left)
        if size > 128 and size == len(right):
            frame.spend(size >> 7)
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return False
        _descend(frame, len(left), depth)
        return all(equal(frame, a, b, depth + 1) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        if len(left) != len(right):
            return False
        _descend(frame, len(left), depth)
        for key, value in left.items():
            if key not in right or not equal(frame, value, right[key], depth + 1):
                return False
        return True
    return left == right


def _descend(frame: Frame, items: int, depth: int) -> None:
    frame.spend(2 * items + 1)
    if depth >= LIMITS.value_depth:
        raise _too_deep()


def _too_deep() -> Fault:
    return Fault(f"the value is nested too deeply (over {LIMITS.value_depth} levels)")


def contains(frame: Frame, item: Value, whole: Value) -> bool:
    """Whether a list has an item, a string a part, an object a key (the operator `in`)."""
    if isinstance(whole, list):
        return _list_contains(frame, item, whole)
    if isinstance(whole, str):
        if not isinstance(item, str):
            raise Fault(f"only a string can be in a string, not {describe(item)}")
        frame.spend(scan_cost(len(whole), len(item)))
        return item in whole
    if isinstance(whole, dict):
        if not isinstance(item, str):
            raise Fault(f"the keys of an object are strings, so {describe(item)} cannot be in it")
        return item in whole
    raise Fault(f"`in` looks into a list, a string or an object, not into {describe(whole)}")


def _list_contains(frame: Frame, item: Value, whole: list[Value]) -> bool:
    size = len(whole)
    if isinstance(item, str):
        # A string equals nothing but a string, so the native search is right, and fast.
        frame.spend((size >> 2) + size * (len(item) >> 7))
        return item in whole
    frame.spend(size)
    if item is None or isinstance(item, bool):
        return any(other is item for other in whole)
    return any(equal(frame, item, other) for other in whole)


def scan_cost(size: int, part: int) -> int:
    """The units of work to look for a part of a string, both in characters.

    CPython's search takes quadratic time in short strings and linear time in long ones.
    """
    if size >= 2_500:
        part = min(part, 100 if size < 30_000 else 8)
    return size * (part + 1) >> 8


def measure(value: Value, limit: int = LIMITS.value_size) -> int:
    """The size of a value as `LIMITS.value_size` counts it.

    Takes time in proportion to the distinct parts, though shared ones count each time.

    Raises:
        Fault: It is over the limit, or nested too deeply.
    """
    if isinstance(value, dict) or isinstance(value, list):  # noqa: SIM101  (twice as fast)
        return _measure(value, limit, {}, 1)[0]
    return 8 + len(value) if isinstance(value, str) else 8


_EMPTY = (8, 1)


def _measure(
    value: "list[Value] | dict[str, Value]",
    limit: int,
    seen: dict[int, tuple[int, int]],
    depth: int,
) -> tuple[int, int]:
    if depth > LIMITS.value_depth:
        raise _too_deep()
    size = 8 * (len(value) + 1)
    height = 1
    items: Iterable[Value] = value
    if isinstance(value, dict):
        items = value.values()
        size += sum(map(len, value))
    # Exact types, not isinstance(): this loop is all of the time of a large result.
    for item in items:
        type_ = type(item)
        if type_ is str:
            size += len(cast("str", item))
        elif type_ is list or type_ is dict:
            known = seen.get(id(item)) if item else _EMPTY
            if known is None:
                part = cast("list[Value] | dict[str, Value]", item)
                known = seen[id(item)] = _measure(part, limit - size, seen, depth + 1)
            size += known[0] - 8
            if known[1] >= height:
                height = known[1] + 1
                if depth + height - 1 > LIMITS.value_depth:
                    raise _too_deep()
        elif type_ is int and not MIN_INT <= cast("int", item) <= MAX_INT:
            size += cast("int", item).bit_length()
        if size > limit:
            break
    if size > limit:
        raise Fault(
            f"the value is too large (over {LIMITS.value_size} characters, "
            "with 8 for each value in it)"
        )
    return size, height


def json_text(frame: Frame, value: Value) -> str:
    """A value as compact JSON text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not isfinite(value):
        raise Fault("a number that is not finite has no JSON text")
    try:
        if isinstance(value, int):
            if not MIN_INT <= value <= MAX_INT:
                frame.spend(value.bit_length())
            return repr(value)
        if isinstance(value, float):
            return repr(value)
        size = measure(value, 4 * LIMITS.string)
        frame.spend(size >> 3)
        text = _encode(value)
    except ValueError:
        raise Fault("the value has no JSON text: it holds a number that is out of range") from None
    if len(text) > LIMITS.string:
        raise too_long()
    return text


def too_long() -> Fault:
    """The fault of a string that is over its limit."""
    return Fault(f"the string is too long (over {LIMITS.string} characters)")


def text_of(frame: Frame, value: Value) -> str:
    """A value as it stands in text: a string as it is, anything else as compact JSON text."""
    return value if isinstance(value, str) else json_text(frame, value)


def canonical(frame: Frame, value: Value, depth: int = 0) -> str:
    """A text that two values share exactly if they are equal."""
    if isinstance(value, str):
        frame.spend(1 + (len(value) >> 4))
        return f"s{len(value)}:{value}"
    if isinstance(value, list):
        _descend(frame, len(value), depth)
        return f"[{','.join([canonical(frame, item, depth + 1) for item in value])}]"
    if isinstance(value, dict):
        _descend(frame, 2 * len(value), depth)
        pairs = [
            f"{len(key)}:{key}={canonical(frame, value[key], depth + 1)}" for key in sorted(value)
        ]
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    return repr(value)


def key_text(key: str) -> str:
    """A key for a message, cut if it is long."""
    return f"`{shorten(key)}`"
