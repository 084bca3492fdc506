"""Random definitions with and without `batch`: the same comes of them.

Those of the saga model, made sequential: what happens at the same time differs from run to run,
and clocks of parents and children do in virtual time. BATCH_EXAMPLES sets how many are made.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import re
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory

from dsl.loader import load_text
from tests.properties.sagas import drawn, maps
from tests.support.conformance import Case, Runner
from tests.support.servers import fetch_chain, persistent, replay

EXAMPLES = int(os.environ.get("BATCH_EXAMPLES", "80"))
_ABREAST = 12
_SLOW = ("delay", "block", "at_most", "hang")
_ELSEWHERE = frozenset(("join", "losers"))

Data = dict[str, Any]


async def test_the_same_with_batch(runner: Runner) -> None:
    await _compare(EXAMPLES, 30, runner)


async def test_the_same_with_batch_and_going_on_as_new(short_runner: Runner) -> None:
    await _compare(EXAMPLES // 2, 31, short_runner)


async def _compare(examples: int, seed: int, runner: Runner) -> None:
    gate = asyncio.Semaphore(_ABREAST)

    chains: list[WorkflowHistory] = []

    async def pair(plain: Data, batched: Data) -> str | None:
        async with gate:
            outcomes = [await _outcome(data, runner, chains) for data in (plain, batched)]
        if outcomes[0] == outcomes[1]:
            return None
        return f"{json.dumps(batched)}\nwithout: {outcomes[0]}\nwith: {outcomes[1]}"

    pairs = [
        (data, batched)
        for data in drawn(examples, seed=seed)
        if (batched := _batched(data)) is not None
    ]
    assert len(pairs) >= examples // 40
    wrong = [found for found in await asyncio.gather(*(pair(*one) for one in pairs)) if found]
    if wrong:
        pytest.fail(min(wrong, key=len), pytrace=False)
    await replay(*chains)


async def _outcome(data: Data, runner: Runner, chains: list[WorkflowHistory]) -> tuple[Any, ...]:
    name = runner.load(Case("batch", data))
    handle = await runner.start(name, data)
    output = error = None
    async with asyncio.timeout(40):
        await runner.skip(handle)
        try:
            output = await persistent(handle.result)
        except WorkflowFailureError as failure:
            error = getattr(failure.cause, "type", str(failure.cause))
        state = await handle.query("status")
        chains += await fetch_chain(runner.client, name, children=True)
    acts = sorted(re.sub(r"\[\d+\]", "", call.path) for call in runner.worlds[name].calls)
    return state["status"], output, error, acts


def _batched(data: Data) -> Data | None:
    """Makes a case sequential, and gives it with `batch`; None where it cannot have any."""
    definition = data["definition"]
    for step in maps(definition):
        for key in ("concurrency", "timeout", "start_to_close_timeout"):
            step.pop(key, None)
        for key in ("sleep", "sleep_until"):
            if key in step:
                step["value"] = step.pop(key)
    for mock in data.get("mocks", {}).values():
        for one in mock.get("sequence", [mock]):
            for key in _SLOW:
                one.pop(key, None)
    if "cancel" in data or any(isinstance(s.get("parallel"), dict) for s in maps(definition)):
        return None
    batched = copy.deepcopy(data)
    loops = [s for s in maps(batched["definition"]) if "foreach" in s and not _ELSEWHERE & s.keys()]
    for step in loops:
        step["batch"] = 2
    text = json.dumps({"dsl": 1, "name": "batched", **batched["definition"]})
    return batched if loops and load_text(text, "batched").ok else None
