"""How far a run got, for each part of its definition's picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from dsl.graph.parts import Choice, Group, Guarded, Loop, Node, Part, Series, Split

__all__ = ["State", "States", "filled", "states"]

_WORST = (
    "suspended",
    "compensation_failed",
    "failed",
    "timed_out",
    "waiting",
    "running",
    "cancelled",
    "compensated",
    "caught",
    "completed",
    "skipped",
    "pending",
)
"""The statuses of steps, what people must know of first."""
_UNDONE = {
    "running": "running",
    "compensated": "compensated",
    "failed": "compensation_failed",
    "skipped": "skipped",
}
"""What stands in a run's saga log, as statuses."""
_DONE = ("completed", "caught", "compensated", "skipped")
_OPEN = ("pending", "running", "waiting", "suspended")
_LOOPS = ("foreach", "while", "until")
_TRY = re.compile(r"^.*~[0-9]+\.")
_ITERATION = re.compile(r"(?:~[0-9]+)?\[([0-9]+)\]\.")


@dataclass(frozen=True, slots=True)
class State:
    """Where a step stands, in all its iterations.

    Args:
        status: Its status; of several the one that people must know of first.
        label: What is said beside it: `3/10`, `try 2`.
    """

    status: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class States:
    """Where a run stands.

    Args:
        run: Its id.
        status: Its status.
        steps: The states of steps and of what undoes them, by the keys of nodes.
    """

    run: str
    status: str
    steps: Mapping[str, State]


@dataclass(slots=True)
class _Seen:
    """What was seen of a step."""

    statuses: list[str] = field(default_factory=list[str])
    attempt: int = 1
    iterations: int = 0

    def state(self) -> State:
        labels: list[str] = []
        if self.iterations:
            labels.append(f"{self.iterations} rounds" if self.iterations > 1 else "1 round")
        elif len(self.statuses) > 1:
            done = sum(status in _DONE for status in self.statuses)
            labels.append(f"{done}/{len(self.statuses)}")
        if self.attempt > 1:
            labels.append(f"try {self.attempt}")
        return State(min(self.statuses, key=_rank), ", ".join(labels))


def _rank(status: str) -> int:
    """The place of a status among all; one that a newer worker knows comes first."""
    return _WORST.index(status) if status in _WORST else -1


def states(run: str, answer: Mapping[str, Any]) -> States:
    """Where a run stands.

    Args:
        run: Its id.
        answer: What its `status` query gives.
    """
    reader = _Reader()
    reader.steps(answer.get("steps", []), ())
    for entry in answer.get("compensations", []):
        reader.undone(entry)
    found = {key: one.state() for key, one in reader.seen.items()}
    return States(run, answer["status"], found)


def filled(states: States, part: Part) -> States:
    """The same with the steps that the run has said nothing of, for it did not come there.

    Args:
        states: Where a run stands.
        part: All parts of its definition.
    """
    steps = dict(states.steps)
    _fill(part, "pending", steps)
    return replace(states, steps=steps)


def _fill(part: Part, missing: str, steps: dict[str, State]) -> None:
    """Fills in the steps of a part that have no state; those that undo have one if they ran."""
    match part:
        case Node():
            if part.key:
                steps.setdefault(part.key, State(missing))
        case Series():
            for one in part.parts:
                _fill(one, missing, steps)
        case Choice():
            _fill(part.then, _inside(part.key, missing, steps), steps)
        case Split():
            _fill(part.head, missing, steps)
            for branch in part.branches:
                _fill(branch.body, _inside(part.head.key, missing, steps), steps)
        case Group() | Loop():
            _fill(part.head, missing, steps)
            _fill(part.body, _inside(part.head.key, missing, steps), steps)
        case Guarded():
            _fill(part.body, missing, steps)
            around = _inside(_key(part.body), missing, steps)
            for handler in part.handlers:
                _fill(handler.body, around, steps)
            if part.cleanup is not None:
                _fill(part.cleanup, around, steps)
        case _:
            assert_never(part)


def _inside(key: str, missing: str, steps: Mapping[str, State]) -> str:
    """The status of what has none, inside a step: what an ended step did not do it never will."""
    state = steps.get(key)
    if state is None:
        return missing
    return "pending" if state.status in _OPEN else "skipped"


def _key(part: Part) -> str:
    match part:
        case Node():
            return part.key
        case Group() | Loop():
            return part.head.key
        case _:
            return ""


class _Reader:
    """Reads the answer, whose steps have the paths of a run: `ship_all[3].ship`."""

    def __init__(self) -> None:
        self.seen: dict[str, _Seen] = {}
        self.keys: dict[str, str] = {}
        """The keys of paths."""
        self.last: dict[str, str] = {}
        """The keys of the last parts of paths, which are ids where steps have one."""

    def steps(self, steps: Sequence[Mapping[str, Any]], loops: tuple[str, ...]) -> None:
        """Notes steps and those inside them.

        Args:
            steps: Their states.
            loops: The paths of the loops round them, the outermost first.
        """
        for step in steps:
            path = step["path"]
            key = self.keys[path] = self.key(path, loops)
            self.last[path.rpartition(".")[2]] = key
            one = self.seen.setdefault(key, _Seen())
            one.statuses.append(step["status"])
            one.attempt = max(one.attempt, step.get("attempt", 1))
            inner = (*loops, path) if step["kind"] in _LOOPS else loops
            self.steps(step.get("steps", []), inner)

    def key(self, path: str, loops: tuple[str, ...]) -> str:
        """The key of a step: its path without the numbers of iterations and tries."""
        for loop in reversed(loops):
            iteration = _ITERATION.match(path, len(loop)) if path.startswith(loop) else None
            if iteration is not None:
                scope = self.keys[loop]
                outer = self.seen[scope]
                outer.iterations = max(outer.iterations, int(iteration[1]) + 1)
                return f"{scope}[]." + _TRY.sub("", path[iteration.end() :])
        return _TRY.sub("", path)

    def undone(self, entry: Mapping[str, Any]) -> None:
        """Notes how a step was undone."""
        path: str = entry["step"]
        word: str = entry["compensation"]
        # Of a loop's iterations the answer has the last ones only: its id still tells the step.
        key = self.keys.get(path) or self.last.get(path.rpartition(".")[2])
        if key is not None:
            undo = self.seen.setdefault(f"{key}!undo", _Seen())
            undo.statuses.append(_UNDONE.get(word, word))
