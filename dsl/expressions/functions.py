"""The table of functions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .frame import Frame, Value
from .function import Function, function
from .list_functions import LIST_FUNCTIONS
from .number_functions import NUMBER_FUNCTIONS
from .text_functions import TEXT_FUNCTIONS
from .time_functions import TIME_FUNCTIONS

__all__ = ["FUNCTIONS", "LAZY", "Function"]


@function(
    "default(x, other)",
    "any, any -> either",
    "x, or the other if x is null or not there: a missing key or item, an output not to be had.",
    ('default({"a": 1}.b, 2)', 2),
    ("default(null, 2)", 2),
    ("default(false, true)", False),
    weight=4,
)
def _default(frame: Frame, x: Value, other: Value) -> Value:
    return other if x is None else x


@function(
    "has(x)",
    "any -> bool",
    "Whether x can be read: its keys and items are there, even if it is null.",
    ('has({"a": null}.a)', True),
    ('has({"a": 1}.b)', False),
    weight=4,
)
def _has(frame: Frame, x: Value) -> Value:
    return True


LAZY: Final = frozenset(("default", "has"))
"""Functions whose arguments are evaluated only when needed: the compiler makes them itself."""

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        one.name: one
        for one in sorted(
            (
                *LIST_FUNCTIONS,
                *NUMBER_FUNCTIONS,
                *TEXT_FUNCTIONS,
                *TIME_FUNCTIONS,
                _default,
                _has,
            ),
            key=lambda one: one.name,
        )
    }
)
"""Every function of the language by its name."""
