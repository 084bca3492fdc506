"""The whole picture: what stands over the flow, the flow, and what explains its signs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dsl.graph.blocks import Box, Frame, Item, Line, placed
from dsl.graph.layout import layout
from dsl.graph.parts import Frame as Kind
from dsl.graph.parts import Picture, Shape
from dsl.graph.states import States
from dsl.graph.text import NAME, PROSE, SMALL, Style, wrap

__all__ = ["Entry", "Scene", "scene"]

_MARGIN = 28
_LEAST = 520
"""How wide a picture is at least: its description must have room."""
_WIDEST_TEXT = 760

_STATUSES = {
    "completed": "done",
    "caught": "failed, and the error was dealt with",
    "running": "running",
    "waiting": "waiting",
    "failed": "failed",
    "timed_out": "out of time",
    "cancelled": "cancelled",
    "suspended": "suspended: an operator must act",
    "compensated": "undone",
    "compensation_failed": "could not be undone",
    "skipped": "skipped",
    "pending": "not begun",
}
"""The statuses in words, in the order of the legend."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend.

    Args:
        x: Where it begins.
        y: Its middle.
        sample: The shape or the status that it explains.
        text: What that means.
    """

    x: int
    y: int
    sample: Shape | str
    text: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture with all its coordinates.

    Args:
        width: Its width in pixels.
        height: Its height in pixels.
        head: The name and the description.
        items: The shapes.
        legend: What explains them.
    """

    width: int
    height: int
    head: tuple[Line, ...]
    items: tuple[Item, ...]
    legend: tuple[Entry, ...]


def scene(picture: Picture, states: States | None = None) -> Scene:
    """Lays out a picture.

    Args:
        picture: What it shows.
        states: Where a run stands, if it shows that.
    """
    flow = layout(picture)
    across = max(flow.left + flow.right, _LEAST)
    head, top = _head(picture, states, min(across, _WIDEST_TEXT))
    spare = across - flow.left - flow.right
    items = tuple(placed(flow, _MARGIN + spare // 2 + flow.left, top))
    legend, bottom = _legend(items, states, top + flow.height + _MARGIN)
    return Scene(across + 2 * _MARGIN, bottom + _MARGIN, head, items, legend)


def _head(picture: Picture, states: States | None, limit: int) -> tuple[tuple[Line, ...], int]:
    """What stands over the flow, and where the flow begins."""
    lines: list[Line] = []
    y = _MARGIN

    def add(text: str, style: Style, most: int, x: int = 0) -> None:
        nonlocal y
        for line in wrap(text, style, limit - x, most):
            lines.append(Line(_MARGIN + x, y + style.size, line, style))
            y += style.line

    add(picture.name, NAME, 3)
    add(picture.description, PROSE, 6)
    for mark in picture.marks:
        y += 4
        lines.append(Line(_MARGIN, y + 1, "", None, mark.icon))
        add(mark.text, SMALL, 1, 18)
    if states is not None:
        y += 4
        add(f"Run {states.run}: {states.status}", PROSE, 2)
    return tuple(lines), y + 22


def _legend(
    items: Sequence[Item], states: States | None, top: int
) -> tuple[tuple[Entry, ...], int]:
    """The lines of the legend, and where it ends."""
    found = list(_explained(items) if states is None else _stated(states))
    entries = tuple(
        Entry(_MARGIN, top + 10 + 20 * index, sample, text)
        for index, (sample, text) in enumerate(found)
    )
    return entries, top + 20 * len(entries)


def _explained(items: Sequence[Item]) -> Iterator[tuple[Shape | str, str]]:
    """The shapes that need a word, and it."""
    shapes = {item.node.shape for item in items if isinstance(item, Box)}
    undoes = any(isinstance(item, Frame) and item.kind is Kind.UNDO for item in items)
    if Shape.UNDO in shapes or undoes:
        yield Shape.UNDO, "undoes the step beside it if the run fails later; the last step first"
    if Shape.PIVOT in shapes:
        yield Shape.PIVOT, "once it is passed, nothing before it is undone any more"
    if Shape.ERROR in shapes:
        yield Shape.ERROR, "what happens if the step beside it fails, or takes too long"
    if Shape.WAIT in shapes:
        yield Shape.WAIT, "waits for a message, a time or a condition"


def _stated(states: States) -> Iterator[tuple[Shape | str, str]]:
    """The statuses that there are, in words."""
    there = {state.status for state in states.steps.values()}
    for status, words in _STATUSES.items():
        if status in there:
            yield status, words
