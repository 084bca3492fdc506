"""Reading: names, keys, items, slices. The fast path first; who is to blame is found after."""

from collections.abc import Callable
from typing import Any, TypeAlias

from .errors import ExpressionError, Fault, Place
from .frame import Frame, Value
from .limits import LIMITS, MAX_INT, MIN_INT
from .values import describe, key_text, too_long

__all__ = ["index", "read_chain", "read_name", "read_step", "read_variable", "slice_of"]

Run: TypeAlias = Callable[[Frame], Value]


def read_name(name: str, place: Place) -> Run:
    """The closure that reads a root name."""

    def run(frame: Frame) -> Value:
        try:
            return frame.context.lookup(name)
        except KeyError:
            raise _no_name(name, place) from None

    return run


def _no_name(name: str, place: Place) -> ExpressionError:
    return place.error(Fault(f"there is nothing named `{name}` here"))


def read_variable(name: str, place: Place) -> Run:
    """The closure that reads `vars.<name>`."""

    def run(frame: Frame) -> Value:
        try:
            return frame.context.variable(name)
        except KeyError:
            raise place.missing(f"there is no variable `{name}` here") from None

    return run


def read_step(id: str, field: str, place: Place) -> Run:
    """The closure that reads `steps.<id>.<field>`."""

    def run(frame: Frame) -> Value:
        try:
            return frame.context.step(id, field)
        except LookupError as error:
            message = str(error.args[0]) if error.args else f"the step `{id}` has no {field}"
            raise place.missing(message) from None

    return run


def read_chain(
    root: Run | None, name: str, origin: Place, keys: list[str | int], places: list[Place]
) -> Run:
    """The closure that reads constant keys one after the other.

    Args:
        root: What gives the value they are read from; None for the root name.
        name: The root name, if there is no root.
        origin: The place of the root.
        keys: The keys.
        places: For each key the place from the root to it.
    """

    def blame(value: Value) -> Value:
        """Read slowly, to know which key it was."""
        for key, place in zip(keys, places, strict=True):
            try:
                value = _item(value, key)
            except Fault as fault:
                raise place.error(fault) from None
        return value

    if root is not None:
        return _from_value(root, keys, blame)

    def slow(frame: Frame) -> Value:
        try:
            value = frame.context.lookup(name)
        except KeyError:
            raise _no_name(name, origin) from None
        return blame(value)

    return _from_name(name, keys, slow)


# Subscripting is the same as _item() wherever it succeeds: a string key fits only an object, an
# int only a list or a string. That every closure repeats it is what makes reading fast.


def _from_value(root: Run, keys: list[str | int], blame: Callable[[Value], Value]) -> Run:
    if len(keys) == 1:
        (first,) = keys

        def run_one(frame: Frame) -> Value:
            value: Any = root(frame)
            try:
                return value[first]
            except (KeyError, TypeError, IndexError):
                return blame(value)

        return run_one

    def run(frame: Frame) -> Value:
        whole = root(frame)
        value: Any = whole
        try:
            for key in keys:
                value = value[key]
            return value
        except (KeyError, TypeError, IndexError):
            return blame(whole)

    return run


def _from_name(name: str, keys: list[str | int], slow: Run) -> Run:
    if len(keys) == 1:
        (first,) = keys

        def run_one(frame: Frame) -> Value:
            try:
                value: Any = frame.context.lookup(name)
                return value[first]
            except (KeyError, TypeError, IndexError):
                return slow(frame)

        return run_one

    def run(frame: Frame) -> Value:
        try:
            value: Any = frame.context.lookup(name)
            for key in keys:
                value = value[key]
            return value
        except (KeyError, TypeError, IndexError):
            return slow(frame)

    return run


def index(frame: Frame, whole: Value, key: Value) -> Value:
    """`whole[key]`, with a key that was evaluated."""
    return _item(whole, key)


def _item(whole: Value, key: Value) -> Value:
    if isinstance(whole, dict):
        if not isinstance(key, str):
            raise Fault(f"the keys of an object are strings, not {describe(key)}")
        if key in whole:
            return whole[key]
        raise Fault(f"there is no key {key_text(key)}", missing=True).among(key, whole)
    if isinstance(whole, list | str):
        if isinstance(key, int) and not isinstance(key, bool):
            if -len(whole) <= key < len(whole):
                return whole[key]
            if not MIN_INT <= key <= MAX_INT:
                raise Fault("there is no such item", missing=True)
            noun = "items" if isinstance(whole, list) else "characters"
            message = f"there is no item {key}: the {noun} are {len(whole)}"
            raise Fault(message, missing=True)
        if isinstance(key, str):
            raise Fault(f"{describe(whole)} has no keys such as {key_text(key)}")
        raise Fault(f"an item of {describe(whole)} is read by an int, not {describe(key)}")
    if whole is None:
        what = key_text(key) if isinstance(key, str) else "item"
        raise Fault(f"null has no {what}", missing=True)
    what = f"key {key_text(key)}" if isinstance(key, str) else "items"
    raise Fault(f"{describe(whole)} has no {what}")


def slice_of(frame: Frame, whole: Value, bounds: tuple[Value, Value, Value]) -> Value:
    """`whole[low:high:step]`."""
    for bound in bounds:
        if bound is not None and type(bound) is not int:
            raise Fault(f"the ends of a slice are ints, not {describe(bound)}")
    if bounds[2] == 0:
        raise Fault("a slice cannot go by steps of 0")
    if whole is None:
        raise Fault("null has no items", missing=True)
    if not isinstance(whole, str | list):
        raise Fault(f"{describe(whole)} has no items")
    part: Any = slice(*bounds)
    count = len(range(*part.indices(len(whole))))
    if isinstance(whole, str):
        if count > LIMITS.string:
            raise too_long()
        frame.spend(count >> 4)
        return whole[part]
    if count > LIMITS.items:
        raise Fault(f"the list is too long (over {LIMITS.items} items)")
    frame.spend(count >> 3)
    return whole[part]
