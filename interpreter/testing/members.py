"""Members that run at the same time: rule 4, and what becomes of losers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dsl.model.joins import JoinStep
from dsl.steps import ForeachStep
from interpreter.testing.env import Ending, Env, Failed, Left
from interpreter.testing.log import Group
from interpreter.testing.turns import Flow, Scope, Stopped
from interpreter.testing.undoing import Undoing

__all__ = ["Inside", "Member", "Members", "Race"]

Inside = Callable[[Env], Flow]
"""What is inside something, to be run in an environment."""


@dataclass(eq=False, slots=True)
class Member:
    """A member. Its state is `open won failed left stopped`, or `kept` for a loser that ran on."""

    scope: Scope
    group: Group
    state: str = "open"
    output: Any = None


@dataclass(eq=False, slots=True)
class Race:
    """The members of a `parallel` or a `foreach`.

    Args:
        step: The step.
        env: Where it is.
        group: Where they are registered.
        bodies: What they do.
        need: How many have to succeed.
        limit: How many run at the same time.
        members: Those that began.
        closed: Whether no more begin.
        cut: Whether a `break` says that those that did not begin are not needed.
        left: The jump that ended it.
        error: The first error in time.
    """

    step: JoinStep
    env: Env
    group: Group
    bodies: Sequence[Inside]
    need: int
    limit: int
    members: list[Member] = field(default_factory=list[Member])
    closed: bool = False
    cut: bool = False
    left: Left | None = None
    error: Failed | None = None

    def count(self, state: str) -> int:
        """How many members are in a state."""
        return sum(member.state == state for member in self.members)

    @property
    def everyone(self) -> bool:
        """Whether there are no losers."""
        return self.step.join in (None, "all")

    @property
    def lost(self) -> bool:
        """Whether too few can succeed."""
        return len(self.bodies) - self.count("failed") < self.need

    @property
    def won(self) -> bool:
        """Whether enough succeeded."""
        return not self.lost and (self.cut or self.count("won") >= self.need)

    @property
    def settled(self) -> bool:
        """Whether nothing is in flight, and nothing will be."""
        begun = self.closed or len(self.members) == len(self.bodies)
        return (begun or self.env.scope.stopped() is not None) and not self.count("open")

    @property
    def over(self) -> bool:
        """Whether the step may go on: its losers may run on."""
        return self.settled or (self.closed and self.won and self.step.losers == "finish")

    def close(self) -> None:
        """Begins no more members, and cancels those that are open."""
        self.closed = True
        for member in self.members:
            if member.state == "open":
                member.scope.stop("sibling")

    def ended(self, member: Member, how: Ending | None) -> None:
        """A member has ended."""
        fast = self.step.on_error != "wait_all"
        decided = not self.everyone and self.count("won") >= self.need
        if member.scope.reason or isinstance(how, Stopped):
            member.state = "stopped"
        elif decided:
            member.state = "kept" if fast and self.step.losers == "finish" else "stopped"
        elif isinstance(how, Left):
            member.state, self.left = "left", how
            self.close()
        elif isinstance(how, Failed):
            member.state, self.error = "failed", self.error or how
            if self.lost and fast:
                self.close()
        else:
            member.state = "won"
            if not self.everyone and fast and self.count("won") >= self.need:
                self.closed = True
                if self.step.losers != "finish":
                    self.close()


class Members(Undoing):
    """Runs members."""

    def run_members(
        self, env: Env, step: JoinStep, bodies: Sequence[Inside], together: int, tolerated: int = 0
    ) -> Flow:
        """Runs the members of a step; gives those that began.

        Args:
            env: Where the step is.
            step: The step.
            bodies: What the members do.
            together: How many run at the same time where the step does not say.
            tolerated: How many may fail.
        """
        need = max(0, len(bodies) - tolerated)
        if step.join not in (None, "all"):
            need = 1 if step.join == "any" else int(step.join)
        if need > len(bodies):
            raise Failed("JoinFailed")
        group = env.group.open(step.id, parallel=True)  # 4: members are undone at the same time
        race = Race(step, env, group, bodies, need, step.concurrency or together)
        group.limit = race.limit
        if env.group.parallel and step.concurrency is None:  # 3
            group.limit = None
        self._begin(race)
        yield lambda: race.over
        if not race.settled:  # joins: losers that run on belong to the run
            self.behind.append(race)
            for member in race.members:
                member.scope.outer = self.turns.root
        if race.left is not None:
            yield from self._undo_losers(race)
            raise race.left
        env.scope.check()
        if not race.won:
            raise race.error or Failed("JoinFailed")
        yield from self._undo_losers(race)
        env.scope.check()
        return race.members

    def _begin(self, race: Race) -> None:
        while (
            not race.closed
            and len(race.members) < len(race.bodies)
            and race.count("open") < race.limit
            and race.env.scope.stopped() is None
        ):
            body = race.bodies[len(race.members)]
            member = Member(Scope(race.env.scope), race.group.open())
            race.members.append(member)
            self.turns.spawn(self._member(race, member, body))

    def _member(self, race: Race, member: Member, body: Inside) -> Flow:
        how: Ending | None = None
        if race.closed or member.scope.stopped() is not None:  # before it began
            member.state = "stopped"
            return
        env = replace(race.env, scope=member.scope, group=member.group)
        try:
            member.output = yield from body(env)
        except Left as left:
            # `break` and `continue` of a `foreach` are its members' own, and no failures.
            of_it = isinstance(race.step, ForeachStep) and left.args[0] != "return"
            how = None if of_it else left
            if of_it and left.args[0] == "break":
                race.closed = race.cut = True
        except (Failed, Stopped) as ending:
            how = ending
        race.ended(member, how)
        self._begin(race)

    def _undo_losers(self, race: Race) -> Flow:
        """joins: what losers did is undone, and what failed."""
        losers = Group(parallel=True, limit=race.group.limit)
        lost = ("failed", "stopped")
        losers.members += [member.group for member in race.members if member.state in lost]
        yield from self.undo(losers, None, "joins")

    def finish(self, env: Env) -> Flow:
        """joins: the definition waits for losers that run on."""

        def settled() -> bool:
            return all(race.settled for race in self.behind)

        yield lambda: settled() or env.scope.stopped() is not None
        env.scope.check()  # 8: also where the last act completed although it was cancelled
