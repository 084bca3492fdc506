"""Undoing: rules 3, 4, 8, 9 and 12."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dsl.model.common import StepBase
from interpreter.testing.env import Env, Failed, Record
from interpreter.testing.log import Entry, Group
from interpreter.testing.rules import Unsupported
from interpreter.testing.turns import Flow, Scope, Stopped, Turns

if TYPE_CHECKING:
    from interpreter.testing.members import Race

__all__ = ["Undoing"]


@dataclass(slots=True)
class _Pass:
    """An undoing as a whole.

    Args:
        entries: What is undone.
        elsewhere: What others are undoing already: it is waited for in its turn.
        error: Why, as the compensations see it.
        rule: The rule that wants it.
        halted: Whether a compensation that failed has ended it.
    """

    entries: list[Entry]
    elsewhere: list[Entry]
    error: dict[str, Any] | None
    rule: str
    halted: bool = False


class Undoing(ABC):
    """What was done in a run, and the undoing of it.

    Args:
        turns: The run.
    """

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.group = Group()
        self.saga: list[tuple[str, str, str]] = []
        self.passes: list[_Pass] = []
        self.behind: list[Race] = []  # with losers that run on

    @abstractmethod
    def sequence(self, env: Env, steps: Sequence[StepBase], part: str) -> Flow:
        """Runs steps one after the other."""

    @abstractmethod
    def step(self, env: Env, step: StepBase, place: str) -> Flow:
        """Runs a step."""

    def entry(self, env: Env, step: StepBase, input: Any = None) -> Entry:
        """What undoes a step, with what it sees frozen."""
        frozen = replace(env, variables=tuple(deepcopy(env.variables)))
        return Entry(env.path, step.compensate, frozen, input)

    def undo(
        self,
        group: Group,
        error: dict[str, Any] | None,
        rule: str,
        wanted: Callable[[Entry], bool] | None = None,
    ) -> Flow:
        """Undoes what was done in a scope.

        Args:
            group: The scope.
            error: Why; None for a cancellation.
            rule: The rule that wants it.
            wanted: What of it, for a `rollback`: that leaves alone what is in flight.
        """
        if wanted is None:  # joins: losers that run on inside are cancelled, and settle
            inside = [race for race in self.behind if group.contains(race.group)]
            for race in inside:
                race.close()
            yield lambda: all(race.settled for race in inside)
        meant = [entry for entry in group.left() if wanted is None or wanted(entry)]
        elsewhere = [entry for entry in meant if entry.taken]
        undone = _Pass([entry for entry in meant if not entry.taken], elsewhere, error, rule)
        for entry in undone.entries:
            entry.taken = True  # 12
        self.passes.append(undone)
        yield from self._undo_member(group, undone)
        self.passes.remove(undone)

    def _undo_member(self, member: Entry | Group, undone: _Pass) -> Flow:
        if isinstance(member, Entry):
            if member in undone.entries:
                yield from self._undo_entry(member, undone)
            elif member in undone.elsewhere:
                yield lambda: bool(member.gone)
        elif not any(one in undone.entries + undone.elsewhere for one in member.entries()):
            return
        elif not member.parallel:
            for one in reversed(member.members.copy()):  # 3: the last first
                yield from self._undo_member(one, undone)
        else:  # 3 and 4: at the same time, the last to begin first
            rest = list(reversed(member.members))
            lanes = min(member.limit or len(rest), len(rest))
            ended: list[None] = []

            def lane() -> Flow:
                while rest:
                    yield from self._undo_member(rest.pop(0), undone)
                ended.append(None)

            for _ in range(lanes):
                self.turns.spawn(lane())
            yield lambda: len(ended) == lanes

    def _undo_entry(self, entry: Entry, undone: _Pass) -> Flow:
        place = len(self.saga)
        self.saga.append((entry.path, entry.status, "skipped"))
        if undone.halted:  # 9
            entry.gone = "9"
            return
        records: dict[str, Record] = {}
        listed = len(entry.body) > 1 or entry.body[0].id is not None
        seen = {name: getattr(entry, name) for name in ("status", "input", "output", "error")}
        env = replace(
            entry.env,
            scope=Scope(None),  # 8: nothing stops it
            group=Group(),
            names={**entry.env.names, "step": seen, "error": undone.error},
            records=(*entry.env.records, records),
            prefix=f"{entry.path}!undo{'.' if listed else ''}",
            ids="" if listed else ".",
            place="",
            rule=undone.rule,
        )
        deadline = f"undoing {entry.path}"
        self.turns.deadlines[deadline] = env.scope
        outcome = "compensated"
        try:
            if listed:
                yield from self.sequence(env, entry.body, "")
            else:
                yield from self.step(env, entry.body[0], "")
        except Stopped:
            raise Unsupported("undoing that ran out of time") from None
        except Failed:
            if env.undoing.on_failure == "suspend":
                raise Unsupported("on_failure: suspend") from None
            outcome = "failed"
            undone.halted = undone.halted or env.undoing.on_failure == "halt"  # 9
        del self.turns.deadlines[deadline]
        if outcome == "compensated" and all(r.status == "skipped" for r in records.values()):
            outcome = "skipped"
        entry.gone = "12"
        self.saga[place] = (entry.path, entry.status, outcome)
