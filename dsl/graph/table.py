"""The steps of a picture as a table: what people search for, and what a picture has no room for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from dsl.graph.parts import Choice, Group, Guarded, Icon, Loop, Node, Part, Series, Shape, Split

__all__ = ["Row", "rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Args:
        depth: How many others it is in.
        node: The step.
        notes: When it is run, and what is said of it.
    """

    depth: int
    node: Node
    notes: tuple[str, ...]


def rows(part: Part, depth: int = 0, notes: tuple[str, ...] = ()) -> Iterator[Row]:
    """The steps of a part in their order, those inside others below them.

    Args:
        part: The part.
        depth: How many others it is in.
        notes: What is said of its first step by what is round it.
    """
    match part:
        case Node():
            yield Row(depth, part, _notes(part, notes))
        case Series():
            for one in part.parts:
                yield from rows(one, depth, notes)
                notes = ()
        case Choice():
            if isinstance(part.then, Series):
                head = Node("", Shape.DECISION, Icon.CHOICE, part.title or "If", (part.condition,))
                yield Row(depth, head, notes)
                yield from rows(part.then, depth + 1)
            else:
                yield from rows(part.then, depth, (*notes, f"only if {part.condition}"))
        case Split():
            yield Row(depth, part.head, _notes(part.head, notes))
            for branch in part.branches:
                yield Row(depth + 1, branch.label, ())
                yield from rows(branch.body, depth + 2)
            if part.foot is not None:
                yield Row(depth + 1, part.foot, ())
        case Group():
            yield Row(depth, part.head, _notes(part.head, notes))
            yield from rows(part.body, depth + 1)
        case Loop():
            word = "as long as" if part.before else "until"
            yield Row(depth, part.head, _notes(part.head, (*notes, f"{word} {part.condition}")))
            yield from rows(part.body, depth + 1)
        case Guarded():
            yield from rows(part.body, depth, notes)
            for handler in part.handlers:
                yield Row(depth + 1, handler.label, ())
                yield from rows(handler.body, depth + 2)
            if part.undo is not None:
                yield from rows(part.undo, depth + 1)
            if part.cleanup is not None:
                yield from rows(part.cleanup, depth + 1)
        case _:
            assert_never(part)


def _notes(node: Node, notes: tuple[str, ...]) -> tuple[str, ...]:
    return (*notes, *(mark.text for mark in node.marks), *node.facts)
