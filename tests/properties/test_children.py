"""Random definitions, and the same with some of their steps in child definitions: the same is done
and undone, in the same order.

Those of the saga model, made sequential: what happens at the same time differs from run to run.
Where it stays so, nothing fails before the end, and everything is undone once, in whatever order.
CHILDREN_EXAMPLES sets how many are made.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import os
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowHistory

from dsl.loader import load_text
from tests.properties.sagas import drawn, maps
from tests.support.conformance import Case, Runner
from tests.support.servers import fetch_chain, persistent, replay

EXAMPLES = int(os.environ.get("CHILDREN_EXAMPLES", "16"))
_ABREAST = 8
_TIMED = ("delay", "block", "at_most", "hang")
_DROPPED = ("timeout", "start_to_close_timeout", "join", "losers", "tolerated_failures", "on_error")
_BOUND = re.compile(r'"(return|break|continue|rollback|pivot)"|\battempt\b')
"""What means something else in another definition."""
_STOPS = ("nothing", "cancel", "cancel", "definition", "step")
"""What stops a run while an act is in flight: somebody, or a timeout."""
_LIMIT = "1500ms"
_numbers = itertools.count()

Data = dict[str, Any]


async def test_the_same_with_children(runner: Runner) -> None:
    await _compare(EXAMPLES, 40, runner)


async def test_the_same_with_children_and_going_on_as_new(short_runner: Runner) -> None:
    await _compare(EXAMPLES // 2, 41, short_runner)


async def test_the_same_at_the_same_time(runner: Runner) -> None:
    await _compare(EXAMPLES // 2, 42, runner, abreast=True)


async def test_the_same_at_the_same_time_and_going_on_as_new(short_runner: Runner) -> None:
    await _compare(EXAMPLES // 4, 43, short_runner, abreast=True)


@dataclass
class _Divided:
    """A definition twice: with blocks, and with children in their places.

    Args:
        random: Decides which steps are moved.
        common: What the children have of the definition.
        limited: Whether one of the blocks has a timeout.
    """

    random: Random
    common: Data
    limited: bool = False
    more: list[Data] = field(default_factory=list[Data])

    def both(self, data: Any) -> tuple[Any, Any]:
        """A part of the definition, with blocks and with children."""
        if isinstance(data, list) and data and all(isinstance(one, dict) for one in data):
            return self.steps(data)
        if isinstance(data, dict):
            pairs = {key: self.both(value) for key, value in data.items()}
            return tuple({key: pair[side] for key, pair in pairs.items()} for side in (0, 1))  # pyright: ignore
        return data, copy.deepcopy(data)

    def steps(self, steps: list[Data]) -> tuple[list[Data], list[Data]]:
        """A list of steps, or of something else that is left as it is."""
        pairs = [self.both(step) for step in steps]
        plain, moved = [one for one, _ in pairs], [one for _, one in pairs]
        if not all(
            {"activity", "do", "foreach", "parallel"} & one.keys()
            or {"while", "until", "value", "switch", "raise"} & one.keys()
            for one in steps
        ):
            return plain, moved
        if any("errors" in one or "when" in one or "else" in one for one in steps):
            return plain, moved
        if self.random.random() < 0.45:
            return plain, moved
        first = self.random.randrange(len(steps))
        end = self.random.randrange(first, len(steps)) + 1
        if not _is_free(plain[first:end]):
            return plain, moved
        block, call, child = self.moved(plain[first:end], moved[first:end])
        self.more.append(child)
        return [*plain[:first], block, *plain[end:]], [*moved[:first], call, *moved[end:]]

    def moved(self, plain: list[Data], moved: list[Data]) -> tuple[Data, Data, Data]:
        """A block, the step in its place, and the definition that this one runs."""
        number = next(_numbers)
        name = f"child-{number}"
        child: Data = {"dsl": 1, "name": name, **copy.deepcopy(self.common), "steps": moved}
        around: Data = {"id": f"m{number}"}
        edge: Data = {}  # of the definition
        if self.random.random() < 0.2:
            edge["catch"] = [{"do": [_act(f"mended{number}")]}]
        if self.random.random() < 0.2:
            edge["finally"] = [{"id": f"tidied{number}", "activity": f"tidied{number}"}]
        if edge:
            child |= copy.deepcopy(edge)
            plain = [{"do": plain, **edge}]
        if self.random.random() < 0.15:
            around["catch"] = [{"do": [_act(f"caught{number}")]}]
        if self.random.random() < 0.15:
            around["retry"] = {"maximum_attempts": 2}
        if self.random.random() < 0.15:
            around["finally"] = [_act(f"cleaned{number}")]
        elif self.random.random() < 0.15:
            around["compensate"] = {
                "activity": f"undo_m{number}",
                "if": "step.status == 'completed'",
            }
        if self.limited:
            self.limited = False
            around["timeout"] = _LIMIT
        return {**around, "do": plain}, {**copy.deepcopy(around), "workflow": name}, child


def _act(id: str) -> Data:
    return {"id": id, "activity": id, "compensate": {"activity": f"undo_{id}"}}


def _is_free(steps: list[Data]) -> bool:
    """Whether steps mean the same in a definition of their own."""
    text = json.dumps(steps)
    if _BOUND.search(text):
        return False
    own = {str(one["index_as"]) for one in maps(steps) if "index_as" in one}
    own |= {name for one in maps(steps) for name in one.get("vars", {})}
    return set(re.findall(r"\b[in]\d+\b", text)) <= own


def _divided(data: Data, seed: int, *, abreast: bool) -> tuple[Data, Data] | None:
    """A case with blocks, and with children; None where nothing of it can be moved."""
    random = Random(seed)
    data = json.loads(json.dumps(data))
    data.pop("cancel", None)
    definition: Data = data["definition"]
    if abreast:
        data["mocks"] = {}
        definition["steps"].append({"raise": "Last"})
    for step in maps(definition):
        for key in _DROPPED:
            step.pop(key, None)
        if abreast:
            if step.get("raise", "Last") != "Last" or "rollback" in step:
                step.pop("rollback", None)
                step["value"] = step.pop("raise", None)
        else:
            step.pop("concurrency", None)
            if isinstance(step.get("parallel"), dict):
                step["concurrency"] = 1
        for key in ("sleep", "sleep_until"):
            if key in step:
                step["value"] = step.pop(key)
        if "rollback" in step:
            step["rollback"] = "all"
        options = step.pop("compensation", {})
        if step is definition and "register" in options:
            step["compensation"] = {"register": options["register"]}
    for mock in data.get("mocks", {}).values():
        for one in mock.get("sequence", [mock]):
            for key in _TIMED:
                one.pop(key, None)
    stop = "nothing" if abreast else random.choice(_STOPS)
    data["stop"] = _stopped(data, stop, random)
    common = {"defaults": definition["defaults"]}
    common["compensation"] = {**definition.get("compensation", {}), "on_parent_rollback": True}
    parts = _Divided(random, common, limited=stop == "step")
    plain, moved = parts.both(definition)
    if not parts.more:
        return None
    one, other = ({**copy.deepcopy(data), "definition": d} for d in (plain, moved))
    return one, {**other, "more": parts.more}


def _stopped(data: Data, stop: str, random: Random) -> str | None:
    """Has a run stopped while an act is in flight; gives the act where somebody cancels."""
    definition: Data = data["definition"]
    acts = [one for one in maps(definition) if "activity" in one and one.get("id", "")[0:1] == "a"]
    if stop == "nothing" or not acts:
        return None
    act = random.choice(acts)
    act["heartbeat_timeout"] = "30s"
    data["mocks"][act["activity"]] = {"block": True, "at_most": "4s", "return": 1}
    if stop == "cancel":
        return act["activity"]
    for step in maps(definition):  # a pause would race with the timeout
        if step is not definition.get("defaults"):
            step.pop("retry", None)
    definition["defaults"] = {"retry": {"maximum_attempts": 1}}
    if stop == "definition":
        definition["timeout"] = _LIMIT
    return None


async def _compare(examples: int, seed: int, runner: Runner, *, abreast: bool = False) -> None:
    gate = asyncio.Semaphore(_ABREAST)
    chains: list[WorkflowHistory] = []

    async def pair(plain: Data, moved: Data) -> str | None:
        async with gate:
            outcomes = [await _outcome(data, runner, chains) for data in (plain, moved)]
        if abreast:
            outcomes = [(output, error, sorted(acts)) for output, error, acts in outcomes]
        if outcomes[0] == outcomes[1]:
            return None
        return f"{json.dumps(moved)}\nblocks:   {outcomes[0]}\nchildren: {outcomes[1]}"

    pairs = [
        found
        for index, data in enumerate(drawn(examples, seed=seed))
        if (found := _divided(data, seed + index, abreast=abreast)) is not None
        and _is_valid(*found)
    ]
    assert len(pairs) >= examples // 4
    wrong = [found for found in await asyncio.gather(*(pair(*one) for one in pairs)) if found]
    if wrong:
        pytest.fail(
            f"{len(wrong)} of {len(pairs)}\n{chr(10).join(sorted(wrong, key=len)[:6])}",
            pytrace=False,
        )
    await replay(*chains)


def _is_valid(*cases: Data) -> bool:
    """Whether the language takes it: a pivot may have come to stand where none may."""
    for data in cases:
        parts = [{"dsl": 1, "name": "case", **data["definition"]}, *data.get("more", [])]
        if not load_text("\n---\n".join(map(json.dumps, parts)), "case").ok:
            return False
    return True


async def _outcome(data: Data, runner: Runner, chains: list[WorkflowHistory]) -> tuple[Any, ...]:
    """The output, the error, and what was done and undone, in its order."""
    data = dict(data)
    stop = data.pop("stop")
    name = runner.load(Case("children", data))
    calls = runner.worlds[name].calls
    output = error = None
    async with asyncio.timeout(60):
        handle = await runner.start(name, data)
        ending = asyncio.create_task(persistent(handle.result))
        flying = asyncio.create_task(_fly(runner, handle, ending))
        if stop is not None:
            while not ending.done() and all(call.activity != stop for call in calls):
                await asyncio.sleep(0.005)
            if not ending.done():
                await handle.cancel()
        try:
            output = await ending
        except WorkflowFailureError as failure:
            error = getattr(failure.cause, "type", str(failure.cause))
        await flying
        chains += await fetch_chain(runner.client, name, children=True)
    return output, error, [call.activity for call in calls]


async def _fly(runner: Runner, handle: WorkflowHandle[Any, Any], ending: asyncio.Task[Any]) -> None:
    """Lets time fly until a run has ended, which may go on as new."""
    while not ending.done():
        await runner.skip(handle)
        await asyncio.sleep(0.02)
