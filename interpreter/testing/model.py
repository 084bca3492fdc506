"""The reference model: a definition as a whole, and what is wrong with a run of it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from dsl.model.common import Compensation
from dsl.model.definition import Definition
from interpreter.testing.env import Env, Failed, Left, Record
from interpreter.testing.observation import Observation
from interpreter.testing.rules import Unsupported, Violation
from interpreter.testing.steps import Steps
from interpreter.testing.turns import Flow, Sent, Stopped, Turns

__all__ = ["check"]

_ORDERS = 200
"""How many orders of what happened at the same time are tried one by one."""
_SHUFFLES = 200
"""How many more are tried at random."""


def check(definition: Definition, observation: Observation) -> list[Violation]:
    """Whether a run did what its definition asks for.

    Args:
        definition: The definition, as `dsl.loader` gives it.
        observation: What is known of the run.

    Returns:
        What was wrong in the first turn that was; nothing where all was right.

    Raises:
        Unsupported: if the model does not know something in the definition.
    """
    orders: list[tuple[int, ...]] = [()]
    best: tuple[int, list[Violation]] = (-1, [])
    for order in orders:
        model = _Model(definition, observation, order)
        found = model.check()
        if not found:
            return []
        if model.turns.turn > best[0]:
            best = (model.turns.turn, found)
        # Those that differ in one decision more, the last decision first.
        picked = model.turns.picked
        for place in range(len(picked) - 1, len(order) - 1, -1):
            before = tuple(chosen for chosen, _ in picked[:place])
            orders += [(*before, other) for other in range(1, picked[place][1])]
        del orders[_ORDERS:]
    if len(orders) == _ORDERS:  # many things happened at the same time
        for shuffle in range(_SHUFFLES):
            if not _Model(definition, observation, (), Random(shuffle)).check():
                return []
    return best[1]


class _Model(Steps):
    def __init__(
        self,
        definition: Definition,
        observation: Observation,
        picks: Sequence[int],
        rest: Random | None = None,
    ) -> None:
        super().__init__(Turns(observation, picks, rest))
        self.definition = definition
        self.observation = observation
        self.status = ""

    def check(self) -> list[Violation]:
        self.turns.spawn(self._main())
        if found := self.turns.play(self._explain):
            return found
        if not self.status:
            return [self._too_early()]
        found = list[Violation]()
        if self.status != self.observation.status:
            message = f"the status is {self.observation.status}, it has to be {self.status}"
            found.append(Violation("11", message))
        if sorted(self.saga) != sorted(self.observation.saga):
            message = f"the saga log is {self.observation.saga}, it has to be {self.saga}"
            found.append(Violation("11", message))
        return found

    def _main(self) -> Flow:
        root = self.definition
        if root.on_fault == "fail":
            raise Unsupported("faults that are errors")
        if root.updates or any(signal.do for signal in root.signals.values()):
            raise Unsupported("handlers of messages")
        options = root.compensation or Compensation.model_construct()
        self.group.parallel = options.order == "parallel"
        names = {"input": self.observation.input, "error": None}
        variables = tuple[dict[str, Any]]([{}])
        env = Env(self.turns.root, self.group, names, variables, ({},), undoing=options)
        variables[0].update(env.value(root.vars))

        def inside(env: Env) -> Flow:
            try:
                output = yield from self.sequence(env, root.steps, "")
            except Left:
                yield from self.finish(env)
                raise
            yield from self.finish(env)
            return output

        try:
            yield from self.edge(env, root, Record(), lambda env: self.timed(env, root, inside))
            status = "completed"
        except Left:
            status = "completed"
        except Stopped:
            status = "cancelled"
        except Failed:
            status = "failed"
        outcomes = [outcome for _, _, outcome in self.saga]
        if status != "completed" and "failed" in outcomes:  # 11
            status = "compensation_failed"
        elif status == "failed" and "compensated" in outcomes:
            status = "compensated"
        self.status = status

    # What is wrong.

    def _explain(self, path: str) -> Violation:
        """What is wrong with an act that nobody asks for."""
        if path in self.turns.acts:
            return Violation("12", f"{path} began a second time")
        act, is_undo, _ = path.rpartition("!undo")
        if not is_undo:
            undoing = any(not entry.gone for one in self.passes for entry in one.entries)
            rule = "8" if self.turns.root.reason else "6" if undoing else "flow"
            return Violation(rule, f"{path} began, which nothing asks for")
        entries = [entry for entry in self.group.entries() if entry.path == act]
        if not entries and act in self.turns.acts:
            return Violation("1", f"{path} began, of an act that is not registered")
        if not entries:
            return Violation("2", f"{path} began, of an act that never ran")
        entry = entries[-1]
        if entry.gone:
            return Violation(entry.gone, f"{path} began, though it is not to be undone any more")
        if not entry.settled:
            return Violation("4", f"{path} began while {act} was in flight")
        if entry.taken:
            return Violation("3", f"{path} began before its turn")
        if any(act.scope.stopped() for act in self._in_flight()):
            return Violation("4", f"{path} began before everything settled")
        return Violation("7", f"{path} began, which nothing asks for")

    def _too_early(self) -> Violation:
        acts = ", ".join(act.path for act in self._in_flight())
        rule = "joins" if self.behind else "8" if self.turns.root.reason else "4"
        return Violation(rule, f"the run ended {f'while {acts} ran' if acts else 'too early'}")

    def _in_flight(self) -> list[Sent]:
        return [act for act in self.turns.acts.values() if act.was_sent and act.ended is None]
