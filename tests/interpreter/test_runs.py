"""What a run costs, survives and keeps, on a real server in real time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.loader import load_text
from interpreter.activities import ActivityContextInterceptor, ActivityRegistry, idempotency_key
from interpreter.definitions import resolver
from interpreter.definitions.resolver import Resolver
from interpreter.definitions.store import MemoryStore
from interpreter.headers import HeaderInterceptor
from interpreter.worker import make_worker
from interpreter.workflow import DslWorkflow
from tests.support.servers import replay


class Acts:
    """Activities that remember what they were asked."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.calls: list[tuple[str, Any]] = []

    def note(self, value: Any = None) -> Any:
        self.keys.append(idempotency_key())
        self.calls.append((activity.info().activity_id, value))
        return value

    @property
    def registry(self) -> ActivityRegistry:
        @activity.defn(name="act")
        async def act(value: Any = None) -> Any:
            return self.note(value)

        @activity.defn(name="slow")
        async def slow(value: Any = None, seconds: float = 0.1, fail: bool = False) -> Any:
            self.note(value)
            await asyncio.sleep(seconds)
            if fail:
                raise ApplicationError("as told", type="Told", non_retryable=True)
            return value

        return ActivityRegistry([act, slow])


def store_of(text: str) -> tuple[MemoryStore, str]:
    """A store with one definition, under a name of its own."""
    name = f"d{uuid.uuid4().hex[:8]}"
    loaded = load_text(f"dsl: 1\nname: {name}\n{text}")
    assert loaded.ok, loaded.diagnostics
    return MemoryStore(loaded.definitions), name


@asynccontextmanager
async def working(
    client: Client, text: str, acts: Acts, **options: Any
) -> AsyncIterator[tuple[str, str]]:
    """A worker for one definition; gives its name and its task queue."""
    store, name = store_of(text)
    async with make_worker(client, store, acts.registry, task_queue=name, **options):
        yield name, name


async def until(ready: Callable[[], bool], seconds: float = 10) -> None:
    """Waits until something is so."""
    for _ in range(int(seconds / 0.02)):
        if ready():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("count", [1, 5, 20])
async def test_a_sequence_costs_five_events_six_an_activity_and_one(
    server: WorkflowEnvironment, count: int
) -> None:
    steps = "\n".join(f"  - {{id: s{i}, activity: act}}" for i in range(count))
    async with working(server.client, f"steps:\n{steps}", Acts()) as (name, queue):
        handle = await server.client.start_workflow(name, id=name, task_queue=queue)
        await handle.result()
        assert len((await handle.fetch_history()).events) <= 5 + 6 * count + 1


@pytest.mark.parametrize("cached", [0, 1000])
async def test_runs_without_a_cache_are_the_same(server: WorkflowEnvironment, cached: int) -> None:
    text = """
steps:
  - id: p
    parallel:
      x: [{id: a, activity: act, with: {value: 1}, compensate: {activity: act}}]
      y:
        - id: f
          foreach: [1, 2, 3]
          concurrency: 2
          do: [{id: b, activity: act, compensate: {activity: act}}]
    timeout: 1m
  - {id: nap, sleep: 100ms}
  - {id: bad, activity: slow, with: {fail: true}}
"""
    acts = Acts()
    async with working(server.client, text, acts, max_cached_workflows=cached) as (name, queue):
        handle = await server.client.start_workflow(name, id=name, task_queue=queue)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "Told"
    paths = [path for path, _ in acts.calls]
    assert sorted(paths[:4]) == ["a", "f[0].b", "f[1].b", "f[2].b"]
    assert paths[4] == "bad"
    assert sorted(paths[5:]) == ["a!undo", "f[0].b!undo", "f[1].b!undo", "f[2].b!undo"]
    await replay(await handle.fetch_history())


async def test_keys_are_the_root_and_the_path_and_outlive_a_reset(
    server: WorkflowEnvironment,
) -> None:
    text = "steps:\n  - {id: one, activity: act}\n  - {id: two, activity: act}\n"
    acts = Acts()
    async with working(server.client, text, acts) as (name, queue):
        handle = await server.client.start_workflow(name, id=name, task_queue=queue)
        await handle.result()
        root = handle.result_run_id
        assert acts.keys == [f"{root}/one", f"{root}/two"]
        history = await handle.fetch_history()
        second = [
            event.event_id
            for event in history.events
            if event.HasField("workflow_task_completed_event_attributes")
        ][1]
        reset = await server.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=server.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=name, run_id=root or ""),
                reason="test",
                workflow_task_finish_event_id=second,
                request_id=uuid.uuid4().hex,
            )
        )
        again = server.client.get_workflow_handle(name, run_id=reset.run_id)
        await again.result()
        assert reset.run_id != root
        assert acts.keys == [f"{root}/one", f"{root}/two", f"{root}/two"]


async def test_a_result_that_comes_with_a_cancel_is_kept_and_undone(
    server: WorkflowEnvironment,
) -> None:
    """Both ends arrive in one task: the failure stops the sibling whose result is already here."""
    text = """
steps:
  - id: p
    parallel:
      bad: [{id: r, activity: slow, task_queue: QUEUE, with: {seconds: 0.2, fail: true}}]
      good:
        - id: l
          activity: slow
          task_queue: QUEUE
          with: {seconds: 0.4, value: 7}
          compensate:
            activity: act
            task_queue: QUEUE
            with: {value: ["${ step.status }", "${ step.output }"]}
"""
    acts, client = Acts(), server.client
    queue = f"q{uuid.uuid4().hex[:8]}"
    store, name = store_of(text.replace("QUEUE", queue))

    def workflows() -> Worker:
        return Worker(
            client,
            task_queue=name,
            workflows=[DslWorkflow],
            activities=[Resolver(store).resolve],
            interceptors=[HeaderInterceptor()],
        )

    activities = Worker(
        client,
        task_queue=queue,
        activities=acts.registry.callables(),
        interceptors=[ActivityContextInterceptor()],
    )
    async with activities:
        async with workflows():
            handle = await client.start_workflow(name, id=name, task_queue=name)
            await until(lambda: len(acts.calls) == 2)
        await asyncio.sleep(0.7)  # nobody looks while both end
        async with workflows():
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            state = await handle.query("status")
    assert acts.calls[-1] == ("l!undo", ["completed", 7])
    [entry] = state["compensations"]
    assert (entry["step"], entry["status"]) == ("l", "completed")
    assert entry["compensation"] == "compensated"
    assert entry["attempts"] == 1 and entry["started"] <= entry["ended"]
    await replay(await handle.fetch_history())


async def test_an_engine_that_is_newer_fails_the_task_and_not_the_run(
    server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "steps:\n  - {id: one, activity: act}\n"
    acts = Acts()
    monkeypatch.setattr(resolver, "ENGINE", resolver.ENGINE + 1)
    async with working(server.client, text, acts) as (name, queue):
        handle = await server.client.start_workflow(name, id=name, task_queue=queue)
        await asyncio.sleep(0.5)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        assert acts.calls == []
        monkeypatch.undo()
        # The marker says that a newer engine is needed: only such a worker may take it.
        await handle.terminate()


async def test_an_unknown_type_fails_the_run_and_says_what_there_is(
    server: WorkflowEnvironment,
) -> None:
    async with working(server.client, "steps: [{value: 1}]", Acts()) as (name, queue):
        with pytest.raises(WorkflowFailureError) as failure:
            await server.client.execute_workflow(name[:-1], id=f"{name}-x", task_queue=queue)
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "UnknownDefinition"
    assert f"did you mean `{name}`?" in cause.message


async def test_a_missing_activity_is_waited_for_as_in_a_rolling_deployment(
    server: WorkflowEnvironment,
) -> None:
    store, name = store_of("steps: [{id: one, activity: act}]")
    acts = Acts()
    async with make_worker(server.client, store, ActivityRegistry([]), task_queue=name):
        handle = await server.client.start_workflow(name, id=name, task_queue=name)
        state: dict[str, Any] = {}
        for _ in range(100):
            state = await handle.query("status")
            if state["steps"] and state["steps"][0].get("fault"):
                break
            await asyncio.sleep(0.05)
        assert state["status"] == "running"
        assert "act" in state["steps"][0]["fault"]
    async with make_worker(server.client, store, acts.registry, task_queue=name):
        await handle.result()
    assert [path for path, _ in acts.calls] == ["one"]
