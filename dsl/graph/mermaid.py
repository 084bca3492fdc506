"""A picture as the text of a Mermaid flowchart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from dsl.graph.parts import (
    Branch,
    Choice,
    Frame,
    Group,
    Guarded,
    Loop,
    Node,
    Part,
    Picture,
    Series,
    Shape,
    Split,
)
from dsl.graph.states import States
from dsl.graph.style import COLOURS, GLYPHS, INK, status_colour

__all__ = ["mermaid"]

_LONGEST = 120
"""How much is shown of a text, in characters."""
_SPECIAL = re.compile(
    r"^[\x21-\x2f\x3a-\x40]"  # what may begin a list or a heading
    r"|(?<=[0-9])\."  # so may `1.`
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word it means nothing
    r"|[\x00-\x1f\x22-\x26\x2a\x3a-\x3c\x3e\x40\x5b-\x5e\x60\x7b-\x7f]"
)
"""The characters that are written as numbers; the fewer, the better people can read the text."""
_PAIRS = re.compile(r"(?<=\$)(?=\$)|(?<=\\)(?=n)|(?<=:)(?=fa-)")
"""Where `$$`, `\\n` and `fa:fa-car` are kept apart, which mean something even as numbers."""


def mermaid(picture: Picture, states: States | None = None) -> str:
    """A picture as the text of a Mermaid flowchart.

    Args:
        picture: What it shows.
        states: Where a run stands, to colour it by.
    """
    return "\n".join(_Writer(states).document(picture)) + "\n"


@dataclass(frozen=True, slots=True)
class _Exit:
    """A node from which the flow goes on to what comes next."""

    node: str
    label: str = ""


class _Writer:
    """Writes the nodes of parts as it meets them; their edges come after all nodes.

    A node belongs to the subgraph in which it is written, and an edge needs its nodes.
    """

    def __init__(self, states: States | None) -> None:
        self.states = states
        self.lines: list[str] = []
        self.edges: list[str] = []
        self.classes: dict[str, None] = {}
        self.count = 0
        self.depth = 1
        self.last = ""
        """The node or subgraph of the part that was written last, for what is attached to it."""

    def document(self, picture: Picture) -> Iterator[str]:
        """The lines of the text."""
        end = Node("", Shape.END, None, "", (), picture.result)
        start = self.node(Node("", Shape.START, None, ""))
        exits = self.part(picture.body, [_Exit(start)])
        if exits:
            self.connect(exits, self.node(end))
        yield "---"
        yield f'title: "{picture.name}"'
        yield "---"
        yield "flowchart TD"
        yield from self.lines
        yield from self.edges
        for name in self.classes:
            fill, stroke = COLOURS[name][:2]
            dashes = ",stroke-dasharray:5 4" if name in _DASHED else ""
            yield f"  classDef look_{name} fill:{fill},stroke:{stroke},color:{INK[0]}{dashes}"

    # Parts: each is entered from the exits of what is before it, and gives its own.

    def part(self, part: Part, before: list[_Exit]) -> list[_Exit]:
        match part:
            case Node():
                self.connect(before, self.node(part))
                return [] if part.ends else [_Exit(self.last)]
            case Series():
                for one in part.parts:
                    before = self.part(one, before)
                return before
            case Choice():
                condition = Node("", Shape.DECISION, None, part.title, (part.condition,))
                self.connect(before, decision := self.node(condition))
                return [*self.part(part.then, [_Exit(decision, "yes")]), _Exit(decision, "no")]
            case Split():
                return self.split(part, before)
            case Group():
                outer = self.open(part.head, part.frame)
                exits = self.part(part.body, before)
                self.close(outer)
                return exits
            case Loop():
                return self.loop(part, before)
            case Guarded():
                return self.guarded(part, before)
            case _:
                assert_never(part)

    def split(self, part: Split, before: list[_Exit]) -> list[_Exit]:
        self.connect(before, head := self.node(part.head))
        exits: list[_Exit] = []
        for branch in part.branches:
            exits += self.part(branch.body, [_Exit(head, _label(branch))])
        if part.foot is None or not exits:
            return exits
        self.connect(exits, foot := self.node(part.foot))
        return [_Exit(foot)]

    def loop(self, part: Loop, before: list[_Exit]) -> list[_Exit]:
        condition = Node("", Shape.DECISION, None, "", (part.condition,))
        outer = self.open(part.head, Frame.BLOCK)
        if part.before:
            self.connect(before, decision := self.node(condition))
            self.connect(self.part(part.body, [_Exit(decision, "yes")]), decision)
            exits = [_Exit(decision, "no")]
        else:
            self.connect(before, again := self.node(Node("", Shape.START, None, "")))
            body = self.part(part.body, [_Exit(again)])
            self.connect(body, decision := self.node(condition))
            self.connect([_Exit(decision, "no")], again)
            exits = [_Exit(decision, "yes")]
        self.close(outer)
        return exits

    def guarded(self, part: Guarded, before: list[_Exit]) -> list[_Exit]:
        exits = self.part(part.body, before)
        body = self.last
        if part.undo is not None:
            self.part(part.undo, [])
            self.edges.append(f"  {body} -. undo .-> {self.last}")
        for handler in part.handlers:
            label = self.node(handler.label)
            self.edges.append(f"  {body} -.-> {label}")
            exits = exits + self.part(handler.body, [_Exit(label)])
        if part.cleanup is not None:
            ended = not exits
            exits = self.part(part.cleanup, exits or [_Exit(body)])
            exits = [] if ended else exits
        self.last = body
        return exits

    # Text.

    def node(self, node: Node) -> str:
        """Writes a node; gives its name."""
        name = self.last = self.name("n")
        opening, closing = _SHAPES[node.shape]
        style = self.style(node, node.shape.value)
        self.write(f"{name}{opening}{_text(node, self.said(node))}{closing}:::look_{style}")
        return name

    def open(self, head: Node, frame: Frame) -> str:
        """Begins a subgraph; gives its name."""
        name = self.name("g")
        self.write(f"subgraph {name}[{_text(head, self.said(head))}]")
        look = "undo" if frame is Frame.UNDO else "frame"
        self.edges.append(f"  class {name} look_{self.style(head, look)}")
        self.depth += 1
        return name

    def close(self, name: str) -> None:
        """Ends a subgraph."""
        self.depth -= 1
        self.write("end")
        self.last = name

    def name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def write(self, line: str) -> None:
        self.lines.append("  " * self.depth + line)

    def connect(self, exits: Sequence[_Exit], target: str) -> None:
        """Draws edges."""
        for one in exits:
            label = f"|{_quoted(one.label)}|" if one.label else ""
            self.edges.append(f"  {one.node} -->{label} {target}")

    def style(self, node: Node, shape: str) -> str:
        """The class of a node: its shape, or its status in a run."""
        name = shape
        if self.states is not None:
            state = self.states.steps.get(node.key)
            name = status_colour(state.status if state else None)
        self.classes[name] = None
        return name

    def said(self, node: Node) -> str:
        """What a run says of a node."""
        state = self.states.steps.get(node.key) if self.states else None
        return f"{state.status.replace('_', ' ')} {state.label}".strip() if state else ""


_DASHED = ("undo", "is-skipped")
_SHAPES = {
    Shape.TASK: ("(", ")"),
    Shape.WAIT: ("([", "])"),
    Shape.DATA: ("[", "]"),
    Shape.DECISION: ("{{", "}}"),
    Shape.BAR: ("[[", "]]"),
    Shape.LABEL: ("([", "])"),
    Shape.CASE: ("{{", "}}"),
    Shape.ERROR: ("([", "])"),
    Shape.UNDO: ("(", ")"),
    Shape.RETURN: ("([", "])"),
    Shape.RAISE: ("([", "])"),
    Shape.JUMP: ("([", "])"),
    Shape.PIVOT: ("[[", "]]"),
    Shape.START: ("((", "))"),
    Shape.END: ("(((", ")))"),
}
"""What opens and closes a node of a shape."""


def _label(branch: Branch) -> str:
    return branch.label.title or " ".join(branch.label.code)


def _text(node: Node, said: str) -> str:
    """The texts of a node, a line each."""
    glyph = GLYPHS.get(node.icon, "") if node.icon is not None else ""
    marks = (f"{GLYPHS[mark.icon]} {mark.text}".strip() for mark in node.marks)
    lines = [f"{glyph} {node.title}".strip(), *node.code, *marks, said]
    return '"' + ("<br/>".join(_escaped(line) for line in lines if line) or " ") + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """A text of which Mermaid understands nothing: no Markdown, no HTML, no icon, no keyword."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    apart = _PAIRS.sub("\u200b", text)
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", apart)
