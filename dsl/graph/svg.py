"""A picture as SVG: one XML element that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import assert_never

from dsl.graph.blocks import Border, Box, Flow, Frame, Item, Line, Wire, Word
from dsl.graph.parts import Frame as Kind
from dsl.graph.parts import Icon, Node, Picture, Shape
from dsl.graph.scene import Entry, Scene, scene
from dsl.graph.states import State, States
from dsl.graph.style import ICONS, css, status_colour
from dsl.graph.text import SMALL, width

__all__ = ["svg"]

_BADGES = {
    "completed": Icon.DONE,
    "caught": Icon.DONE,
    "running": Icon.NEXT,
    "waiting": Icon.CLOCK,
    "failed": Icon.ERROR,
    "timed_out": Icon.CLOCK,
    "compensated": Icon.UNDO,
    "compensation_failed": Icon.ERROR,
    "cancelled": Icon.LEAVE,
    "suspended": Icon.ERROR,
}
"""The signs of statuses; the others have none."""
_LAYERS = (Frame, Wire, Box, Border, Word)
"""What is drawn over what: a wire never lies under a frame, nor over a box."""


def svg(picture: Picture, states: States | None = None) -> str:
    """A picture as the text of an SVG file.

    Args:
        picture: What it shows.
        states: Where a run stands, to colour it by.
    """
    whole = scene(picture, states)
    return "\n".join(_document(picture, whole, states)) + "\n"


def _document(picture: Picture, whole: Scene, states: States | None) -> Iterator[str]:
    size = f'width="{whole.width}" height="{whole.height}"'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dsl-graph" role="img" {size} '
        f'viewBox="0 0 {whole.width} {whole.height}">'
    )
    yield f"<title>{escape(picture.name)}</title>"
    yield f"<desc>{escape(_description(picture, whole))}</desc>"
    yield f"<style>\n{css(_colours(whole, states))}\n</style>"
    yield f'<rect class="paper" {size} rx="8"/>'
    yield from (_line(line) for line in whole.head)
    for item in sorted(whole.items, key=lambda item: _LAYERS.index(type(item))):
        yield _item(item, states)
    for entry in whole.legend:
        yield _entry(entry)
    yield "</svg>"


def _colours(whole: Scene, states: States | None) -> set[str]:
    """The names of the colours that a picture needs."""
    used = {Flow.ERROR.value, "is-none"}
    for item in whole.items:
        if isinstance(item, Box):
            used.add(item.node.shape.value)
        elif isinstance(item, Wire):
            used.add(item.flow.value)
    if states is not None:
        used |= {status_colour(state.status) for state in states.steps.values()}
    return used


def _description(picture: Picture, whole: Scene) -> str:
    """What those hear who do not see the picture."""
    titles = [item.node.title for item in whole.items if isinstance(item, Box) and item.node.key]
    return f"{picture.description} {len(titles)} steps: {'; '.join(titles)}".strip()


def _item(item: Item, states: States | None) -> str:
    match item:
        case Frame():
            return _frame(item, states)
        case Wire():
            return _wire(item)
        case Box():
            return _box(item, states)
        case Border():
            return _border(item)
        case Word():
            return f'<text class="small" x="{item.x}" y="{item.y}">{escape(item.text)}</text>'
        case _:
            assert_never(item)


def _state(node: Node, states: States | None) -> tuple[str, State | None]:
    """The class that a status adds, and the state of the node."""
    if states is None:
        return "", None
    state = states.steps.get(node.key)
    return f" {status_colour(state.status if state else None)}", state


def _frame(frame: Frame, states: States | None) -> str:
    place = f'width="{frame.width}" height="{frame.height}" rx="10"'
    odd = " odd" if frame.depth % 2 else ""
    colour = f'class="frame{odd} {frame.kind.value}"'
    behind = (8, 4) if frame.kind is Kind.EACH else ()
    stack = "".join(
        f'<rect {colour} x="{frame.x + far}" y="{frame.y + far}" {place}/>' for far in behind
    )
    _, state = _state(frame.node, states)
    own = f'<rect {colour} x="{frame.x}" y="{frame.y}" {place}/>'
    texts = _lines(frame.lines, frame.x, frame.y)
    badge = _badge(frame.x + frame.width, frame.y, state)
    return f"<g>{_tooltip(frame.node, state)}{stack}{own}{texts}{badge}</g>"


def _box(box: Box, states: States | None) -> str:
    kind, state = _state(box.node, states)
    name = box.node.shape.value
    shape = _shape(box.node.shape, box.x, box.y, box.width, box.height, _text_width(box))
    texts = _lines(box.lines, box.x, box.y)
    badge = _badge(box.x + box.width, box.y, state)
    coloured = kind if box.node.key or box.node.shape is not Shape.LABEL else ""
    return f'<g class="{name}{coloured}">{_tooltip(box.node, state)}{shape}{texts}{badge}</g>'


def _text_width(box: Box) -> int:
    return max((width(line.text, line.style) for line in box.lines if line.style), default=0)


def _shape(shape: Shape, x: int, y: int, w: int, h: int, text: int) -> str:
    """The outline of a node."""
    match shape:
        case Shape.TASK | Shape.UNDO:
            return _rect(x, y, w, h, 6)
        case Shape.DATA:
            return _rect(x, y, w, h, 1)
        case Shape.BAR:
            return _rect(x, y, w, h, 4)
        case Shape.WAIT | Shape.RETURN | Shape.RAISE | Shape.JUMP:
            return _rect(x, y, w, h, min(h // 2, 22))
        case Shape.LABEL | Shape.ERROR:
            return _rect(x, y, w, h, min(h // 2, 14))
        case Shape.DECISION | Shape.CASE:
            point, half = min(16, h // 2), h // 2
            corners = (
                f"M{x} {y + half}L{x + point} {y}H{x + w - point}L{x + w} {y + half}"
                f"L{x + w - point} {y + h}H{x + point}Z"
            )
            return f'<path class="shape" d="{corners}"/>'
        case Shape.PIVOT:
            side, middle = (w - text) // 2 - 8, y + h // 2
            lines = f"M{x} {middle}h{side}M{x + w - side} {middle}h{side}"
            return f'<path class="shape dash" d="{lines}"/>'
        case Shape.START:
            return f'<circle class="shape" cx="{x + w // 2}" cy="{y + h // 2}" r="{w // 2 - 1}"/>'
        case Shape.END:
            return f'<circle class="shape" cx="{x + w // 2}" cy="{y + 13}" r="11"/>'
        case _:
            assert_never(shape)


def _rect(x: int, y: int, w: int, h: int, round_: int) -> str:
    return f'<rect class="shape" x="{x}" y="{y}" width="{w}" height="{h}" rx="{round_}"/>'


def _lines(lines: Sequence[Line], x: int, y: int) -> str:
    return "".join(_line(line, x, y) for line in lines)


def _line(line: Line, x: int = 0, y: int = 0) -> str:
    x, y = x + line.x, y + line.y
    if line.style is None:
        assert line.icon is not None
        return _icon(line.icon, x, y, 16 if line.y < 0 else 13)
    middle = " mid" if line.middle else ""
    return f'<text class="{line.style.name}{middle}" x="{x}" y="{y}">{escape(line.text)}</text>'


def _icon(icon: Icon, x: int, y: int, size: int) -> str:
    scale = "" if size == 16 else f" scale({size / 16:g})"
    return f'<path class="icon" transform="translate({x} {y}){scale}" d="{ICONS[icon]}"/>'


def _tooltip(node: Node, state: State | None) -> str:
    """What is shown when a mouse rests on it: all that was cut short, too."""
    lines = [node.title, *node.code, *(mark.text for mark in node.marks), *node.facts]
    if node.key:
        lines.append(f"step {node.key}")
    if state is not None:
        lines.append(f"{state.status} {state.label}".strip())
    shown = [line for line in lines if line]
    return f"<title>{escape(chr(10).join(shown))}</title>" if shown else ""


def _badge(x: int, y: int, state: State | None) -> str:
    """The status of a step, at its corner."""
    icon = _BADGES.get(state.status) if state else None
    if state is None or (icon is None and not state.label):
        return ""
    wide = (width(state.label, SMALL) + 6 if state.label else 0) + (14 if icon else 0)
    left = x - wide
    inner = _rect(left - 2, y - 9, wide + 6, 18, 9)
    if state.label:
        inner += f'<text class="small" x="{left + 6}" y="{y + 4}">{escape(state.label)}</text>'
    if icon:
        inner += _icon(icon, x - 13, y - 6, 11)
    return f'<g class="badge {status_colour(state.status)}">{inner}</g>'


def _wire(wire: Wire) -> str:
    points = [(x + wire.x, y + wire.y) for x, y in wire.points]
    dash = " dash" if wire.dashed else ""
    path = f'<path class="wire{dash}" d="{_rounded(points, 7 if wire.arrow else 0)}"/>'
    if wire.arrow:
        path += _tip(points[-2], points[-1])
    return path if wire.flow is Flow.NORMAL else f'<g class="{wire.flow.value}">{path}</g>'


def _rounded(points: Sequence[tuple[int, int]], short: int) -> str:
    """A line through points with round corners, that ends a little before the last."""
    path = f"M{points[0][0]} {points[0][1]}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(8, _far(before, corner) // 2, _far(corner, after) // 2)
        (ax, ay), (bx, by) = _towards(corner, before, radius), _towards(corner, after, radius)
        path += f"L{ax} {ay}Q{corner[0]} {corner[1]} {bx} {by}"
    x, y = _towards(points[-1], points[-2], short)
    return f"{path}L{x} {y}"


def _far(a: tuple[int, int], b: tuple[int, int]) -> int:
    """How far points are from each other that lie on a straight line across or down."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(start: tuple[int, int], end: tuple[int, int], far: int) -> tuple[int, int]:
    """The point that far from `start` on the way to `end`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return start[0] + far * _sign(dx), start[1] + far * _sign(dy)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _tip(before: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (bx, by) = end, _towards(end, before, 8)
    if bx == x:
        return f'<path class="tip" d="M{x} {y}L{x - 4} {by}H{x + 4}Z"/>'
    return f'<path class="tip" d="M{x} {y}L{bx} {y - 4}V{y + 4}Z"/>'


def _border(border: Border) -> str:
    x, y = border.x, border.y
    if border.icon is None:
        return f'<circle class="tip" cx="{x}" cy="{y}" r="4"/>'
    circle = f'<circle class="shape" cx="{x}" cy="{y}" r="9"/>'
    return f'<g class="error">{circle}{_icon(border.icon, x - 6, y - 6, 12)}</g>'


def _entry(entry: Entry) -> str:
    x, y = entry.x, entry.y - 6
    text = f'<text class="small" x="{x + 34}" y="{entry.y + 4}">{escape(entry.text)}</text>'
    if isinstance(entry.sample, Shape):
        sample = _shape(entry.sample, x, y, 24, 12, 0)
        return f'<g class="{entry.sample.value}">{sample}{text}</g>'
    return f'<g class="{status_colour(entry.sample)}">{_rect(x, y, 24, 12, 4)}{text}</g>'
