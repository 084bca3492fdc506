"""Places in an author's text, ready to be shown."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from dsl.source import Position, Source, Span

__all__ = ["Excerpt", "excerpt", "region", "visible", "visible_lines"]

_WIDTH = 100
"""The most characters of a line that are shown."""
_BEFORE = 60
"""The most of these before the place."""
_INVISIBLE = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TAB = " " * 4


def visible(text: str) -> str:
    """A text as terminals may show it: what would steer them is a sign that stands for it."""
    if text.isprintable():
        return text
    return "".join(map(_sign, text))


def visible_lines(text: str) -> str:
    """The same of a text whose lines are meant."""
    return "\n".join(map(visible, text.split("\n")))


def _sign(char: str) -> str:
    if char.isprintable():
        return char
    if char < " ":
        return chr(0x2400 + ord(char))
    if char in _DIRECTIONS or unicodedata.category(char) in _INVISIBLE:
        return "\N{SYMBOL FOR DELETE}" if char == "\x7f" else "\N{REPLACEMENT CHARACTER}"
    return char


def region(source: Source, span: Span) -> tuple[Position, Position]:
    """Where a span begins, and where it ends: behind its last character that is no white space."""
    length = len(source.text[span.start : span.end].rstrip())
    return source.position(span.start), source.position(span.start + length)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The line of a place, in three parts, as it may be shown.

    Args:
        number: Its number.
        before: What stands before the place.
        marked: The place, as far as it is on this line.
        after: What stands behind it.
        last: The number of the line that the place ends on.
    """

    number: int
    before: str
    marked: str
    after: str
    last: int


def excerpt(source: Source, span: Span) -> Excerpt | None:
    """The line where a span begins; None of a text that could not be read."""
    if not source.text:
        return None
    start, end = region(source, span)
    line = source.line(start.line)
    at = min(start.column - 1, len(line))
    to = end.column - 1 if end.line == start.line else len(line)
    first, last = 0, len(line)
    if last > _WIDTH:
        first = max(0, min(at - _BEFORE, last - _WIDTH))
        last = min(first + _WIDTH, last)
    before = ("…" if first else "") + _shown(line[first:at])
    after = _shown(line[to:last]) + ("…" if last < len(line) else "")
    return Excerpt(start.line, before, _shown(line[at : min(to, last)]), after, end.line)


def _shown(text: str) -> str:
    return visible(text.replace("\t", _TAB))
