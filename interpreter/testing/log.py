"""The saga log: what was done and may have to be undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsl.model.common import StepBase
    from interpreter.testing.env import Env

__all__ = ["Entry", "Group"]


@dataclass(eq=False, slots=True)
class Entry:
    """An act, or a block that completed, with what undoes it.

    Args:
        path: The path of the step.
        body: Its `compensate`.
        env: What that sees, frozen when the step was registered.
        input: The step's input.
        status: How the step ended.
        output: Its output.
        error: Its error.
        settled: Whether it has ended: false while it is in flight.
        taken: Whether somebody undoes it, or is about to.
        gone: The rule by which it is not undone any more: 12 it is undone, 5 a block stands for
            it, 10 a pivot came after it, 9 it was given up.
    """

    path: str
    body: list[StepBase]
    env: Env
    input: Any = None
    status: str = ""
    output: Any = None
    error: dict[str, Any] | None = None
    settled: bool = False
    taken: bool = False
    gone: str = ""


@dataclass(eq=False, slots=True)
class Group:
    """A scope, and what was registered in it, in order.

    Args:
        owners: The ids of the steps that it is in, its own last.
        parallel: Whether its members are undone at the same time.
        limit: At most how many.
    """

    owners: tuple[str | None, ...] = ()
    parallel: bool = False
    limit: int | None = None
    members: list[Entry | Group] = field(default_factory=list["Entry | Group"])

    def open(self, owner: str | None = None, parallel: bool = False) -> Group:
        """A scope inside it: what is in it is in this one too."""  # 5
        group = Group((*self.owners, owner), parallel)
        self.members.append(group)
        return group

    def entries(self) -> Iterator[Entry]:
        """All entries in it."""
        for member in self.members:
            if isinstance(member, Entry):
                yield member
            else:
                yield from member.entries()

    def contains(self, group: Group) -> bool:
        """Whether a scope is this one, or inside it."""
        inner = (member for member in self.members if isinstance(member, Group))
        return group is self or any(one.contains(group) for one in inner)

    def left(self) -> list[Entry]:
        """What has to be undone, if anything has: nothing in flight."""  # 4
        return [entry for entry in self.entries() if entry.settled and not entry.gone]

    def drop(self, rule: str) -> None:
        """Nothing of it is undone any more."""
        for entry in self.left():
            if not entry.taken:
                entry.gone = rule
