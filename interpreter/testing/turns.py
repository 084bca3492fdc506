"""Plays a run again, turn by turn, and compares what was sent with what had to be sent.

The model runs in lanes: generators that wait for conditions. What happens in one turn happens
at the same time, so the order among it is open: `pick` decides it, and whoever plays the run
may have it decided otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from interpreter.testing.observation import Cancelled, Ended, Event, Observation, Rang, Turn
from interpreter.testing.rules import Violation

__all__ = ["Flow", "Scope", "Sent", "Stopped", "Turns"]

Flow = Generator[Callable[[], bool], None, Any]
"""A part of the model: it yields what it waits for."""


class Stopped(Exception):
    """What was cancelled, on its way outward."""


class Scope:
    """What is stopped together: by a cancellation, a timeout, or a sibling's failure.

    Args:
        outer: The scope round it; None for the run, and for what is shielded.
    """

    def __init__(self, outer: Scope | None) -> None:
        self.outer = outer
        self.reason = ""

    def stop(self, reason: str) -> None:
        """Stops it, if nothing has yet."""
        self.reason = self.reason or reason

    def stopped(self) -> Scope | None:
        """The outermost scope that was stopped round this one, itself included."""
        outer = self.outer.stopped() if self.outer is not None else None
        return outer or (self if self.reason else None)

    def check(self) -> None:
        """The gate before whatever begins.

        Raises:
            Stopped: if it was stopped.
        """
        if self.stopped() is not None:
            raise Stopped


@dataclass(eq=False, slots=True)
class Sent:
    """An act that has to be sent, or was.

    Args:
        path: Its path.
        scope: What it is stopped with.
        rule: The rule that wants it.
    """

    path: str
    scope: Scope
    rule: str
    was_sent: bool = False
    was_stopped: bool = False
    ended: Ended | None = None


@dataclass(eq=False, slots=True)
class _Lane:
    flow: Flow
    waits_for: Callable[[], bool]


def _stop(scope: Scope, reason: str) -> Flow:
    scope.stop(reason)
    return
    yield


@dataclass(eq=False)
class Turns:
    """A run that is played.

    Args:
        observation: What is known of it.
        picks: The first decisions where the order is open.
        rest: Makes the other decisions; they are 0 without.
    """

    observation: Observation
    picks: Sequence[int] = ()
    rest: Random | None = None
    picked: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    turn: int = 0
    root: Scope = field(default_factory=lambda: Scope(None))
    acts: dict[str, Sent] = field(default_factory=dict[str, Sent])
    deadlines: dict[str, Scope] = field(default_factory=dict[str, Scope])
    rang: dict[str, int] = field(default_factory=dict[str, int])
    waiting: list[_Lane] = field(default_factory=list[_Lane])
    ready: list[_Lane] = field(default_factory=list[_Lane])

    def spawn(self, flow: Flow) -> None:
        """Runs something at the same time as what runs already."""
        self.ready.append(_Lane(flow, lambda: True))

    def pick(self, count: int) -> int:
        """One of `count` possibilities."""
        if count < 2:
            return 0
        place = len(self.picked)
        chosen = 0
        if place < len(self.picks):
            chosen = min(self.picks[place], count - 1)
        elif self.rest is not None:  # the oldest, the newest, any
            chosen = self.rest.choice((0, count - 1, self.rest.randrange(count)))
        self.picked.append((chosen, count))
        return chosen

    def play(self, explain: Callable[[str], Violation]) -> list[Violation]:
        """Plays the run; gives how the first turn that is wrong is wrong.

        Args:
            explain: Says what is wrong with an act that nobody wants.
        """
        for number, turn in enumerate(self.observation.turns):
            self.turn = number
            for event in turn.seen:
                self._learn(event)
                self._wake()
            self._run_lanes()
            if violations := self._compare(turn, explain):
                return violations
        return []

    def _learn(self, event: Event) -> None:
        match event:
            case Ended(path):
                if path in self.acts:
                    self.acts[path].ended = event
            case Rang(name):
                self.rang[name] = self.rang.get(name, 0) + 1
                if name in self.deadlines:
                    self.spawn(_stop(self.deadlines[name], "timeout"))
            case Cancelled():
                self.spawn(_stop(self.root, "cancel"))

    def _wake(self) -> None:
        for lane in tuple(self.waiting):
            if lane.waits_for():
                self.waiting.remove(lane)
                self.ready.append(lane)

    def _run_lanes(self) -> None:
        self._wake()
        while self.ready:
            lane = self.ready.pop(self.pick(len(self.ready)))
            try:
                lane.waits_for = next(lane.flow)
                self.waiting.append(lane)
            except StopIteration:
                pass
            self._wake()

    def _compare(self, turn: Turn, explain: Callable[[str], Violation]) -> list[Violation]:
        wanted = {path: act for path, act in self.acts.items() if not act.was_sent}
        found = [
            Violation(act.rule, f"{path} did not begin")
            for path, act in wanted.items()
            if path not in turn.sent
        ]
        for path in turn.sent:
            act = wanted.pop(path, None)
            if act is None:
                found.append(explain(path))
            else:
                act.was_sent = True
        for act in self.acts.values():
            act.was_stopped = act.was_stopped or act.path in turn.stopped
            stop = act.scope.stopped()
            if act.ended is None and act.was_stopped != (stop is not None):
                rule = "4" if stop is None or stop.reason == "sibling" else "8"
                how = "was cancelled without a reason" if stop is None else "was not cancelled"
                found.append(Violation(rule, f"{act.path} {how}"))
        return found

    # What flows ask for.

    def act(self, path: str, scope: Scope, rule: str, *, settles: bool) -> Flow:
        """An act: gives how it ended, None where it was stopped before it was sent.

        Args:
            path: Its path.
            scope: What it is stopped with.
            rule: The rule that wants it.
            settles: Whether it is waited for when it is stopped.

        Raises:
            Stopped: if it was stopped and is not waited for.
        """
        assert path not in self.acts, path
        act = self.acts[path] = Sent(path, scope, rule)

        def over() -> bool:
            leaves = not settles or not act.was_sent
            return act.ended is not None or (leaves and scope.stopped() is not None)

        yield over
        if not act.was_sent:
            del self.acts[path]
        elif act.ended is None:
            raise Stopped
        return act.ended

    def ring(self, name: str, scope: Scope) -> Flow:
        """A wait until a timer rings.

        Raises:
            Stopped: if the scope is stopped before.
        """
        before = self.rang.get(name, 0)
        yield lambda: self.rang.get(name, 0) > before or scope.stopped() is not None
        scope.check()
