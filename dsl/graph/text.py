"""How wide texts are, without a font at hand, and how they are broken into lines."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["CODE", "NAME", "PROSE", "SMALL", "TITLE", "Style", "width", "wrap"]

# The widths of Helvetica in thousandths of the font's size, from the space on.
_HELVETICA = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_WIDE = 1000
_EMOJI = 1300
_OTHER = 700
_SLACK = 1.1
"""The fonts that systems put in the place of Helvetica are up to this wider."""
_MONOSPACED = 0.61
_CHUNK = re.compile(r"\S+\s*")
_BREAKS = "._/-,:()[]{}=+&?"
"""After these a word may be broken that is too long for a line."""


@dataclass(frozen=True, slots=True)
class Style:
    """A kind of text.

    Args:
        name: Its class in the picture.
        size: Its size in pixels.
        line: The height of a line.
        bold: Whether it is bold.
        monospaced: Whether all its characters are of one width.
    """

    name: str
    size: int
    line: int
    bold: bool = False
    monospaced: bool = False


NAME = Style("name", 20, 26, bold=True)
PROSE = Style("prose", 13, 18)
TITLE = Style("title", 13, 17, bold=True)
CODE = Style("code", 11, 15, monospaced=True)
SMALL = Style("small", 11, 15)


@lru_cache(maxsize=4096)
def _character(char: str) -> int:
    """The width of a character in thousandths of the font's size."""
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    if ord(char) >= 0x1F000 or 0x2600 <= ord(char) < 0x2800:
        return _EMOJI
    return _WIDE if unicodedata.east_asian_width(char) in "WF" else _OTHER


def width(text: str, style: Style) -> int:
    """How wide a text is, in pixels: rather too much than too little."""
    if style.monospaced and text.isascii():
        return math.ceil(len(text) * _MONOSPACED * style.size)
    thousandths = 0
    for char in text:
        place = ord(char) - 32
        known = 0 <= place < len(_HELVETICA)
        one = _HELVETICA[place] if known else _character(char)
        thousandths += max(one, 610) if style.monospaced and one else one
    slack = _SLACK * (1.06 if style.bold else 1)
    return math.ceil(thousandths * style.size * slack / 1000)


def wrap(text: str, style: Style, limit: int, most: int) -> tuple[str, ...]:
    """Breaks a text into lines.

    Args:
        text: The text, on one line.
        style: What it looks like.
        limit: How wide a line may be, in pixels.
        most: How many lines there may be: what is more is cut off.
    """
    lines: list[str] = []
    line = ""
    for chunk in _chunks(text, style, limit):
        if line and width((line + chunk).rstrip(), style) > limit:
            lines.append(line.rstrip())
            line = ""
            if len(lines) == most:
                lines[-1] = _cut(lines[-1], style, limit)
                return tuple(lines)
        line += chunk
    return tuple([*lines, line.rstrip()] if line.strip() else lines)


def _cut(line: str, style: Style, limit: int) -> str:
    while line and width(line + "…", style) > limit:
        line = line[:-1]
    return line.rstrip() + "…"


def _chunks(text: str, style: Style, limit: int) -> Iterator[str]:
    """The words of a text with the spaces behind them; parts of words too long for a line."""
    for chunk in _CHUNK.findall(text):
        while width(chunk.rstrip(), style) > limit:
            most = _most(chunk, style, limit)
            breaks = (at for at in range(most, most // 2, -1) if chunk[at - 1] in _BREAKS)
            at = next(breaks, most)
            yield chunk[:at]
            chunk = chunk[at:]
        yield chunk


def _most(chunk: str, style: Style, limit: int) -> int:
    """How many characters of a word fit on a line; at least one."""
    low, high = 1, len(chunk)
    while low < high:
        middle = (low + high + 1) // 2
        if width(chunk[:middle], style) <= limit:
            low = middle
        else:
            high = middle - 1
    return low
