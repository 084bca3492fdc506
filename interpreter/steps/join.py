"""Members that run at the same time, and how their ends become one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from dsl.model.joins import JoinStep
from interpreter.errors import Leaving, StepError
from interpreter.lanes import in_lanes
from interpreter.saga import Group, unwind
from interpreter.scope import Act, Rec, Stopped, Token

__all__ = ["Join", "JoinRule", "JoinState"]


class JoinRule:
    """How many members must succeed, and what becomes of the others.

    Args:
        step: The step of the model.
        tolerated: How many may fail: a number, or a share such as `5%`.
    """

    def __init__(self, step: JoinStep, tolerated: int | str | None = None) -> None:
        self.join = step.join or "all"
        self.waits_for_all = step.on_error == "wait_all"
        self.finishes = step.losers == "finish"
        self.tolerated = tolerated or 0

    def tolerating(self, failures: int) -> JoinRule:
        """The same with another number of failures that are tolerated."""
        rule = copy(self)
        rule.tolerated = failures
        return rule

    def needed(self, count: int) -> int:
        """How many of `count` members must succeed."""
        if self.join == "any":
            return 1
        if isinstance(self.join, int):
            return self.join
        if isinstance(self.tolerated, str):
            return count - int(count * float(self.tolerated.rstrip("%")) / 100)
        return max(0, count - self.tolerated)

    @property
    def all(self) -> bool:
        """Whether every member counts: none is a loser."""
        return self.join == "all"


@dataclass(slots=True, eq=False)
class Member:
    """A member that began."""

    token: Token
    group: Group
    ended: bool = False
    stopped: bool = False  # for a sibling's sake
    won: bool = False
    stays: bool = False  # what it did is not undone when the step ends


class JoinState(dict[str, Any]):
    """What a checkpoint needs of a join."""


class Join:
    """The members of a `parallel` or of a concurrent `foreach`.

    Members that are not needed any more are stopped. All settle before the step ends: what
    they did is undone only after that, so that no act in flight is ever undone.

    Args:
        act: The act of the step.
        rec: Its record.
        count: How many members.
        limit: How many run at the same time.
        rule: How their ends become one.
        body: Runs a member in an act of its own; gives its output. One that gives `CUT` was
            left by a `break`: no more members are begun.
        undo_limit: How many are undone at the same time; 0 for all. `limit` where not given.
    """

    CUT: Any = object()

    def __init__(
        self,
        act: Act,
        rec: Rec,
        count: int,
        limit: int,
        rule: JoinRule,
        body: Callable[[int, Act], Awaitable[Any]],
        undo_limit: int | None = None,
    ) -> None:
        self.act = act
        self.rec = rec
        self.count = count
        self.limit = limit
        self.rule = rule
        self.body = body
        self.needed = rule.needed(count)
        self.outputs: list[Any] = [None] * count
        self.members: dict[int, Member] = {}
        self.won = 0
        self.failed = 0
        self.error: StepError | None = None
        self.leaving: Leaving | None = None
        self.closed = False  # no more members are begun
        self.cut = False  # a `break` says that those that did not begin are not needed
        self.undo_limit = limit if undo_limit is None else undo_limit
        self.decided = act.execution.future()
        self.settled = False
        kept: JoinState | None = rec.kept("join")
        if kept is None:
            self.group = act.group.open(parallel=True, limit=self.undo_limit)
        else:
            self._go_on(kept)
        rec.keep("join", self)
        self.held = rec.held
        """What the step keeps, also where it ends before its losers do."""

    def state(self) -> JoinState:
        """What a checkpoint needs of it."""
        return JoinState(
            group=self.group,
            members=tuple(
                (index, one.ended, one.won, one.stays, one.group)
                for index, one in self.members.items()
            ),
            outputs={str(i): value for i, value in enumerate(self.outputs) if value is not None},
            failed=self.failed,
            error=self.error,
            closed=self.closed,
            cut=self.cut,
            decided=self.decided.done(),
        )

    def _go_on(self, kept: JoinState) -> None:
        """Takes up the state of a checkpoint."""
        # A redrive brings no groups: nothing that was done before it is undone any more.
        group = kept["group"] or self.act.group.open(parallel=True, limit=self.undo_limit)
        self.group: Group = group
        for index, ended, won, stays, group in kept["members"]:
            token = Token(self.act.token)
            group = group or self.group.open()
            self.members[index] = Member(token, group, ended, won=won, stays=stays)
            self.won += won
            if ended:
                token.close()
        for index, value in kept["outputs"].items():
            self.outputs[int(index)] = value
        self.failed, self.error = kept["failed"], kept["error"]
        self.closed, self.cut = kept["closed"], kept["cut"]
        if kept["decided"]:
            self._decide()

    async def run(self) -> list[int]:
        """Runs the members until it is decided; gives the indexes of those that count.

        Raises:
            StepError: the first failure in time, where too few can succeed.
            Stopped: if the step was stopped from outside.
            Leaving: if a member jumped out.
        """
        if self.needed > self.count:
            message = f"{self.needed} must succeed, there are {self.count}"
            raise StepError("JoinFailed", message)
        execution = self.act.execution
        if self.rule.finishes:
            # Losers may run on: the lanes are a task of their own.
            execution.spawn(self.lanes)
            await self.decided
            if not self.settled:
                execution.leave_behind(self)
        else:
            await self.lanes()
        return await self._result()

    async def lanes(self) -> None:
        """Runs the members, until all have ended."""
        indexes: Sequence[int] = range(self.count)
        if self.members:  # first those that were open when the run went on as new
            begun = [index for index, one in self.members.items() if not one.ended]
            indexes = begun + [index for index in indexes if index not in self.members]
        await in_lanes(self.act.execution, indexes, self.limit, self._member)
        self.settled = True
        self._decide()
        self.act.execution.ended_behind(self)

    def _decide(self) -> None:
        if not self.decided.done():
            self.decided.set_result(None)

    async def _result(self) -> list[int]:
        enough = self.error_counts() is None and (self.cut or self.won >= self.needed)
        if self.leaving is not None or (self.act.token.stop is None and enough):
            await self._undo_losers()
        if not self.group.members:
            self.act.group.remove(self.group)
        if self.leaving is not None:
            raise self.leaving
        self.act.token.check()
        if not enough:
            raise self.error or StepError("JoinFailed", "too few members succeeded")
        return sorted(index for index, member in self.members.items() if member.won)

    def error_counts(self) -> StepError | None:
        """The error that the step fails with, if too many members failed."""
        return self.error if self.count - self.failed < self.needed else None

    async def _undo_losers(self) -> None:
        """Undoes who lost, and what failed but was tolerated: nothing comes of it."""
        losers = [one.group for one in self.members.values() if one.ended and not one.stays]
        group = Group(True, self.undo_limit, [one for one in losers if one.members])
        await unwind(self.act, self.rec, self.rec.node.undo_limit, None, group)
        for loser in losers:
            self.group.remove(loser)

    async def _member(self, index: int) -> None:
        member = self.members.get(index)
        if member is None:
            if self.closed or self.act.token.stop is not None:
                return
            member = self.members[index] = Member(Token(self.act.token), self.group.open())
        token = member.token
        act = self.act.inner(token=token, group=member.group)
        output: Any = None
        ending: StepError | Stopped | Leaving | None = None
        try:
            output = await self.body(index, act)
        except (StepError, Stopped, Leaving) as raised:
            ending = raised
        member.ended = True
        # Once it is decided who did not win is a loser that ran on.
        member.stays = self.rule.finishes and self.decided.done() and not member.stopped
        token.close()
        match ending:
            case None:
                self._succeeded(index, member, output)
            case StepError():
                self._failed(ending, member)
            case Leaving():
                self._left(ending, member)
            case Stopped():
                pass
        if not member.group.members:
            self.group.remove(member.group)

    def _succeeded(self, index: int, member: Member, output: Any) -> None:
        if member.stopped or (not self.rule.all and self.won >= self.needed):
            return  # it came too late: a loser that completed all the same
        if output is Join.CUT:
            self.closed = self.cut = True
            output = None
        member.won = member.stays = True
        self.won += 1
        self.outputs[index] = output
        if not self.rule.all and self.won >= self.needed and not self.rule.waits_for_all:
            self.closed = True
            self._decide()
            if not self.rule.finishes:
                self._stop()

    def _left(self, leaving: Leaving, member: Member) -> None:
        if self.leaving is None and not self.decided.done() and not member.stopped:
            self.leaving = leaving
            member.stays = True
            self.close()

    def _failed(self, error: StepError, member: Member) -> None:
        if member.stopped or self.decided.done():
            return  # it was cancelled, or nobody waits for it any more
        self.failed += 1
        if self.error is None:
            self.error = error
        if self.error_counts() is not None and not self.rule.waits_for_all:
            self.close()

    def close(self) -> None:
        """Begins no more members, and stops those that have not ended."""
        self.closed = True
        self._stop()

    def _stop(self) -> None:
        for member in self.members.values():
            if not member.ended:
                member.stopped = True
                member.token.cancel("sibling")
