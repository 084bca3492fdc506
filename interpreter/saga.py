"""The saga log: what was done and may have to be undone, and the undoing.

A tree of groups. A sequence is undone from its end; the members of a parallel group are
undone at the same time, the last started first. An undoing owns what it is about before it
begins, is shielded, and takes each entry out once it is undone. Another undoing that comes upon
such an entry waits for it: nothing is undone twice, and nothing before its turn.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interpreter.errors import Answered, Fault, StepError, not_undone
from interpreter.evaluation import Duration
from interpreter.lanes import in_lanes
from interpreter.logs import log
from interpreter.scope import Act, Rec, Stopped, Token

if TYPE_CHECKING:
    from interpreter.execution import Execution
    from interpreter.nodes import Node

__all__ = ["LONGEST_UNDO", "Entry", "Group", "Undo", "check_undone", "unwind"]

_LONGEST_MESSAGE = 2000
LONGEST_UNDO = 24 * 3600.0
"""How long undoing may take as a whole where the definition does not say, in seconds."""


@dataclass(frozen=True, slots=True)
class Undo:
    """How a step is undone, compiled.

    Args:
        body: Runs the compensation in an act.
        names: The names that it reads: they are frozen when the step is registered.
        variables: The variables that it reads, frozen too.
        dotted: Whether paths inside go on with a dot: it is a list of steps.
        waits: Whether it waits for anything but activities: then it needs a timer.
        late: Whether a step is registered only once it completed.
        on_failure: `continue`, `halt` or `suspend`.
    """

    body: Callable[[Act], Awaitable[Any]]
    names: tuple[str, ...]
    variables: tuple[str, ...]
    dotted: bool
    waits: bool
    late: bool
    on_failure: str


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

    def __init__(self, node: Node, undo: Undo, act: Act, path: str, input: Any = None) -> None:
        self.node = node
        self.undo = undo
        self.act = act
        self.path = path
        self.input = input
        self.group = act.group
        self.status = "registered"
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.variables = {name: act.variable(name) for name in undo.variables}
        self.freeze_names()

    def freeze_names(self) -> None:
        """Notes what the names mean that the compensation reads."""
        act = self.act
        self.names = {name: act.lookup(name) for name in self.undo.names if _has(act, name)}


def _has(act: Act, name: str) -> bool:
    try:
        act.lookup(name)
    except KeyError:
        return False
    return True


@dataclass(slots=True, eq=False)
class Group:
    """A part of the saga log.

    Args:
        parallel: Whether its members are undone at the same time.
        limit: At most how many at the same time; 0 for all.
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

    def entries(self) -> Iterator[Entry]:
        """All entries in it, in the order of registration."""
        for member in self.members:
            if isinstance(member, Group):
                yield from member.entries()
            else:
                yield member

    def contains(self, group: Group) -> bool:
        """Whether a group is this one or inside it."""
        if group is self:
            return True
        return any(isinstance(m, Group) and m.contains(group) for m in self.members)

    def drop(self, gone: Callable[[Entry], bool]) -> None:
        """Takes entries out that are not undone any more."""
        kept: list[Entry | Group] = []
        for member in self.members:
            if isinstance(member, Group):
                member.drop(gone)
            elif gone(member):
                continue
            kept.append(member)
        self.members = kept


async def unwind(
    act: Act,
    rec: Rec,
    limit: Duration | float | None,
    error: dict[str, Any] | None,
    group: Group | None = None,
    wanted: Callable[[Entry], bool] | None = None,
) -> None:
    """Undoes what is in a group, shielded from cancellation.

    Args:
        act: The act of the block at whose edge it happens.
        rec: The block's record.
        limit: How long it may take as a whole: as said in the definition, or in seconds.
        error: What happened, as `error` for the compensations; None for a cancellation.
        group: What to undo. The act's own where none is given.
        wanted: What of it, for a `rollback`: steps may be at work in it. All where not given:
            then what is in flight settles first, and the group is empty afterwards.
    """
    execution = act.execution
    group = act.group if group is None else group
    if wanted is None:
        await execution.settle(group)
    entries = frozenset(filter(wanted or _any, group.entries()))
    if entries:
        # Whatever is wrong with the limit: undoing is not lost for it.
        seconds = LONGEST_UNDO if limit is None else limit
        if isinstance(seconds, Duration):
            seconds = seconds.seconds_or(act, LONGEST_UNDO)
        shield = Token(None, execution.clock() + seconds)
        owned = entries.difference(execution.undoing)
        execution.undoing |= owned
        await _Unwinding(execution, shield, error, entries, owned).undo_group(group)
    if wanted is None:
        group.members.clear()


def check_undone(saga: Sequence[dict[str, Any]]) -> bool:
    """Looks at what a child undid; says whether it was anything.

    Raises:
        StepError: Some of it could not be undone.
    """
    failed = not_undone(saga)
    if failed is not None:
        raise StepError("CompensationFailed", failed)
    return any(one["compensation"] == "compensated" for one in saga)


def _any(_: Entry) -> bool:
    return True


@dataclass(slots=True)
class _Unwinding:
    """An undoing as a whole.

    Args:
        execution: The run.
        shield: What it runs in; its deadline bounds it.
        error: What happened.
        entries: What has to be undone when it ends.
        owned: What of that it undoes itself. The rest others are undoing already.
    """

    execution: Execution
    shield: Token
    error: dict[str, Any] | None
    entries: frozenset[Entry]
    owned: frozenset[Entry]
    halted: bool = False

    async def undo_group(self, group: Group) -> None:
        members = [one for one in reversed(group.members) if self.concerns(one)]

        async def undo(index: int) -> None:
            await self.undo(members[index], group)

        if group.parallel:
            indexes = range(len(members))
            await in_lanes(self.execution, indexes, group.limit or len(members), undo)
            return
        for index in range(len(members)):
            await undo(index)

    def concerns(self, member: Entry | Group) -> bool:
        if isinstance(member, Group):
            return any(map(self.concerns, member.members))
        return member in self.entries

    async def undo(self, member: Entry | Group, group: Group) -> None:
        if isinstance(member, Group):
            await self.undo_group(member)
        elif member in self.owned:
            await self.undo_entry(member)
            group.remove(member)
            self.execution.undone(member)
        else:
            await self.execution.undone_elsewhere(member)

    async def undo_entry(self, entry: Entry) -> None:
        """Undoes an act, and writes down how it went."""
        report: dict[str, Any] = {"step": entry.path, "status": entry.status}
        self.execution.saga.append(report)
        if self.halted:
            report["compensation"] = "skipped"
            return
        report |= {"compensation": "running", "attempts": 0, "started": self.execution.clock()}
        rec = entry.act.recs.get(entry.node.key)
        try:
            outcome = await self.run_to_end(entry, report)
        except StepError as failure:
            outcome = "failed"
            message = failure.message[:_LONGEST_MESSAGE]
            report["error"] = {"type": failure.type, "message": message}
            log(self.execution, logging.ERROR, "not undone: %s", failure, step=entry.path)
            self.halted = entry.undo.on_failure == "halt"
        report["compensation"] = outcome
        report["ended"] = self.execution.clock()
        if outcome == "skipped":
            return
        if outcome == "compensated":
            log(self.execution, logging.INFO, "undone", step=entry.path)
        if rec is not None:
            rec.status = "compensated" if outcome == "compensated" else "compensation_failed"
            if self.execution.watched:
                self.execution.touch(entry.node)

    async def run_to_end(self, entry: Entry, report: dict[str, Any]) -> str:
        """Runs the compensation of an act, again where an operator says so.

        Returns:
            `compensated` or `skipped`.

        Raises:
            StepError: It failed.
        """
        while True:
            report["attempts"] += 1
            try:
                return "compensated" if await self.run(entry) else "skipped"
            except StepError as failure:
                if entry.undo.on_failure != "suspend":
                    raise
                fault = Fault("CompensationFailed", f"{failure.type}: {failure.message}")
            place = Rec(entry.node, f"{entry.path}!undo")
            held = entry.act.inner(token=Token(None))
            try:
                await self.execution.suspend(held, place, fault, always=True)
            except Answered as answered:
                return "compensated" if answered.done else "skipped"

    async def run(self, entry: Entry) -> bool:
        """Runs the compensation of an act once.

        Returns:
            Whether it did anything: its own `if` may skip it.

        Raises:
            StepError: It failed.
        """
        undo = entry.undo
        token = Token(self.shield)
        step = {
            "status": entry.status,
            "input": entry.input,
            "output": entry.output,
            "error": entry.error,
        }
        act = Act(
            self.execution,
            entry.act,
            {},
            f"{entry.path}!undo{'.' if undo.dotted else ''}",
            token,
            Group(),
            {**entry.names, "step": step, "error": self.error},
            dict(entry.variables),
        )
        timer = None
        if undo.waits:
            seconds = max(0.0, (self.shield.deadline or 0.0) - self.execution.clock())
            summary = f"undoing {entry.path}"
            timer = self.execution.timer(
                seconds, lambda: token.cancel("timeout", "compensation"), summary
            )
        failure: StepError | None = None
        try:
            await undo.body(act)
        except StepError as error:
            failure = error
        except Stopped as stopped:
            failure = stopped.stop.error()
        if timer is not None:
            timer.cancel()
        token.close()
        if failure is not None:
            raise failure
        return any(rec.status != "skipped" for rec in act.recs.values())
