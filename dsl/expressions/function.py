"""What a function of the language is, and the checks functions share on their arguments."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from .errors import Fault
from .frame import Frame, Value
from .limits import LIMITS
from .types import KINDS
from .values import describe

__all__ = [
    "Function",
    "function",
    "want_comparable",
    "want_items",
    "want_list",
    "want_number",
    "want_object",
    "want_text",
    "want_whole",
]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    Attributes:
        name: Its name.
        signature: How it is called, such as `pad_left(text, width, fill=" ")`.
        takes: The kinds that each argument may have; the last counts for all that follow.
        gives: What the result is, from `types`; see `function`.
        doc: What it gives, in a line.
        examples: Expressions with their values; each is a test.
        min_args: Fewest arguments.
        max_args: Most arguments; None if there may be any number.
        iterates: Whether an argument may be a bare `x for x in xs`.
        weight: Units of work for a call, beside what it spends on its data.
        apply: What it does, given the frame and the arguments' values.
    """

    name: str
    signature: str
    takes: tuple[frozenset[str], ...]
    gives: str
    doc: str
    examples: list[tuple[str, Value]]
    min_args: int
    max_args: int | None
    iterates: bool
    weight: int
    apply: Callable[..., Value] = field(repr=False)


def function(
    signature: str,
    types: str,
    doc: str,
    *examples: tuple[str, Value],
    iterates: bool = False,
    weight: int = 2,
) -> Callable[[Callable[..., Value]], Function]:
    """Make a `Function` of a Python function whose first argument is the frame.

    The numbers of arguments come from the Python function's own signature. `types` names the
    kinds that arguments may have and that of the result: `string, int -> string`,
    `any... -> bool`, `list -> [int]`; or a word that says how the result follows from the
    arguments: `same` as the first, an `item` of it, and those that `infer` knows.
    """
    before, _, gives = types.partition("->")
    takes = [_kinds(part.strip().removesuffix("...")) for part in before.split(",") if part.strip()]

    def make(apply: Callable[..., Value]) -> Function:
        parameters = list(inspect.signature(apply).parameters.values())[1:]
        named = [one for one in parameters if one.kind is not one.VAR_POSITIONAL]
        several = len(named) < len(parameters)
        fewest = sum(one.default is one.empty for one in named)
        wanted = (kinds if at < fewest else kinds | {"null"} for at, kinds in enumerate(takes))
        return Function(
            name=signature.partition("(")[0],
            signature=signature,
            takes=tuple(wanted),
            gives=gives.strip(),
            doc=doc,
            examples=list(examples),
            min_args=fewest,
            max_args=None if several else len(parameters),
            iterates=iterates,
            weight=weight,
            apply=apply,
        )

    return make


def _kinds(words: str) -> frozenset[str]:
    return KINDS if words == "any" else frozenset(words.split("|"))


def want_text(name: str, value: Value) -> str:
    """The value, if it is a string; else a fault that names the function."""
    if isinstance(value, str):
        return value
    raise Fault(f"`{name}` wants a string, not {describe(value)}", "`str(x)` makes one")


def want_number(name: str, value: Value) -> int | float:
    """The value, if it is a number; else a fault that names the function."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Fault(f"`{name}` wants a number, not {describe(value)}")


def want_whole(name: str, value: Value, low: int, high: int) -> int:
    """The value, if it is an int in a range; else a fault that names the function."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Fault(f"`{name}` wants an int here, not {describe(value)}")
    if low <= value <= high:
        return value
    raise Fault(f"`{name}` wants a number from {low} to {high} here")


def want_list(name: str, value: Value) -> list[Value]:
    """The value, if it is a list; else a fault that names the function."""
    if isinstance(value, list):
        return value
    hint = "`items(x)`, `keys(x)` and `values(x)` make one" if isinstance(value, dict) else None
    raise Fault(f"`{name}` wants a list, not {describe(value)}", hint)


def want_object(name: str, value: Value) -> dict[str, Value]:
    """The value, if it is an object; else a fault that names the function."""
    if isinstance(value, dict):
        return value
    raise Fault(f"`{name}` wants an object, not {describe(value)}")


def want_items(frame: Frame, count: int, units: int = 1) -> None:
    """Spend for a list or object that is about to be made, if it may have so many items.

    Args:
        frame: Whose budget is spent.
        count: How many items.
        units: The units of work for each.
    """
    if count > LIMITS.items:
        raise Fault(f"the list is too long (over {LIMITS.items} items)")
    frame.spend(count * units)


def want_comparable(frame: Frame, name: str, items: list[Value], rounds: int = 1) -> None:
    """Spend for comparing each item a number of times; a fault unless they can be compared."""
    frame.spend(len(items) + (len(items) * rounds >> 3))
    kinds = set(map(type, items))
    if kinds == {str}:
        frame.spend(sum(map(len, cast("list[str]", items))) * rounds >> 7)
    elif not kinds <= {int, float}:
        allowed = (str,) if isinstance(items[0], str) else (int, float)
        place = next(place for place, item in enumerate(items) if type(item) not in allowed)
        what = f"item {place} is {describe(items[place])}"
        raise Fault(f"`{name}` wants only numbers or only strings; {what}")
