"""Small changes of a text: slips of the pen, of the hand, of the clipboard."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

__all__ = ["CHANGES"]

Change = Callable[[random.Random, str], str]

_JUNK = "abcxyz_019 \n\t:-#'\"[]{}$!*&|>,.~é\U0001f600\r\\%@`?=<()"
_KEY = re.compile(r"""(?<=[\s{,"'])[A-Za-z_]+(?=["']?:(?:\s|$))""", re.MULTILINE)
_VALUES = ("", "5", "-1", "true", "null", "[]", "{}", "x", "1h", "[a, b]", '"5"', "${ input.x }")
_FLOW_VALUE = re.compile(r"(?<=: )[^\s,{}\[\]]+(?=[,}\]\n])")


def _drop(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text))
    return text[:at] + text[at + 1 :]


def _insert(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text) + 1)
    return text[:at] + pick.choice(_JUNK) + text[at:]


def _put(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text))
    return text[:at] + pick.choice(_JUNK) + text[at + 1 :]


def _swap(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


# Lines.


def _lines(pick: random.Random, text: str) -> tuple[list[str], int]:
    lines = text.splitlines(keepends=True)
    return lines, pick.randrange(len(lines))


def _drop_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    del lines[at]
    return "".join(lines)


def _double_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    lines.insert(at, lines[at])
    return "".join(lines)


def _move_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    line = lines.pop(at)
    lines.insert(pick.randrange(len(lines) + 1), line)
    return "".join(lines)


def _indent(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    step = " " * pick.choice((1, 2, 4))
    lines[at] = step + lines[at] if pick.random() < 0.5 else lines[at].removeprefix(step)
    return "".join(lines)


def _break_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    middle = pick.randrange(len(lines[at]))
    lines[at] = lines[at][:middle] + "\n" + lines[at][middle:]
    return "".join(lines)


# Keys, with all that stands under them, and values.


def _key(pick: random.Random, text: str) -> re.Match[str]:
    return pick.choice(list(_KEY.finditer(text)))


def _rename_key(pick: random.Random, text: str) -> str:
    """A letter more, less, changed, or in capitals."""
    key = _key(pick, text)
    word, at = key.group(), pick.randrange(len(key.group()))
    new = pick.choice((word[:at], word[:at] + "e", word[:at] + word[at].upper())) + word[at + 1 :]
    return text[: key.start()] + new + text[key.end() :]


def _other_key(pick: random.Random, text: str) -> str:
    """A key of the file in the place of another."""
    key, other = _key(pick, text), _key(pick, text).group()
    return text[: key.start()] + other + text[key.end() :]


def _block(pick: random.Random, text: str) -> tuple[list[str], int, int]:
    """Lines, of which some are one key or item with all that stands under it."""
    lines, first = _lines(pick, text)
    depth = len(lines[first]) - len(lines[first].lstrip())
    last = first + 1
    while last < len(lines) and len(lines[last]) - len(lines[last].lstrip()) > depth:
        last += 1
    return lines, first, last


def _drop_key(pick: random.Random, text: str) -> str:
    lines, first, last = _block(pick, text)
    return "".join(lines[:first] + lines[last:])


def _double_key(pick: random.Random, text: str) -> str:
    lines, first, last = _block(pick, text)
    return "".join(lines[:last] + lines[first:])


def _move_key(pick: random.Random, text: str) -> str:
    """To another place, with the indentation that is usual there."""
    lines, first, last = _block(pick, text)
    block, rest = lines[first:last], lines[:first] + lines[last:]
    if not rest:
        return text
    at = pick.randrange(len(rest))
    depth = len(rest[at]) - len(rest[at].lstrip(" -"))
    shift = depth - (len(block[0]) - len(block[0].lstrip()))
    moved = [" " * shift + line if shift > 0 else line[-shift:] for line in block]
    return "".join(rest[: at + 1] + moved + rest[at + 1 :])


def _other_value(pick: random.Random, text: str) -> str:
    """A value of another type in the place of a key's value."""
    lines, at = _lines(pick, text)
    head, colon, _ = lines[at].partition(": ")
    if colon:
        lines[at] = f"{head}: {pick.choice(_VALUES)}\n"
    return "".join(lines)


def _other_flow_value(pick: random.Random, text: str) -> str:
    values = list(_FLOW_VALUE.finditer(text))
    if not values:
        return _other_value(pick, text)
    value = pick.choice(values)
    return text[: value.start()] + pick.choice(_VALUES) + text[value.end() :]


CHANGES: tuple[Change, ...] = (
    *(_drop, _insert, _put, _swap),
    *(_drop_line, _double_line, _move_line, _indent, _break_line),
    *(_rename_key, _other_key, _drop_key, _double_key, _move_key),
    *(_other_value, _other_flow_value),
)
"""Each makes another text of one that has several lines and keys."""
