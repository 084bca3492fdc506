"""The texts of nodes, and how large their boxes become by them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dsl.graph.blocks import Block, Box, Line
from dsl.graph.parts import Node, Shape
from dsl.graph.text import CODE, SMALL, TITLE, Style, width, wrap

__all__ = ["Texts", "bar", "box", "texts"]

_ICON = 16
_GAP = 8
_STEP = 236
"""How wide the box of a step is."""
_WIDEST = {
    Shape.DECISION: 260,
    Shape.CASE: 200,
    Shape.LABEL: 200,
    Shape.ERROR: 200,
    Shape.END: 320,
}
_FIXED = (Shape.TASK, Shape.WAIT, Shape.DATA, Shape.UNDO)
"""Steps stand one below the other: their boxes are all of one width."""
_CENTRED = (Shape.DECISION, Shape.CASE, Shape.END, Shape.BAR, Shape.PIVOT)
_POINT = 18
"""How far the points of a decision reach out at its sides."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Lines of text under each other, counted from the top left corner of the first.

    Args:
        lines: The lines; centred ones are counted from the middle.
        width: Of the longest.
        height: Of all.
    """

    lines: tuple[Line, ...]
    width: int
    height: int

    def at(self, x: int, y: int) -> tuple[Line, ...]:
        """The lines in their place."""
        return tuple(replace(line, x=line.x + x, y=line.y + y) for line in self.lines)


def texts(node: Node, limit: int, centred: bool = False) -> Texts:
    """The texts of a node: its title with its icon, its code, its marks.

    Args:
        node: The node.
        limit: How wide they may be.
        centred: Whether lines stand in the middle, else at the left with the icon before them.
    """
    lines: list[Line] = []
    widest = height = 0
    indent = _ICON + _GAP if node.icon is not None and not centred else 0

    def add(text: str, style: Style, most: int, x: int = indent) -> None:
        nonlocal widest, height
        for line in wrap(text, style, limit - x, most):
            lines.append(Line(0 if centred else x, height + style.size, line, style, None, centred))
            widest = max(widest, x + width(line, style))
            height += style.line

    if node.icon is not None and not centred:
        lines.append(Line(0, -1, "", None, node.icon))
    add(node.title, TITLE, 3)
    for code in node.code[:4]:
        height += 1
        add(code, CODE, 4)
    for mark in node.marks:
        height += 3
        if not centred:
            lines.append(Line(indent, height, "", None, mark.icon))
        add(mark.text, SMALL, 3, 0 if centred else indent + _ICON)
    return Texts(tuple(lines), widest, max(height, _ICON if indent else 0))


def bar(node: Node, left: int, right: int) -> Block:
    """A bar as a block, that reaches at least that far to the sides."""
    found = texts(node, max(2 * min(left, right), _STEP), centred=True)
    half = _even(found.width) // 2 + 12
    left, right = max(left, half), max(right, half)
    high = found.height + 14
    shape = Box(-left, 0, left + right, high, node, found.at(left, 7))
    return Block(left, right, high, items=[shape])


def box(node: Node) -> Block:
    """A node as a block."""
    match node.shape:
        case Shape.START:
            return _block(node, 22, 22, ())
        case Shape.END:
            found = texts(node, _WIDEST[Shape.END], centred=True)
            wide = _even(max(26, found.width))
            return _block(node, wide, 26 + 6 + found.height, found.at(wide // 2, 32))
        case Shape.PIVOT:
            wide = _even(width(node.title, TITLE) + 110)
            return _block(node, wide, 20, texts(node, wide, centred=True).at(wide // 2, 2))
        case _:
            return _texted(node)


def _texted(node: Node) -> Block:
    """A box round its texts."""
    limit = _WIDEST.get(node.shape, _STEP)
    pointed = node.shape in (Shape.DECISION, Shape.CASE)
    round_ = node.shape in (Shape.WAIT, Shape.RETURN, Shape.RAISE, Shape.JUMP)
    side = _POINT + 4 if pointed else 16 if round_ else 12
    above = 8 if node.shape in (Shape.LABEL, Shape.CASE, Shape.ERROR) else 11
    centred = node.shape in _CENTRED or (node.shape is Shape.LABEL and node.icon is None)
    found = texts(node, limit - 2 * side, centred)
    wide = limit if node.shape in _FIXED else _even(max(found.width + 2 * side, 60))
    x = wide // 2 if centred else side
    return _block(node, wide, found.height + 2 * above, found.at(x, above))


def _even(number: int) -> int:
    """So that its half is whole too."""
    return number + number % 2


def _block(node: Node, wide: int, high: int, lines: tuple[Line, ...]) -> Block:
    half = wide // 2
    return Block(half, half, high, node.ends, [Box(-half, 0, wide, high, node, lines)])
