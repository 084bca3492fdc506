"""How far a run got, for each part of its definition's picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["State", "States", "states"]

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
        return State(min(self.statuses, key=_WORST.index), " ".join(labels))


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


class _Reader:
    """Reads the answer, whose steps have the paths of a run: `ship_all[3].ship`."""

    def __init__(self) -> None:
        self.seen: dict[str, _Seen] = {}
        self.keys: dict[str, str] = {}
        """The keys of paths, and of ids."""

    def steps(self, steps: Sequence[Mapping[str, Any]], loops: tuple[str, ...]) -> None:
        """Notes steps and those inside them.

        Args:
            steps: Their states.
            loops: The paths of the loops round them, the outermost first.
        """
        for step in steps:
            path = step["path"]
            key = self.keys[path] = self.key(path, loops)
            self.keys[path.rpartition(".")[2]] = key
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
        path = entry["step"]
        # Of a loop's iterations the answer has the last ones only: its id still tells the step.
        key = self.keys.get(path) or self.keys.get(path.rpartition(".")[2])
        if key is not None:
            undo = self.seen.setdefault(f"{key}!undo", _Seen())
            undo.statuses.append(_UNDONE[entry["compensation"]])
