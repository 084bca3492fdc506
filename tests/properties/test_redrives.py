"""Random definitions that fail and are redriven: what was done is not done again.

Those of the saga model without what undoes: then every run that fails can be redriven. The second
time all activities succeed. REDRIVE_EXAMPLES sets how many definitions are made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowHistory

from dsl.loader import load_text
from tests.properties.sagas import drawn, maps
from tests.support.conformance import TASK_QUEUE, Case, Runner
from tests.support.servers import fetch, fetch_chain, persistent, replay

EXAMPLES = int(os.environ.get("REDRIVE_EXAMPLES", "30"))
_ABREAST = 12
_TAKEN_OUT = ("compensate", "compensation", "pivot", "timeout", "start_to_close_timeout")
_ERRORS = ("X", "Y", "JoinFailed", "MaxIterations")

Data = dict[str, Any]


@pytest.mark.parametrize("batch", [False, True], ids=["plain", "in batches"])
async def test_what_was_done_is_not_done_again(batch: bool, runner: Runner) -> None:
    gate = asyncio.Semaphore(_ABREAST)
    chains: list[WorkflowHistory] = []

    async def one(data: Data) -> str | None:
        async with gate:
            try:
                return await _redriven(data, runner, chains)
            except Exception as error:
                raise AssertionError(json.dumps(data)) from error

    cases = [data for data in drawn(EXAMPLES, seed=20 + batch) if _prepared(data, batch)]
    found = await asyncio.gather(*map(one, cases))
    assert found.count("redriven") >= len(cases) // 10
    wrong = [problem for problem in found if problem not in (None, "redriven")]
    assert not wrong, min((str(one) for one in wrong), key=len)
    await replay(*chains)


async def _redriven(data: Data, runner: Runner, chains: list[WorkflowHistory]) -> str | None:
    """Runs a case, and redrives it where it failed; gives what is wrong with it."""
    name = runner.load(Case("redriven", data))
    first = await runner.start(name, data)
    state = await _end(first, runner)
    if state["status"] != "failed":
        return None
    world = runner.worlds[name]
    before = _completed(await fetch_chain(runner.client, name, children=True))
    world.calls.clear()
    world.mocks = {}
    again = await runner.client.start_workflow(
        name,
        args=[None, {"redrive": _last_run(await fetch(runner.client.get_workflow_handle(name)))}],
        id=name,
        task_queue=TASK_QUEUE,
    )
    state = await _end(again, runner)
    twice = before & {call.path for call in world.calls if "!finally" not in call.path}
    report = f"{json.dumps(data)}\n{state}\n"
    if twice:
        return f"{report}done again: {sorted(twice)}"
    error = state.get("error", {"type": "X"})["type"]
    if state["status"] not in ("completed", "failed") or error not in _ERRORS:
        return f"{report}it ended {state['status']}: {error}"
    chains += await fetch_chain(runner.client, name, children=True)
    return "redriven"


async def _end(handle: WorkflowHandle[Any, Any], runner: Runner) -> Data:
    async with asyncio.timeout(40):
        await runner.skip(handle)
        with contextlib.suppress(WorkflowFailureError):
            await persistent(handle.result)
        return await handle.query("status")


def _last_run(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.original_execution_run_id


def _completed(chain: list[WorkflowHistory]) -> set[str]:
    """The paths of the acts that completed, as far as the run learned: not once cancelled."""
    found: set[str] = set()
    for history in chain:
        scheduled: dict[int, str] = {}
        for event in history.events:
            match event.event_type:
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    attributes = event.activity_task_scheduled_event_attributes
                    scheduled[event.event_id] = attributes.activity_id
                case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
                    given_up = event.activity_task_cancel_requested_event_attributes
                    scheduled[given_up.scheduled_event_id] = ""
                case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                    ended = event.activity_task_completed_event_attributes
                    found.add(scheduled[ended.scheduled_event_id])
                case _:
                    pass
    return found


def _prepared(data: Data, batch: bool) -> bool:
    """Takes out of a case what undoes, and what time decides; says whether it fits the test."""
    if "cancel" in data:
        return False
    for mock in data.get("mocks", {}).values():
        for one in mock.get("sequence", [mock]):
            one.pop("hang", None)
    for step in maps(data["definition"]):
        for key in _TAKEN_OUT:
            step.pop(key, None)
        if "rollback" in step:
            step["value"] = step.pop("rollback")
        if batch and "foreach" in step and not {"join", "losers"} & step.keys():
            step["batch"] = 2
    return not batch or _valid(data, '"batch"')


def _valid(data: Data, needed: str) -> bool:
    text = json.dumps({"dsl": 1, "name": "redriven", **data["definition"]})
    return needed in text and load_text(text, "redriven").ok
