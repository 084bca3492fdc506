"""Parts to shapes with coordinates: the layout of each construct, from the inside out.

The flow goes down. What undoes a step stands to its left, what happens on its errors and the way
round it to its right.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import assert_never

from dsl.graph.blocks import Block, Border, Flow, Frame, Word
from dsl.graph.boxes import bar, box, texts
from dsl.graph.parts import (
    Branch,
    Choice,
    Group,
    Guarded,
    Handler,
    Icon,
    Loop,
    Node,
    Part,
    Picture,
    Series,
    Shape,
    Split,
)
from dsl.graph.parts import Frame as Kind

__all__ = ["layout"]

_BETWEEN = 28
"""From a step to the next."""
_BESIDE = 32
"""Between what stands side by side."""
_LANE = 22
"""From a wire that goes round something to it."""
_INSIDE = 16
"""From a frame to what is in it."""
_STACK = 8
"""How far the frames behind a frame look out."""
_ATTACHED = 26
"""How far below a step's top that leaves it what leaves it at its side, at most."""


def layout(picture: Picture) -> Block:
    """The layout of a definition, from its start to its end."""
    start = Node("", Shape.START, None, "")
    end = Node("", Shape.END, None, "", (), picture.result)
    body = _part(picture.body)
    blocks = [box(start), body, box(end)]
    return _stacked(blocks if not body.ends else blocks[:2])


def _part(part: Part) -> Block:
    match part:
        case Node():
            return box(part)
        case Series():
            return _stacked([_part(one) for one in part.parts])
        case Choice():
            return _choice(part)
        case Split():
            return _split(part)
        case Group():
            return _framed(part.frame, part.head, _part(part.body))
        case Loop():
            body = _part(part.body)
            condition = box(Node("", Shape.DECISION, None, "", (part.condition,)))
            inside = _while(condition, body) if part.before else _until(condition, body)
            return _framed(Kind.BLOCK, part.head, inside, arrow=part.before)
        case Guarded():
            return _guarded(part)
        case _:
            assert_never(part)


def _stacked(blocks: Sequence[Block]) -> Block:
    """One block below the other."""
    whole = Block()
    for index, block in enumerate(blocks):
        if index:
            top = whole.height + _BETWEEN
            if not whole.ends:
                whole.wire((0, whole.height), (0, top))
            whole.height = top
        whole.put(0, whole.height, block)
        whole.height += block.height
        whole.ends = whole.ends or block.ends
    return whole


def _choice(part: Choice) -> Block:
    """Steps behind a condition, and the way round them."""
    condition = box(Node("", Shape.DECISION, None, part.title, (part.condition,)))
    then = _part(part.then)
    whole = Block()
    whole.put(0, 0, condition)
    half, side = condition.height // 2, condition.right
    if then.ends:
        # Nothing comes back: the flow goes straight on, past it.
        x = side + _BESIDE + then.left
        top = condition.height // 2 + _LANE
        whole.put(x, top, then)
        whole.wire((side, half), (x, half), (x, top))
        whole.items += [Word(side + 6, half - 5, "yes"), Word(6, condition.height + 14, "no")]
        whole.height = max(condition.height, top + then.height)
        whole.wire((0, condition.height), (0, whole.height), arrow=False)
        return whole
    top = condition.height + _BETWEEN
    whole.put(0, top, then)
    whole.wire((0, condition.height), (0, top))
    lane = max(side, then.right) + _LANE
    whole.height = top + then.height + _LANE
    whole.wire((0, top + then.height), (0, whole.height), arrow=False)
    whole.wire((side, half), (lane, half), (lane, whole.height), (0, whole.height), arrow=False)
    whole.items += [Word(6, condition.height + 14, "yes"), Word(side + 6, half - 5, "no")]
    return whole


def _split(part: Split) -> Block:
    """Branches side by side."""
    columns = [_column(branch) for branch in part.branches]
    places = _side_by_side(columns)
    middle = (places[0] + places[-1]) // 2
    nearest = min(places, key=lambda x: abs(x - middle))
    if abs(nearest - middle) < _BESIDE:
        middle = nearest  # a straight line instead of one with a kink
    places = [x - middle for x in places]
    lay = _barred if part.head.shape is Shape.BAR else _decided
    return lay(part, columns, places)


def _column(way: Branch | Handler) -> Block:
    """The label of a branch with its steps below."""
    label = box(way.label)
    return _stacked([label, _part(way.body)]) if way.body.parts else label


def _side_by_side(columns: Sequence[Block]) -> list[int]:
    """Where the lines of blocks are that stand side by side, counted from the first."""
    places = [0]
    for before, after in pairwise(columns):
        places.append(places[-1] + before.right + _BESIDE + after.left)
    return places


def _barred(part: Split, columns: Sequence[Block], places: Sequence[int]) -> Block:
    """Branches between two bars: all are taken."""
    whole = Block(ends=all(column.ends for column in columns))
    left, right = columns[0].left - places[0], columns[-1].right + places[-1]
    head = bar(part.head, left, right)
    whole.put(0, 0, head)
    top = head.height + _BETWEEN
    bottom = top + max(column.height for column in columns) + _BETWEEN
    for x, column in zip(places, columns, strict=True):
        whole.put(x, top, column)
        whole.wire((x, head.height), (x, top))
        if not column.ends:
            whole.wire((x, top + column.height), (x, bottom))
    whole.height = bottom
    if part.foot is not None and not whole.ends:
        foot = bar(part.foot, left, right)
        whole.put(0, bottom, foot)
        whole.height += foot.height
    return whole


def _decided(part: Split, columns: Sequence[Block], places: Sequence[int]) -> Block:
    """Branches below a decision: one is taken."""
    whole = Block(ends=all(column.ends for column in columns))
    head = box(part.head)
    whole.put(0, 0, head)
    rail = head.height + _LANE - 8
    top = rail + _LANE
    bottom = top + max(column.height for column in columns)
    whole.height = bottom + _LANE
    for x, column in zip(places, columns, strict=True):
        whole.put(x, top, column)
        whole.wire((0, head.height), (0, rail), (x, rail), (x, top))
        if not column.ends:
            end = top + column.height
            whole.wire((x, end), (x, whole.height), (0, whole.height), arrow=False)
    return whole


def _framed(kind: Kind, head: Node, body: Block, arrow: bool = True) -> Block:
    """A block in a frame with a title.

    Args:
        arrow: Whether something is right at the top of the block for an arrow to point to.
    """
    title = texts(head, max(body.left + body.right, 240))
    y = _INSIDE + title.height + 14
    left, right = body.left + _INSIDE, body.right + _INSIDE
    right = max(right, title.width + 2 * _INSIDE - left)
    whole = Block(left, right, 0, body.ends and kind is not Kind.EACH)
    top = y + 22
    high = top + body.height + _INSIDE
    lines = title.at(_INSIDE, _INSIDE)
    whole.items.append(Frame(-left, 0, left + right, high, kind, head, lines))
    whole.items.append(Border(0, y, None))
    whole.wire((0, y), (0, top), arrow=arrow)
    whole.put(0, top, body)
    stack = _STACK if kind is Kind.EACH else 0
    whole.height = high + stack
    whole.right += stack
    if not body.ends and kind is not Kind.UNDO:  # from there on nothing follows
        whole.wire((0, top + body.height), (0, whole.height), arrow=False)
    return whole


def _while(condition: Block, body: Block) -> Block:
    """A loop that looks at its condition before each iteration."""
    whole = Block()
    whole.put(0, 0, condition)
    half, side = condition.height // 2, condition.right
    top = condition.height + _BETWEEN
    whole.put(0, top, body)
    whole.wire((0, condition.height), (0, top))
    bottom = top + body.height + _LANE - 8
    left, right = max(side, body.left) + _LANE, max(side, body.right) + _LANE
    if not body.ends:
        back = ((0, top + body.height), (0, bottom), (-left, bottom), (-left, half), (-side, half))
        whole.wire(*back)
    whole.height = bottom + _LANE - 8
    whole.wire((side, half), (right, half), (right, whole.height), (0, whole.height), arrow=False)
    whole.items += [Word(6, condition.height + 14, "yes"), Word(side + 6, half - 5, "no")]
    return whole


def _until(condition: Block, body: Block) -> Block:
    """A loop that looks at its condition after each iteration."""
    whole = Block()
    top = _LANE
    whole.put(0, top, body)
    whole.wire((0, 0), (0, top))
    at = top + body.height + _BETWEEN
    whole.put(0, at, condition)
    if not body.ends:
        whole.wire((0, top + body.height), (0, at))
    half, side = at + condition.height // 2, condition.left
    left = max(side, body.left) + _LANE
    whole.wire((-side, half), (-left, half), (-left, 6), (0, 6))
    end = at + condition.height
    whole.height = end + _LANE - 8
    whole.wire((0, end), (0, whole.height), arrow=False)
    whole.items += [Word(6, end + 14, "yes"), Word(-side - 22, half - 5, "no")]
    return whole


def _guarded(part: Guarded) -> Block:
    """A part with what undoes it at its left, its errors at its right, its end below."""
    body = _part(part.body)
    whole = Block(0, 0, body.height, body.ends)
    whole.put(0, 0, body)
    if part.undo is not None:
        undo = _part(part.undo)
        y = min(body.height // 2, undo.height // 2, _ATTACHED)
        x = body.left + _BESIDE + 8
        whole.put(-x - undo.right, 0, undo)
        whole.wire((-body.left, y), (-x, y), flow=Flow.UNDO, dashed=True)
        whole.height = max(whole.height, undo.height)
    if part.handlers:
        _handle(whole, body, part.handlers)
    elif whole.height > body.height and not body.ends:
        whole.wire((0, body.height), (0, whole.height), arrow=False)
    if part.cleanup is not None:
        cleanup = _part(part.cleanup)
        top = whole.height + _BETWEEN
        whole.put(0, top, cleanup)
        whole.wire((0, whole.height), (0, top), dashed=whole.ends)
        whole.height = top + cleanup.height
        whole.ends = whole.ends or cleanup.ends
    return whole


def _handle(whole: Block, body: Block, handlers: Sequence[Handler]) -> None:
    """What happens on errors, at the right of what they come from."""
    columns = [_column(handler) for handler in handlers]
    y = min(body.height // 2, _ATTACHED)
    top = y + _LANE
    first = body.right + _BESIDE + columns[0].left
    bottom = max(whole.height, *(top + column.height for column in columns))
    if not all(column.ends for column in columns):
        bottom += _LANE
    for place, column in zip(_side_by_side(columns), columns, strict=True):
        x = first + place
        whole.put(x, top, column)
        whole.wire((body.right, y), (x, y), (x, top), flow=Flow.ERROR, dashed=True)
        if not column.ends:
            whole.wire((x, top + column.height), (x, bottom), (0, bottom), arrow=False)
    whole.items.append(Border(body.right, y, Icon.ERROR))
    whole.height = bottom
    if not body.ends:
        whole.wire((0, body.height), (0, bottom), arrow=False)
    whole.ends = body.ends and all(column.ends for column in columns)
