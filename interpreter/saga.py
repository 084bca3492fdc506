"""The saga log: what was done and may have to be undone, and the undoing.

A tree of groups. A sequence is undone from its end; the members of a parallel group are
undone at the same time, the last started first. What was undone is taken out, so that an
unwinding that is interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interpreter.errors import StepError
from interpreter.lanes import in_lanes
from interpreter.scope import Act, Stopped, Token

if TYPE_CHECKING:
    from interpreter.execution import Execution
    from interpreter.nodes import Node

__all__ = ["Entry", "Group", "Undo", "unwind"]


@dataclass(frozen=True, slots=True)
class Undo:
    """How a step is undone, compiled.

    Args:
        body: Runs the compensation in an act.
        names: The names that it reads: they are frozen when the step is registered.
        variables: The variables that it reads, frozen too.
        dotted: Whether paths inside go on with a dot: it is a list of steps.
    """

    body: Callable[[Act], Awaitable[Any]]
    names: tuple[str, ...]
    variables: tuple[str, ...]
    dotted: bool


class Entry:
    """An act that is undone if what is round it fails.

    `status` is how far it got: `registered`, or how it ended: `completed failed timed_out
    cancelled`. One that provably never ran is removed instead.
    """

    __slots__ = (
        "act",
        "error",
        "group",
        "input",
        "names",
        "node",
        "output",
        "path",
        "status",
        "undo",
        "variables",
    )

    def __init__(self, node: Node, undo: Undo, act: Act, path: str, input: Any) -> None:
        self.node = node
        self.undo = undo
        self.act = act
        self.path = path
        self.input = input
        self.group = act.group
        self.status = "registered"
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.names = {name: act.lookup(name) for name in undo.names if _has(act, name)}
        self.variables = {name: act.variable(name) for name in undo.variables}


def _has(act: Act, name: str) -> bool:
    try:
        act.lookup(name)
    except KeyError:
        return False
    return True


@dataclass(slots=True)
class Group:
    """A part of the saga log.

    Args:
        parallel: Whether its members are undone at the same time.
        limit: At most how many at the same time.
    """

    parallel: bool = False
    limit: int = 0
    members: list[Entry | Group] = field(default_factory=list["Entry | Group"])

    def open(self, parallel: bool = False, limit: int = 0) -> Group:
        """A group inside this one, in the order of opening."""
        group = Group(parallel, limit)
        self.members.append(group)
        return group

    def remove(self, member: Entry | Group) -> None:
        """Takes a member out. It is mostly the last."""
        for index in range(len(self.members) - 1, -1, -1):
            if self.members[index] is member:
                del self.members[index]
                return

    def empty(self) -> bool:
        """Whether there is nothing to undo."""
        return all(isinstance(m, Group) and m.empty() for m in self.members)


async def unwind(execution: Execution, group: Group, error: dict[str, Any] | None) -> None:
    """Undoes all that is in a group, shielded from cancellation.

    Args:
        execution: The run.
        group: The group. It is empty afterwards.
        error: What happened, as `error` for the compensations; None for a cancellation.
    """
    if group.empty():
        group.members.clear()
        return
    with execution.compensating():
        await _undo_group(execution, group, error)


async def _undo_group(execution: Execution, group: Group, error: dict[str, Any] | None) -> None:
    if group.parallel:
        members = list(reversed(group.members))

        async def undo(index: int) -> None:
            await _undo(execution, members[index], error)

        await in_lanes(execution, len(members), group.limit or len(members), undo)
        group.members.clear()
        return
    while group.members:
        await _undo(execution, group.members[-1], error)
        group.members.pop()


async def _undo(execution: Execution, member: Entry | Group, error: dict[str, Any] | None) -> None:
    if isinstance(member, Group):
        await _undo_group(execution, member, error)
    else:
        await _undo_entry(execution, member, error)


async def _undo_entry(execution: Execution, entry: Entry, error: dict[str, Any] | None) -> None:
    undo = entry.undo
    step = {
        "status": entry.status,
        "input": entry.input,
        "output": entry.output,
        "error": entry.error,
    }
    act = Act(
        execution,
        entry.act,
        {},
        f"{entry.path}!undo{'.' if undo.dotted else ''}",
        Token(None),
        Group(),
        {**entry.names, "step": step, "error": error},
        entry.variables,
    )
    report: dict[str, Any] = {"step": entry.path, "status": entry.status}
    execution.saga.append(report)
    report["compensation"] = "running"
    try:
        await undo.body(act)
    except (StepError, Stopped) as failure:
        failed = failure if isinstance(failure, StepError) else failure.stop.error()
        report["compensation"] = "failed"
        report["error"] = {"type": failed.type, "message": failed.message}
        status = "compensation_failed"
    else:
        skipped = all(rec.status == "skipped" for rec in act.recs.values())
        report["compensation"] = "skipped" if skipped else "compensated"
        status = "" if skipped else "compensated"
    rec = entry.act.recs.get(entry.node.key)
    if rec is not None and status:
        rec.status = status
