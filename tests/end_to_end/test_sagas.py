"""What docs/sagas.md says and a conformance case cannot show: Temporal's own ends, and reports."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry, idempotency_key
from interpreter.definitions.store import MemoryStore
from interpreter.steps.values import ValueNode
from interpreter.worker import make_worker
from tests.support.conformance import Case, Runner
from tests.support.servers import replay


class Desk:
    """A definition and its one activity, which keeps the keys of its acts.

    Args:
        client: A client of the server.
        text: The definition without its name.
    """

    def __init__(self, client: Client, text: str) -> None:
        self.client = client
        self.name = f"d{uuid.uuid4().hex[:8]}"
        loaded = load_text(f"dsl: 1\nname: {self.name}\n{text}")
        assert loaded.ok, loaded.diagnostics
        self.store = MemoryStore(loaded.definitions)
        self.keys: list[str] = []

    @property
    def paths(self) -> list[str]:
        return [key.partition("/")[2] for key in self.keys]

    def worker(self) -> Worker:
        @activity.defn(name="act")
        async def act(fail: str | None = None) -> int:
            self.keys.append(idempotency_key())
            if fail is not None:
                raise ApplicationError("as told", type=fail, non_retryable=True)
            return 1

        registry = ActivityRegistry([act])
        return make_worker(self.client, self.store, registry, task_queue=self.name)

    async def until(self, ready: Callable[[], bool]) -> None:
        for _ in range(1000):
            if ready():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"it did not happen: {self.keys}")


WAITING = """
steps:
  - {id: a, activity: act, compensate: {activity: act}}
  - {id: w, sleep: 1h}
finally: [{id: f, activity: act}]
"""


async def test_what_runs_no_code_undoes_nothing(server: WorkflowEnvironment) -> None:
    """`terminate` and Temporal's own timeout of a run."""
    desk = Desk(server.client, WAITING)
    async with desk.worker():
        client, name = server.client, desk.name
        ended = await client.start_workflow(name, id=f"{name}-t", task_queue=name)
        await desk.until(lambda: len(desk.keys) == 1)
        await ended.terminate()
        late = await client.start_workflow(
            name, id=f"{name}-l", task_queue=name, run_timeout=timedelta(seconds=1)
        )
        with pytest.raises(WorkflowFailureError):
            await late.result()
        await asyncio.sleep(0.5)
    assert (await ended.describe()).status is WorkflowExecutionStatus.TERMINATED
    assert (await late.describe()).status is WorkflowExecutionStatus.TIMED_OUT
    assert desk.paths == ["a", "a"]


async def test_the_timeout_of_a_definition_is_a_timer_and_undoes(
    server: WorkflowEnvironment,
) -> None:
    desk = Desk(server.client, f"timeout: 1s{WAITING}")
    async with desk.worker():
        handle = await desk.client.start_workflow(desk.name, id=desk.name, task_queue=desk.name)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        events = (await handle.fetch_history()).events
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "Timeout"
    assert desk.paths == ["a", "a!undo", "!finally.f"]
    assert any(event.HasField("timer_fired_event_attributes") for event in events)


async def test_a_bug_of_the_interpreter_fails_the_task_and_not_the_run(
    server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is mended goes on where the other stood; nothing was undone."""
    text = """
steps:
  - {id: a, activity: act, compensate: {activity: act}}
  - {id: v, value: 5}
"""
    desk = Desk(server.client, text)

    async def bug(*_: object) -> None:
        raise KeyError("a bug")

    async with desk.worker():
        monkeypatch.setattr(ValueNode, "run", bug)
        handle = await desk.client.start_workflow(desk.name, id=desk.name, task_queue=desk.name)

        async def failed() -> bool:
            history = await handle.fetch_history()
            return any(
                event.HasField("workflow_task_failed_event_attributes") for event in history.events
            )

        for _ in range(500):
            if await failed():
                break
            await asyncio.sleep(0.02)
        assert await failed()
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        assert desk.paths == ["a"]
        monkeypatch.undo()
        assert await handle.result() == 5
    assert desk.paths == ["a"]


async def test_a_suspended_run_can_be_seen(server: WorkflowEnvironment) -> None:
    """In its status and in the details that Temporal's UI shows, as long as it is so."""
    text = """
steps:
  - {id: a, activity: act, compensate: {activity: act}}
  - id: block
    do: [{id: b, value: "${ steps.a.output.nope }"}]
  - {id: w, sleep: 1h}
"""
    desk = Desk(server.client, text)
    async with desk.worker():
        handle = await desk.client.start_workflow(desk.name, id=desk.name, task_queue=desk.name)
        state: dict[str, Any] = {}
        for _ in range(500):
            state = await handle.query("status")
            if state["status"] == "suspended":
                break
            await asyncio.sleep(0.02)
        assert state["status"] == "suspended"
        [suspended] = state["suspended"]
        assert (suspended["step"], suspended["fault"]) == ("b", "ExpressionFailed")
        assert state["compensations"] == []

        async def details() -> str:
            query = "__temporal_workflow_metadata"
            metadata: WorkflowMetadata = await handle.query(query, result_type=WorkflowMetadata)
            return metadata.current_details

        assert "**b** is suspended. ExpressionFailed" in await details()
        await handle.execute_update("dsl.answer", {"action": "skip", "step": "b", "by": "ann"})
        assert "suspended" not in await details()
        assert "`b`\u00a0\u00a0 | skipped |" in await details()
        state = await handle.query("status")
        assert state["status"] == "running"
        [answer] = state["answers"]
        assert (answer["action"], answer["step"], answer["by"]) == ("skip", "b", "ann")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert desk.paths == ["a", "a!undo"]


async def test_what_a_failure_carries(server: WorkflowEnvironment) -> None:
    """The error's own details, and the saga log; `status` shows the same."""
    text = """
compensation: {on_failure: halt}
steps:
  - {id: a, activity: act, compensate: {activity: act}}
  - {id: b, activity: act, compensate: {activity: act, with: {fail: Stuck}}}
  - {id: c, activity: act, compensate: {if: step.status == 'completed', activity: act}}
  - id: d
    activity: act
    with: {fail: Odd}
    compensate: {activity: act, with: {fail: "${ step.output }"}}
  - {id: never, activity: act, compensate: {activity: act}}
"""
    desk = Desk(server.client, text)
    async with desk.worker():
        handle = await desk.client.start_workflow(desk.name, id=desk.name, task_queue=desk.name)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        state = await handle.query("status")
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message, cause.details[0]) == ("Odd", "as told", None)
    report = cause.details[1]
    assert (report["status"], report["step"]) == ("compensation_failed", "d")
    assert report["saga"] == state["compensations"]
    assert state["status"] == "compensation_failed"
    entries = report["saga"]
    for entry in entries:
        if entry["compensation"] != "skipped":
            assert entry.pop("started") <= entry.pop("ended")
    assert entries == [
        {"step": "d", "status": "failed", "compensation": "compensated", "attempts": 1},
        {"step": "c", "status": "completed", "compensation": "compensated", "attempts": 1},
        {
            "step": "b",
            "status": "completed",
            "compensation": "failed",
            "attempts": 1,
            "error": {"type": "Stuck", "message": "as told"},
        },
        {"step": "a", "status": "completed", "compensation": "skipped"},
    ]


async def test_a_loop_of_300_iterations_is_undone_in_reverse(runner: Runner) -> None:
    """`status` has the whole saga log, a failure its last 200 entries."""
    count = 300
    undone = [[f"f[{n}].v", "compensated"] for n in reversed(range(count))]
    # All of them are undone, each tenth by an activity.
    undo: list[dict[str, Any]] = [
        {"id": "n", "value": "${ step.output }"},
        {"id": "u", "if": "item % 10 == 0", "activity": "undo", "with": {"n": "${ item }"}},
    ]
    step = {"id": "v", "value": "${ item }", "compensate": undo}
    data: dict[str, Any] = {
        "name": "300",
        "definition": {
            "steps": [{"id": "f", "foreach": f"range({count})", "do": [step]}, {"raise": "X"}]
        },
        "expect": {
            "status": "compensated",
            "error": "X",
            "saga": undone,
            "calls": [
                {"path": f"f[{n}].v!undo.u", "with": {"n": n}}
                for n in reversed(range(0, count, 10))
            ],
        },
    }
    history = await runner.run(Case("300", data))
    failed = history.events[-1].workflow_execution_failed_event_attributes.failure
    error = await runner.client.data_converter.decode_failure(failed)
    assert isinstance(error, ApplicationError)
    saga = error.details[1]["saga"]
    assert [[entry["step"], entry["compensation"]] for entry in saga] == undone[-200:]


async def test_120_items_at_the_same_time_are_each_undone_once(runner: Runner) -> None:
    count = 120
    step = {"id": "a", "activity": "a", "compensate": {"activity": "undo_a"}}
    loop = {"id": "f", "foreach": f"range({count})", "concurrency": 50, "do": [step]}
    data: dict[str, Any] = {
        "name": "120 at the same time",
        "definition": {"steps": [loop, {"raise": "X"}]},
        "expect": {
            "status": "compensated",
            "activities": ["a"] * count + ["undo_a"] * count,
        },
    }
    history = await runner.run(Case("120 at the same time", data))
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_id
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert len(scheduled) == len(set(scheduled)) == 2 * count
    # The last started begin first: as many at a time as were done at a time.
    assert scheduled[count : count + 50] == [f"f[{n}].a!undo" for n in range(119, 69, -1)]


async def test_each_run_of_a_schedule_has_a_root_of_its_own(server: WorkflowEnvironment) -> None:
    text = "steps: [{id: a, activity: act, compensate: {activity: act}}, {raise: X}]"
    desk = Desk(server.client, text)
    async with desk.worker():
        handle = await desk.client.start_workflow(
            desk.name, id=desk.name, task_queue=desk.name, cron_schedule="@every 1s"
        )
        await desk.until(lambda: len(desk.keys) >= 4)
        await handle.terminate()
    assert desk.paths[:4] == ["a", "a!undo", "a", "a!undo"]
    roots = [key.partition("/")[0] for key in desk.keys[:4]]
    assert roots[0] == roots[1] != roots[2] == roots[3]
    first = server.client.get_workflow_handle(desk.name, run_id=roots[0])
    await replay(await first.fetch_history())
