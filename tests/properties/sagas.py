"""Random definitions with what their activities do: small, valid, and readable when they shrink."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

__all__ = ["drawn", "explore", "maps"]

_LONG = ("1m", "20m", "1h")
_ENDS: dict[str, dict[str, Any]] = {
    "completes": {"return": 1},
    "completes late": {"delay": "60ms", "return": 1},
    "works until it is cancelled": {"block": True, "at_most": "150ms", "return": 1},
    "completes although it is cancelled": {"block": "completes", "at_most": "150ms", "return": 1},
    "fails before it acts": {"raise": {"type": "X", "retryable": True}},
    "acts and fails": {"delay": "30ms", "raise": {"type": "Y", "retryable": True}},
    "fails for good": {"raise": {"type": "X"}},
    "fails although it is cancelled": {
        "block": "completes",
        "at_most": "150ms",
        "raise": {"type": "Y", "retryable": True},
    },
    "times out": {"hang": "150ms"},
}
"""What an act may do, and how a mock says it. They can be told apart only from outside."""
_UNDOES: dict[str, list[dict[str, Any]]] = {
    "works": [{"return": 1}],
    "works slowly": [{"delay": "40ms", "return": 1}],
    "fails once": [{"raise": {"type": "U", "retryable": True}}, {"return": 1}],
    "fails for good": [{"raise": {"type": "U"}}],
}


class _Maker:
    """Makes a definition.

    Args:
        tape: Its decisions, a byte each. What is not on it is 0, which is the simplest.
    """

    def __init__(self, tape: bytes) -> None:
        self.tape = iter(tape)
        self.mocks: dict[str, Any] = {}
        self.count = 0
        self.ids: list[str] = []  # of steps that a `rollback` may name here
        self.truths = ["true", "false"]  # conditions that may be asked here
        self.looped = False  # whether `break` and `continue` may stand here
        self.abreast = False  # whether it runs at the same time as something else

    def pick(self, *options: Any) -> Any:
        """One of some options. It shrinks towards the first."""
        return options[next(self.tape, 0) * len(options) // 256]

    def often(self, weight: int) -> bool:
        """True in `weight` of 20 cases."""
        return next(self.tape, 0) >= 256 - weight * 256 // 20

    def name(self, letter: str) -> str:
        """A new id."""
        self.count += 1
        return f"{letter}{self.count}"

    @contextmanager
    def inside(self, **changes: Any) -> Generator[None]:
        """While the inside of a block is made."""
        before = {name: getattr(self, name) for name in changes}
        ids, truths = list(self.ids), list(self.truths)
        for name, value in changes.items():
            setattr(self, name, value)
        yield
        for name, value in before.items():
            setattr(self, name, value)
        self.ids, self.truths = ids, truths

    # Steps.

    def steps(self, depth: int, most: int = 3) -> list[dict[str, Any]]:
        return [self.step(depth) for _ in range(self.pick(*range(1, most + 1)))]

    def step(self, depth: int) -> dict[str, Any]:
        kinds = ["act"] * 8 + ["jump", "sleep", "rollback"]
        if depth > 0:
            kinds += ["do"] * 3 + ["parallel"] * 4 + ["foreach"] * 3 + ["loop"] * 2 + ["switch"]
        kind = self.pick(*kinds)
        retried = kind in (*_BLOCKS, "sleep") and self.often(3)
        with self.inside():
            self.truths += ["attempt == 1"] * retried
            step = self.block(kind, depth) if kind in _BLOCKS else self.leaf(kind)
            ids = self.ids
        if kind == "do":
            self.ids = ids  # they stay visible
        if retried:
            step["retry"] = {"maximum_attempts": 2}
        if kind != "jump":
            self.edges(step)
        if "id" in step and "compensate" in json.dumps(step):
            self.ids.append(step["id"])
        return step

    def block(self, kind: str, depth: int) -> dict[str, Any]:
        step: dict[str, Any] = getattr(self, kind)(depth)
        self.options(step)
        return step

    def leaf(self, kind: str) -> dict[str, Any]:
        if kind == "sleep":
            step: dict[str, Any] = {"id": self.name("s"), "sleep": self.pick(*_LONG)}
            if self.often(3):
                step["compensate"] = self.compensation(step["id"])
            return step
        if kind == "rollback":
            some = self.ids and self.often(12)
            return {"rollback": [self.pick(*self.ids)] if some else "all"}
        if kind == "jump":
            return self.jump()
        return self.act()

    def jump(self) -> dict[str, Any]:
        jumps: list[dict[str, Any]] = [{"raise": "X"}, {"raise": "Y"}, {"return": 1}]
        if self.looped:
            jumps += [{"break": True}, {"continue": True}]
        condition = self.pick(*self.truths)
        step = self.pick(*jumps)
        return step if condition == "true" else {"if": condition, **step}

    def act(self) -> dict[str, Any]:
        id = self.name("a")
        step: dict[str, Any] = {"id": id, "activity": id}
        ends = [self.pick(*("completes",) * 6, *_ENDS) for _ in range(self.pick(1, 1, 1, 2))]
        if any(end != "completes" for end in ends):
            self.mocks[id] = {"sequence": [_ENDS[end] for end in ends]}
        if "times out" in ends:
            step["start_to_close_timeout"] = "80ms"
        if self.often(3):
            step["retry"] = {"maximum_attempts": 2}
        if self.often(16):
            step["compensate"] = self.compensation(id)
        if "compensate" in step and self.often(2):
            step["timeout"] = "70ms"
        return step

    def compensation(self, id: str) -> Any:
        """What undoes a step."""
        name = f"undo_{id}"
        undo: dict[str, Any] = {"activity": name}
        how = self.pick("works", "works", *_UNDOES)
        if how != "works":
            self.mocks[name] = {"sequence": _UNDOES[how]}
        if how == "fails once" and self.often(6):
            undo["retry"] = {"maximum_attempts": 1}
        shape = self.pick(*("one",) * 8, "list", "sleeps", "if", "block")
        match shape:
            case "list":
                return [{"id": f"u{id}", **undo}, {"id": f"v{id}", "activity": f"more_{name}"}]
            case "sleeps":
                return [{"sleep": self.pick(*_LONG)}, {"id": f"u{id}", **undo}]
            case "if":
                status = self.pick("completed", "failed", "timed_out", "cancelled")
                return {"if": f"step.status == '{status}'", **undo}
            case "block":
                inner = {"id": f"u{id}", **undo}
                caught = [{"do": [{"id": f"c{id}", "activity": f"mend_{id}"}]}]
                return {"do": [inner], "catch": caught}
            case _:
                return undo

    def do(self, depth: int) -> dict[str, Any]:
        return {"id": self.name("d"), "do": self.steps(depth - 1)}

    def parallel(self, depth: int) -> dict[str, Any]:
        id, branches = self.name("p"), {}
        for name in ("x", "y", "z")[: self.pick(2, 2, 3)]:
            with self.inside(abreast=True):
                branches[name] = self.steps(depth - 1, 2)
        step: dict[str, Any] = {"id": id, "parallel": branches}
        if self.often(4):
            step["concurrency"] = self.pick(1, 2)
        return self.joined(step, len(branches))

    def foreach(self, depth: int) -> dict[str, Any]:
        id, index = self.name("f"), self.name("i")
        step: dict[str, Any] = {"id": id, "foreach": [1, 2, 3][: self.pick(2, 2, 3)]}
        step |= {"index_as": index, "as": f"item_{index}"}
        together = self.pick(1, 1, 2, 3)
        if together > 1:
            step["concurrency"] = together
        self.joined(step, len(step["foreach"]))
        with self.iterations(index, abreast=self.abreast or together > 1):
            step["do"] = self.steps(depth - 1, 2)
        return step

    def loop(self, depth: int) -> dict[str, Any]:
        index, n = self.name("i"), self.name("n")
        kind, condition = self.pick(("while", f"vars.{n} < 2"), ("until", f"vars.{n} >= 2"))
        step: dict[str, Any] = {"id": self.name("w"), kind: condition, "index_as": index}
        step["vars"] = {n: 0}
        with self.iterations(index):
            step["do"] = [{"set": {n: f"${{ vars.{n} + 1 }}"}}, *self.steps(depth - 1, 2)]
        if self.often(2):
            step["max_iterations"] = 1
        return step

    @contextmanager
    def iterations(self, index: str, **changes: Any) -> Generator[None]:
        with self.inside(looped=True, **changes):
            self.truths += [f"{index} == 0", f"{index} == 1"]
            yield

    def switch(self, depth: int) -> dict[str, Any]:
        with self.inside():
            case = {"when": self.pick(*self.truths), "do": self.steps(depth - 1, 2)}
        with self.inside():
            return {"id": self.name("c"), "switch": [case, {"else": self.steps(depth - 1, 1)}]}

    # Options.

    def joined(self, step: dict[str, Any], count: int) -> dict[str, Any]:
        if self.often(7):
            step["join"] = self.pick("any", *range(1, count + 1))
            if self.often(7):
                step["losers"] = "finish"
        elif "foreach" in step and self.often(4):
            step["tolerated_failures"] = 1
        if self.often(3):
            step["on_error"] = "wait_all"
        return step

    def options(self, step: dict[str, Any]) -> None:
        """What a block may say about undoing."""
        options: dict[str, Any] = {}
        if "parallel" not in step and self.often(2):
            options["order"] = "parallel"
        if self.often(1):
            options["register"] = self.pick("after", "before")
        if self.often(1):
            options["on_failure"] = self.pick("halt", "continue")
        if options:
            step["compensation"] = options
        if self.often(3):
            step["compensate"] = self.compensation(step["id"])
        if self.often(2):
            step["timeout"] = self.pick("30m", "90m", "100ms")

    def edges(self, step: dict[str, Any]) -> None:
        """What a step may do about errors."""
        if self.often(3):
            step["catch"] = self.catch()
        if self.often(2):
            with self.inside(looped=False):
                step["finally"] = [self.act()]
        if not self.abreast and self.often(1):
            step["pivot"] = True

    def catch(self) -> list[dict[str, Any]]:
        clause: dict[str, Any] = {}
        if self.often(8):
            clause["errors"] = [self.pick("X", "Y", "Timeout")]
        with self.inside():
            clause["do"] = [self.pick(self.act, self.jump)()]
        return [clause]

    def definition(self) -> dict[str, Any]:
        """The whole of it."""
        depth = self.pick(1, 2, 2, 3)
        data: dict[str, Any] = {"defaults": {"retry": {"maximum_attempts": 1}}}
        options: dict[str, Any] = {}
        if self.often(1):
            options["order"] = "parallel"
        if self.often(1):
            options["register"] = "after"
        if self.often(2):
            options["on_failure"] = "halt"
        if options:
            data["compensation"] = options
        if self.often(1):
            data["timeout"] = self.pick("10m", "40m", "2h")
        data["steps"] = self.steps(depth, 4)
        if self.often(7):
            data["steps"].append({"raise": "X"})
        if self.often(2):
            data["catch"] = self.catch()
        if self.often(2):
            data["finally"] = [self.act()]
        return data


_BLOCKS: Sequence[str] = ("do", "parallel", "foreach", "loop", "switch")


def _case(tape: bytes) -> dict[str, Any]:
    maker = _Maker(tape)
    cancel: dict[str, Any] | None = None
    if maker.often(5):
        after = maker.pick("10s", "10m", "50m", "80m")
        cancel = maker.pick({"calls": maker.pick(*range(1, 9))}, {"after": after})
    case = {"definition": maker.definition(), "mocks": maker.mocks}
    return case if cancel is None else {**case, "cancel": cancel}


def cases() -> st.SearchStrategy[dict[str, Any]]:
    """Definitions, what their activities do, and when they are cancelled, if they are."""
    return st.binary(min_size=120, max_size=400).map(_case)


def explore(
    count: int, seed: int, body: Callable[[dict[str, Any]], None], phases: Sequence[Phase]
) -> None:
    """Lets Hypothesis make cases: the same ones each time.

    Args:
        count: How many.
        seed: Which.
        body: Gets each of them.
        phases: Whether one that fails is made smaller.
    """

    def each(data: dict[str, Any]) -> None:
        body(data)

    quiet = settings(
        max_examples=count,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    seeded(seed)(quiet(given(cases())(each)))()


def drawn(count: int, seed: int) -> list[dict[str, Any]]:
    """That many cases, which may be changed: they share nothing."""
    found: list[dict[str, Any]] = []
    explore(count, seed, lambda data: found.append(json.loads(json.dumps(data))), [Phase.generate])
    return found


def maps(value: Any) -> Iterator[dict[str, Any]]:
    """Every map in a value, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for one in tuple(value.values()):
            yield from maps(one)
    elif isinstance(value, list):
        for one in value:
            yield from maps(one)
