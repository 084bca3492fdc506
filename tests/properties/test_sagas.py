"""Random definitions with random failures: what must hold of every saga, whatever its shape.

Invariants, checked on what the activities themselves recorded:

- the run ends, and its history replays from an empty cache;
- nothing is undone twice, nothing before it settled, and nothing begins after it was undone;
- if the run failed or was cancelled, every act that may have happened was undone once;

SAGA_EXAMPLES sets how many; `make soak` tries more.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests.support.conformance import Call, Case, Runner

EXAMPLES = int(os.environ.get("SAGA_EXAMPLES", "60"))


class Maker:
    """Makes a random definition.

    Args:
        seed: Where the randomness starts.
    """

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self.count = 0
        self.mocks: dict[str, Any] = {}
        self.with_undo: set[str] = set()

    def id(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def act(self) -> dict[str, Any]:
        """An activity with a compensation, or without."""
        id = self.id("a")
        roll = self.pick.random()
        if roll < 0.14:
            self.mocks[id] = {"raise": {"type": self.pick.choice(["X", "Y"])}}
        elif roll < 0.22:
            self.mocks[id] = {"delay": f"{self.pick.randrange(10, 60)}ms", "return": 1}
        elif roll < 0.28:
            self.mocks[id] = {"sequence": [{"raise": {"type": "X"}}, {"return": 1}]}
        step: dict[str, Any] = {"id": id, "activity": id, "heartbeat_timeout": "5s"}
        if self.pick.random() < 0.85:
            step["compensate"] = {"activity": f"undo_{id}"}
            self.with_undo.add(id)
        return step

    def steps(self, depth: int, loop: bool = False) -> list[dict[str, Any]]:
        steps = [self.step(depth, loop) for _ in range(self.pick.randrange(1, 4))]
        if loop and self.pick.random() < 0.2:
            steps.append({"if": "index == 1", self.pick.choice(["break", "continue"]): True})
        return steps

    def step(self, depth: int, loop: bool) -> dict[str, Any]:
        pick = self.pick
        if depth <= 0 or pick.random() < 0.4:
            return self.act() if pick.random() < 0.9 else {"sleep": "1m"}
        kind = pick.choice(["do", "parallel", "parallel", "foreach", "while", "switch"])
        step: dict[str, Any]
        match kind:
            case "do":
                step = {"do": self.steps(depth - 1, loop)}
                if pick.random() < 0.2:
                    step["retry"] = {"maximum_attempts": 2}
            case "parallel":
                names = ["p", "q", "r"][: pick.randrange(2, 4)]
                step = {"parallel": {name: self.steps(depth - 1, loop) for name in names}}
                self.joining(step, len(names))
            case "foreach":
                step = {"foreach": [1, 2, 3], "do": self.steps(depth - 1, True)}
                step["concurrency"] = pick.randrange(1, 4)
                self.joining(step, 3)
                if pick.random() < 0.2 and "join" not in step:
                    step["tolerated_failures"] = 1
            case "while":
                step = {"while": "vars.n < 2", "vars": {"n": 0}, "index_as": "index"}
                step["do"] = [{"set": {"n": "${ vars.n + 1 }"}}, *self.steps(depth - 1, True)]
            case _:
                step = {"switch": [{"when": "true", "do": self.steps(depth - 1, loop)}]}
        if loop and kind in ("foreach", "while"):
            step.setdefault("index_as", f"i{self.count}")
            step["as" if kind == "foreach" else "index_as"] = f"j{self.count}"
            step = {"do": [self.act(), {"sleep": "1s"}]}  # loops in loops: one level is enough
        self.edges(step)
        return step

    def joining(self, step: dict[str, Any], count: int) -> None:
        if self.pick.random() < 0.3:
            step["join"] = self.pick.choice(["any", self.pick.randrange(1, count + 1)])
            if self.pick.random() < 0.3:
                step["losers"] = "finish"
        if self.pick.random() < 0.2:
            step["on_error"] = "wait_all"

    def edges(self, step: dict[str, Any]) -> None:
        pick = self.pick
        if pick.random() < 0.25:
            clause: dict[str, Any] = {"do": [self.act()]}
            if pick.random() < 0.5:
                clause["errors"] = ["X"]
            step["catch"] = [clause]
        if pick.random() < 0.15:
            step["finally"] = [{"id": self.id("f"), "activity": "tidy"}]
        if pick.random() < 0.15:
            step["timeout"] = pick.choice(["30s", "1h"])
        if "do" in step and pick.random() < 0.1:
            step["compensation"] = {"order": "parallel"}


@pytest.mark.parametrize("seed", range(EXAMPLES))
async def test_random_sagas(seed: int, runner: Runner) -> None:
    maker = Maker(seed)
    steps = maker.steps(3)
    if maker.pick.random() < 0.3:
        steps.append({"raise": "AtTheEnd"})
    data: dict[str, Any] = {
        "name": f"random {seed}",
        "definition": {"steps": steps},
        "mocks": maker.mocks,
        "expect": {},
    }
    if maker.pick.random() < 0.2:
        data["cancel"] = maker.pick.choice(["0s", "30s", "90s"])
    status, calls = await runner.observe(Case(f"random {seed}", data))
    _check(status, calls, maker.with_undo)


def _check(status: str, calls: list[Call], with_undo: set[str]) -> None:
    assert status in ("completed", "failed", "compensated", "cancelled"), status
    last: dict[str, Call] = {}  # the last attempt of each act
    undone: set[str] = set()
    for call in calls:
        assert call.ended is not None, f"{call.path} never ended"
        path = call.path.removesuffix("!undo")
        if path == call.path:
            assert path not in undone, f"{path} began after it was undone"
            last[path] = call
            continue
        assert path not in undone, f"{path} was undone twice"
        undone.add(path)
        # One that was sent and cancelled on its way never began here; it is undone all the same.
        if path in last:
            settled = last[path].ended
            assert settled is not None
            assert settled <= call.began, f"{path} was undone while it was in flight"
    if status != "completed":
        left = {path for path, call in last.items() if call.activity in with_undo} - undone
        left = {path for path in left if "!finally" not in path}
        assert not left, f"not undone: {left}"
