"""Functions on lists and objects."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

from .errors import Fault
from .frame import Frame, Value
from .function import (
    Function,
    function,
    want_comparable,
    want_items,
    want_list,
    want_object,
    want_text,
    want_whole,
)
from .limits import MAX_INT, MIN_INT
from .values import canonical, contains, describe, json_text, key_text

__all__ = ["LIST_FUNCTIONS"]


@function(
    "len(x)",
    "string|list|object -> int",
    "The number of characters of a string, items of a list, keys of an object.",
    ('len("abc")', 3),
    ("len([1, 2])", 2),
    ('len({"a": 1})', 1),
)
def _len(frame: Frame, x: Value) -> Value:
    if isinstance(x, str | list | dict):
        return len(x)
    raise Fault(f"`len` wants a string, a list or an object, not {describe(x)}")


@function(
    "list(x)",
    "string|list|object -> list",
    "A list: of the characters of a string, the keys of an object, or the same list.",
    ('list("ab")', ["a", "b"]),
    ('list({"a": 1})', ["a"]),
    ("list(x * 2 for x in [1, 2])", [2, 4]),
    iterates=True,
)
def _list(frame: Frame, x: Value) -> Value:
    if isinstance(x, list):
        return x
    if isinstance(x, str | dict):
        want_items(frame, len(x), 2)
        return list(x)
    raise Fault(f"`list` wants a string, an object or a list, not {describe(x)}")


@function(
    'sorted(items, field="")',
    "list, string -> same",
    "The list in ascending order; objects in the order of one of their fields.",
    ("sorted([3, 1, 2])", [1, 2, 3]),
    ('sorted([{"n": 2}, {"n": 1}], "n")', [{"n": 1}, {"n": 2}]),
    iterates=True,
    weight=10,
)
def _sorted(frame: Frame, items: Value, field: Value = None) -> Value:
    values = want_list("sorted", items)
    keys = values if field is None else _fields(frame, "sorted", values, field)
    want_comparable(frame, "sorted", keys, len(keys).bit_length())
    if keys is values:
        return [*sorted(cast("list[float]", values))]
    sort_key = cast("Callable[[int], float]", keys.__getitem__)
    return [values[place] for place in sorted(range(len(values)), key=sort_key)]


def _fields(frame: Frame, name: str, items: list[Value], field: Value) -> list[Value]:
    key = want_text(name, field)
    frame.spend(2 * len(items))
    found: list[Value] = []
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise Fault(f"`{name}` wants objects; item {place} is {describe(item)}")
        if key not in item:
            raise Fault(f"item {place} has no key {key_text(key)}", missing=True)
        found.append(item[key])
    return found


@function(
    "reversed(items)",
    "list -> same",
    "The list, last item first.",
    ("reversed([1, 2, 3])", [3, 2, 1]),
    iterates=True,
)
def _reversed(frame: Frame, items: Value) -> Value:
    values = want_list("reversed", items)
    frame.spend(len(values) >> 3)
    return values[::-1]


@function(
    "range(start, stop, step)",
    "int, int, int -> [int]",
    "Ints from start (0 if not given) to before stop.",
    ("range(3)", [0, 1, 2]),
    ("range(1, 4)", [1, 2, 3]),
    ("range(5, 0, -2)", [5, 3, 1]),
)
def _range(frame: Frame, start: Value, stop: Value = None, step: Value = 1) -> Value:
    bounds = (0, start) if stop is None else (start, stop)
    low, high = (want_whole("range", bound, MIN_INT, MAX_INT) for bound in bounds)
    by = want_whole("range", step, MIN_INT, MAX_INT)
    if by == 0:
        raise Fault("`range` cannot go by steps of 0")
    # Not len(): it overflows for the widest ranges.
    want_items(frame, max(0, (high - low + by - (1 if by > 0 else -1)) // by))
    return list(range(low, high, by))


@function(
    "zip(a, b, ...)",
    "list... -> [list]",
    "Lists of the items at the same place, as many as the shortest list has.",
    ('zip([1, 2], ["a", "b"])', [[1, "a"], [2, "b"]]),
    iterates=True,
)
def _zip(frame: Frame, a: Value, *others: Value) -> Value:
    lists = [want_list("zip", one) for one in (a, *others)]
    want_items(frame, min(map(len, lists)), 5 + (len(lists) >> 1))
    return [list(row) for row in zip(*lists, strict=False)]


@function(
    "enumerate(items, start=0)",
    "list, int -> [list]",
    "Lists of place and item.",
    ('enumerate(["a", "b"])', [[0, "a"], [1, "b"]]),
    ('enumerate(["a"], 1)', [[1, "a"]]),
    iterates=True,
)
def _enumerate(frame: Frame, items: Value, start: Value = 0) -> Value:
    values = want_list("enumerate", items)
    first = want_whole("enumerate", start, MIN_INT, MAX_INT - len(values))
    want_items(frame, len(values), 4)
    return [[place, value] for place, value in enumerate(values, first)]


def _bools(name: str, items: "Value | Iterator[Value]") -> Iterable[bool]:
    source: Iterable[Value] = items if isinstance(items, Iterator) else want_list(name, items)
    for place, value in enumerate(source):
        if not isinstance(value, bool):
            raise Fault(f"`{name}` wants bools; item {place} is {describe(value)}")
        yield value


@function(
    "any(bools)",
    "list -> bool",
    "Whether one of them is true. Looks no further than the first that is.",
    ("any([false, true])", True),
    ("any(x > 2 for x in [1, 2])", False),
    iterates=True,
    weight=8,
)
def _any(frame: Frame, bools: "Value | Iterator[Value]") -> Value:
    if isinstance(bools, list):
        frame.spend(len(bools))
    return any(_bools("any", bools))


@function(
    "all(bools)",
    "list -> bool",
    "Whether none of them is false. Looks no further than the first that is.",
    ("all([true, false])", False),
    ("all(x > 0 for x in [1, 2])", True),
    iterates=True,
    weight=8,
)
def _all(frame: Frame, bools: "Value | Iterator[Value]") -> Value:
    if isinstance(bools, list):
        frame.spend(len(bools))
    return all(_bools("all", bools))


@function(
    "keys(object)",
    "object -> [string]",
    "Its keys, in order.",
    ('keys({"b": 1, "a": 2})', ["b", "a"]),
)
def _keys(frame: Frame, object: Value) -> Value:
    whole = want_object("keys", object)
    want_items(frame, len(whole))
    return list(whole)


@function(
    "values(object)",
    "object -> list",
    "Its values, in order.",
    ('values({"b": 1, "a": 2})', [1, 2]),
)
def _values(frame: Frame, object: Value) -> Value:
    whole = want_object("values", object)
    want_items(frame, len(whole))
    return list(whole.values())


@function(
    "items(object)",
    "object -> [list]",
    "Lists of key and value, in order.",
    ('items({"a": 1})', [["a", 1]]),
)
def _items(frame: Frame, object: Value) -> Value:
    whole = want_object("items", object)
    want_items(frame, len(whole), 4)
    return [[key, value] for key, value in whole.items()]


@function(
    "merge(a, b, ...)",
    "object... -> merged",
    "One object with the keys of all; of the same key the last one counts. Not deep.",
    ('merge({"a": 1, "b": 1}, {"b": 2})', {"a": 1, "b": 2}),
    weight=4,
)
def _merge(frame: Frame, a: Value, *others: Value) -> Value:
    merged: dict[str, Value] = {}
    for one in (a, *others):
        whole = want_object("merge", one)
        want_items(frame, len(whole) + len(merged), 0)
        frame.spend(2 * len(whole))
        merged |= whole
    return merged


@function(
    "contains(x, part)",
    "string|list|object, any -> bool",
    "The same as `part in x`: a part of a string, an item of a list, a key of an object.",
    ('contains("abc", "b")', True),
    ("contains([1, 2], 3)", False),
    ('contains({"a": 1}, "a")', True),
)
def _contains(frame: Frame, x: Value, part: Value) -> Value:
    return contains(frame, part, x)


@function(
    "first(items)",
    "list -> item",
    "The first item. `default(first(x), y)` if there may be none.",
    ("first([1, 2])", 1),
    iterates=True,
)
def _first(frame: Frame, items: Value) -> Value:
    values = want_list("first", items)
    if values:
        return values[0]
    raise Fault("the list is empty: it has no first item", missing=True)


@function(
    "last(items)",
    "list -> item",
    "The last item. `default(last(x), y)` if there may be none.",
    ("last([1, 2])", 2),
    iterates=True,
)
def _last(frame: Frame, items: Value) -> Value:
    values = want_list("last", items)
    if values:
        return values[-1]
    raise Fault("the list is empty: it has no last item", missing=True)


@function(
    "flatten(items)",
    "list -> list",
    "The list with the items of the lists in it in their place. One level.",
    ("flatten([[1], [2, [3]], 4])", [1, 2, [3], 4]),
    iterates=True,
)
def _flatten(frame: Frame, items: Value) -> Value:
    values = want_list("flatten", items)
    frame.spend(len(values))
    want_items(frame, sum(len(one) if isinstance(one, list) else 1 for one in values), 0)
    flat: list[Value] = []
    for one in values:
        if isinstance(one, list):
            frame.spend(len(one) >> 3)
            flat += one
        else:
            flat.append(one)
    return flat


@function(
    "unique(items)",
    "list -> same",
    "The list without the items that are equal to one before them.",
    ('unique([1, "a", 1.0, "a"])', [1, "a"]),
    iterates=True,
    weight=6,
)
def _unique(frame: Frame, items: Value) -> Value:
    values = want_list("unique", items)
    frame.spend(8 * len(values))
    found: dict[str, Value] = {}
    for value in values:
        found.setdefault(canonical(frame, value), value)
    return list(found.values())


@function(
    "group_by(items, field)",
    "list, string -> object",
    "An object of lists: the objects by the text of one of their fields.",
    (
        'group_by([{"k": "a", "n": 1}, {"k": "b", "n": 2}, {"k": "a", "n": 3}], "k")',
        {"a": [{"k": "a", "n": 1}, {"k": "a", "n": 3}], "b": [{"k": "b", "n": 2}]},
    ),
    iterates=True,
    weight=4,
)
def _group_by(frame: Frame, items: Value, field: Value) -> Value:
    values = want_list("group_by", items)
    frame.spend(6 * len(values))
    groups: dict[str, list[Value]] = {}
    for place, key in enumerate(_fields(frame, "group_by", values, field)):
        if isinstance(key, list | dict):
            raise Fault(f"`group_by` cannot group by {describe(key)}, in item {place}")
        text = key if isinstance(key, str) else json_text(frame, key)
        groups.setdefault(text, []).append(values[place])
    return {**groups}


LIST_FUNCTIONS: Final[tuple[Function, ...]] = (
    _len,
    _list,
    _sorted,
    _reversed,
    _range,
    _zip,
    _enumerate,
    _any,
    _all,
    _keys,
    _values,
    _items,
    _merge,
    _contains,
    _first,
    _last,
    _flatten,
    _unique,
    _group_by,
)
"""The functions of this module."""
