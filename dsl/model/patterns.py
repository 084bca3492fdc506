"""Regular expressions for the JSON Schema: the same texts as the readers of values take.

They keep to what every dialect has, because each editor and validator has its own: no look-ahead,
no names for classes of characters but `\\s`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DURATION", "EXPRESSION", "TEMPLATE", "TIME", "either", "whole"]

TEMPLATE: Final = r"\$\{"
"""A text with an expression in it."""
EXPRESSION: Final = r"^\s*([^\s$]|\$([^{]|$)|\$\{\s*([^\s}]|$|\}\s*[^\s]))"
"""A text with something in it, `${ }` round it or not."""


def whole(pattern: str) -> str:
    """For a text that is nothing else."""
    return f"^({pattern})$"


def either(pattern: str) -> str:
    """For a text that is nothing else, or has an expression in it."""
    return f"{whole(pattern)}|{TEMPLATE}"


def _parts(units: str) -> list[str]:
    """Numbers with units, the largest first, each once; a fraction in the last.

    One pattern for each unit that may be the last.
    """
    found: list[str] = []
    before = ""
    for unit in units.split():
        found.append(rf"{before}[0-9]{{1,12}}(\.[0-9]{{1,9}})?{unit}")
        before += rf"([0-9]{{1,12}}{unit})?"
    return found


_DATE_PART: Final = r"([0-9]{1,12}D)?"
_ISO: Final = [*_parts("W"), *_parts("D"), *(f"{_DATE_PART}T{part}" for part in _parts("H M S"))]

DURATION: Final = "|".join([*_parts("d h m s ms"), *(f"P({part})" for part in _ISO)])
"""A duration, as `dsl.durations.parse_duration` reads it; it may be too long."""

_YEAR = r"([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LEAP_YEAR = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
_DAY = (
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_HOUR = r"([01][0-9]|2[0-3])"
_MINUTE = r"[0-5][0-9]"

TIME: Final = (
    rf"({_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
    rf"[Tt ]{_HOUR}:{_MINUTE}:{_MINUTE}(\.[0-9]{{1,12}})?"
    rf"([Zz]|[+-]{_HOUR}:{_MINUTE})"
)
"""A time of RFC 3339, as `dsl.durations.parse_time` reads it."""
