"""What a picture of a definition shows: a tree that knows nothing of Mermaid, SVG or coordinates.

A definition's flow is series and branches inside each other, never an arbitrary graph. So is its
picture: a tree of parts, each entered at its top and left at its bottom.

    Series      one part after the other
    Node        a step without others inside
    Choice      steps that are run only if a condition is true
    Split       branches, of which one is taken or all are
    Group       steps with a frame round them
    Loop        steps that are run again and again
    Guarded     a part with what happens on its errors, at its end, and to undo it
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

__all__ = [
    "Branch",
    "Choice",
    "Frame",
    "Group",
    "Guarded",
    "Handler",
    "Icon",
    "Loop",
    "Mark",
    "Node",
    "Part",
    "Picture",
    "Series",
    "Shape",
    "Split",
]


class Shape(Enum):
    """What a node looks like, which says what it is."""

    TASK = "task"
    """Work: an activity."""
    WAIT = "wait"
    DATA = "data"
    """A value is made or kept: nothing happens outside."""
    DECISION = "decision"
    BAR = "bar"
    """Where branches begin and end that run at the same time."""
    LABEL = "label"
    """What a branch is called."""
    CASE = "case"
    """The condition of a branch."""
    ERROR = "error"
    """The errors that steps are for."""
    UNDO = "undo"
    """It undoes something."""
    RETURN = "return"
    RAISE = "raise"
    JUMP = "jump"
    """It goes on elsewhere in the loop."""
    PIVOT = "pivot"
    """A line across the flow: the point of no return."""
    START = "start"
    END = "end"


class Icon(Enum):
    """A small sign beside a text."""

    WORK = "work"
    FLOW = "flow"
    SIGNAL = "signal"
    CLOCK = "clock"
    CONDITION = "condition"
    DATA = "data"
    CHOICE = "choice"
    PARALLEL = "parallel"
    EACH = "each"
    REPEAT = "repeat"
    ERROR = "error"
    UNDO = "undo"
    DONE = "done"
    LEAVE = "leave"
    NEXT = "next"
    FLAG = "flag"
    RULE = "rule"


class Frame(Enum):
    """What the frame of a group says."""

    BLOCK = "block"
    EACH = "each"
    """Its steps are run for each of several items."""
    UNDO = "undo"
    FINALLY = "finally"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something small about a step: its time limit, its tries."""

    icon: Icon
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A step without others inside, or what stands for a part of one.

    Args:
        key: The step's place as in the paths of a run, iterations as `[]`; empty where it is no
            step.
        shape: What it looks like.
        icon: Its sign, if it has one.
        title: What it is, in words.
        code: The same in the author's own terms: an activity's name, an expression. A line each.
        marks: What else the picture shows.
        facts: What only tables and tooltips show.
    """

    key: str
    shape: Shape
    icon: Icon | None
    title: str
    code: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def ends(self) -> bool:
        """Whether nothing goes on below it."""
        return self.shape in (Shape.RETURN, Shape.RAISE, Shape.JUMP)


@dataclass(frozen=True, slots=True)
class Series:
    """One part after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Steps that are run only if a condition is true.

    Args:
        key: The key of the step that has the condition.
        title: What the decision is called; empty where it has no name.
        condition: The condition.
        then: The steps.
    """

    key: str
    title: str
    condition: str
    then: Part


@dataclass(frozen=True, slots=True)
class Branch:
    """A way through a split.

    Args:
        label: What stands at its beginning.
        body: Its steps; none where a case is only not taken.
    """

    label: Node
    body: Series


@dataclass(frozen=True, slots=True)
class Split:
    """Branches.

    Args:
        head: Where they begin.
        branches: The branches.
        foot: Where they end, if anything is said there.
    """

    head: Node
    branches: tuple[Branch, ...]
    foot: Node | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Steps with a frame round them, and its title."""

    frame: Frame
    head: Node
    body: Part


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps that are run again and again.

    Args:
        head: Its title.
        condition: Whether there is another iteration.
        before: Whether the condition is looked at before each iteration, and true goes on; else
            it is looked at after each, and true ends it.
        body: The steps.
    """

    head: Node
    condition: str
    before: bool
    body: Series


@dataclass(frozen=True, slots=True)
class Handler:
    """What happens on errors."""

    label: Node
    body: Series


@dataclass(frozen=True, slots=True)
class Guarded:
    """A part with what is round it.

    Args:
        body: The part.
        handlers: What happens on its errors: the first that fits.
        undo: What undoes it: a node of shape UNDO, or a group of several.
        cleanup: What happens at its end, however it ended.
    """

    body: Part
    handlers: tuple[Handler, ...] = ()
    undo: Node | Group | None = None
    cleanup: Group | None = None


Part: TypeAlias = Series | Node | Choice | Split | Group | Loop | Guarded


@dataclass(frozen=True, slots=True)
class Picture:
    """A definition.

    Args:
        name: Its name.
        description: What it is for.
        marks: What is said of the whole.
        body: From its beginning to its end.
        result: What stands at its end.
    """

    name: str
    description: str
    marks: tuple[Mark, ...]
    body: Part
    result: tuple[Mark, ...]
