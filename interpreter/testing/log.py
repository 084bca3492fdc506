"""The saga log: what was done and may have to be undone."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interpreter.testing.model import Env

__all__ = ["Entry", "Group"]


@dataclass(eq=False, slots=True)
class Entry:
    """An act, or a block that completed, with what undoes it.

    `settled` is false while it is in flight, `taken` says that somebody undoes it. `gone` is the rule by which it is not to be undone
    any more: 12 is undone, 5 replaced, 10 before a pivot, 9 given up, 2 never ran.
    """

    path: str
    body: list[Any]
    env: Env
    input: Any
    status: str = ""
    output: Any = None
    error: dict[str, Any] | None = None
    settled: bool = False
    taken: bool = False
    gone: str = ""


@dataclass(eq=False, slots=True)
class Group:
    """A scope: what was registered in it, in order.

    Args:
        owners: The ids of the steps that it is in, itself included.
        parallel: Whether its members are undone at the same time.
        limit: At most how many.
    """

    owners: tuple[str | None, ...] = ()
    parallel: bool = False
    limit: int | None = None
    members: list[Entry | Group] = field(default_factory=list["Entry | Group"])

    def open(self, owner: str | None = None, parallel: bool = False) -> Group:
        """A scope inside it."""
        group = Group((*self.owners, owner), parallel)
        self.members.append(group)
        return group

    def entries(self) -> Generator[Entry]:
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

    def drop(self, rule: str) -> None:
        """Nothing that settled in it is undone any more."""
        for entry in self.entries():
            if entry.settled and not entry.gone:
                entry.gone = rule
