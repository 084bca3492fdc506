"""Source text and places in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["Position", "Source", "Span"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of character offsets in a source text.

    Args:
        start: Offset of the first character, counted from 0.
        end: Offset after the last character.
    """

    start: int
    end: int

    def at(self, offset: int) -> Span:
        """The empty span `offset` characters after the start."""
        return Span(self.start + offset, self.start + offset)


@dataclass(frozen=True, slots=True)
class Position:
    """A place as people name it: line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """A named text.

    Args:
        name: What to call it in messages: a path as the author gave it, or `<stdin>`.
        text: The whole text.
    """

    name: str
    text: str
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        object.__setattr__(self, "_starts", starts)

    def position(self, offset: int) -> Position:
        """Line and column of a character offset."""
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")
