"""Every bound on expressions, in one place."""

from dataclasses import dataclass
from typing import Final

__all__ = ["LIMITS", "MAX_INT", "MIN_INT", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that keep an expression from hurting the workflow it runs in.

    Attributes:
        source: Longest source of one expression, in characters.
        depth: Deepest nesting of an expression's syntax, in levels.
        work: Units of work one evaluation may spend. A unit is at most about 100 ns: one node of
            syntax in one turn of a comprehension, one item compared, 16 characters copied. Only
            comprehensions and operations in proportion to data spend any.
        string: Longest string an expression may make, in characters.
        items: Most items of a list, or keys of an object, an expression may make.
        value_depth: Deepest nesting of a value that is made, compared or written as JSON.
        value_size: Largest value an expression or template may make, shared parts counted each
            time they occur: 8 for each value in it, plus the characters of its strings and keys.
        format_decimals: Most decimals `format_number` writes, in digits.
        round_digits: Largest number of digits, before or after the point, `round` takes.
        hint_choices: Most names looked through for a "did you mean".
    """

    source: int = 4_096
    depth: int = 64
    work: int = 350_000
    string: int = 262_144
    items: int = 100_000
    value_depth: int = 64
    value_size: int = 4_194_304
    format_decimals: int = 20
    round_digits: int = 20
    hint_choices: int = 200


LIMITS: Final = Limits()
"""The limits in force."""

MAX_INT: Final = 2**63 - 1
"""The largest int."""

MIN_INT: Final = -(2**63)
"""The smallest int."""
