"""What a layout is made of: shapes with coordinates, and blocks of them.

Coordinates are whole pixels. A block hangs on the line of the flow: it is entered at (0, 0) and
left at (0, height), and reaches `left` and `right` of that line. A block is made of the blocks
inside it without a change to them, so that a layout takes time in proportion to its shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from dsl.graph import parts
from dsl.graph.parts import Icon, Node
from dsl.graph.text import Style

__all__ = ["Block", "Border", "Box", "Flow", "Frame", "Item", "Line", "Wire", "Word", "placed"]


class Flow(Enum):
    """What a wire says."""

    NORMAL = "flow"
    ERROR = "error"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, or its icon.

    Args:
        x: Where it begins, or its middle.
        y: Its base line; of an icon the top.
        text: The text.
        style: What it looks like; None for an icon.
        icon: The icon.
        middle: Whether `x` is its middle.
    """

    x: int
    y: int
    text: str
    style: Style | None
    icon: Icon | None = None
    middle: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A node at its place, its texts counted from its corner."""

    x: int
    y: int
    width: int
    height: int
    node: Node
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a group at its place.

    Args:
        depth: How many frames are round it.
    """

    x: int
    y: int
    width: int
    height: int
    kind: parts.Frame
    node: Node
    lines: tuple[Line, ...]
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Wire:
    """A line through points, which are counted from where it begins."""

    x: int
    y: int
    points: tuple[tuple[int, int], ...]
    flow: Flow = Flow.NORMAL
    arrow: bool = True
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Border:
    """A small sign: where errors leave a step, or where the steps of a frame begin."""

    x: int
    y: int
    icon: Icon | None


@dataclass(frozen=True, slots=True)
class Word:
    """A word beside a wire."""

    x: int
    y: int
    text: str


Item: TypeAlias = Box | Frame | Wire | Border | Word


@dataclass(slots=True)
class Block:
    """A part with its place still open.

    Args:
        left: How far it reaches to the left of the line of the flow.
        right: How far it reaches to the right.
        height: Where the flow leaves it.
        ends: Whether the flow never leaves it.
        items: Its own shapes.
        inner: The blocks in it, with where they are.
    """

    left: int = 0
    right: int = 0
    height: int = 0
    ends: bool = False
    items: list[Item] = field(default_factory=list[Item])
    inner: list[tuple[int, int, Block]] = field(default_factory=list["tuple[int, int, Block]"])

    def put(self, x: int, y: int, block: Block) -> None:
        """Takes in a block; grows to its sides, not in height."""
        self.inner.append((x, y, block))
        self.left = max(self.left, block.left - x)
        self.right = max(self.right, block.right + x)

    def wire(
        self,
        *points: tuple[int, int],
        flow: Flow = Flow.NORMAL,
        arrow: bool = True,
        dashed: bool = False,
    ) -> None:
        """Draws a wire, unless it has no length."""
        if points[0] != points[-1]:
            self.items.append(Wire(0, 0, points, flow, arrow, dashed))
        for x, _ in points:
            self.left = max(self.left, -x)
            self.right = max(self.right, x)


def placed(block: Block, x: int, y: int) -> Iterator[Item]:
    """The shapes of a block in their places: frames come before what is in them."""
    waiting = [(x, y, 0, block)]
    while waiting:
        x, y, depth, block = waiting.pop()
        frames = 0
        for item in block.items:
            if isinstance(item, Frame):
                frames = 1
                item = replace(item, depth=depth)
            yield replace(item, x=item.x + x, y=item.y + y)
        for dx, dy, inner in reversed(block.inner):
            waiting.append((x + dx, y + dy, depth + frames, inner))
