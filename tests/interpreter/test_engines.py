"""A worker that is older than a run leaves it alone, visibly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from unittest import mock

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from dsl.loader import load_text
from interpreter import workflow
from interpreter.activities import ActivityRegistry
from interpreter.definitions import resolver
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from interpreter.workflow import forget_programs
from tests.support.servers import real_server

_WAITS = """
dsl: 1
name: waits
signals: {go: {}}
steps:
  - wait_signal: go
  - value: done
"""


@contextmanager
def engine(version: int) -> Iterator[None]:
    """In another release."""
    with (
        mock.patch.object(resolver, "ENGINE", version),
        mock.patch.object(workflow, "ENGINE", version),
    ):
        forget_programs()
        yield
    forget_programs()


@asynccontextmanager
async def working(client: Client, queue: str) -> AsyncIterator[None]:
    store = MemoryStore(load_text(_WAITS).definitions)
    async with make_worker(client, store, ActivityRegistry(), task_queue=queue):
        yield


async def _failures(run: WorkflowHandle[object, object]) -> list[str]:
    events = (await run.fetch_history()).events
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    return [
        event.workflow_task_failed_event_attributes.failure.message
        for event in events
        if event.event_type == failed
    ]


@pytest.mark.waits
async def test_an_older_worker_leaves_a_newer_run_to_newer_workers() -> None:
    # A server of its own: the runs of the shared one are all replayed by this engine.
    async with real_server() as server:
        await _handed_on(server.client)


async def _handed_on(client: Client, queue: str = "engines") -> None:
    with engine(2):
        async with working(client, queue):
            run = await client.start_workflow("waits", id=queue, task_queue=queue)
            while "revision" not in await run.query("status"):
                await asyncio.sleep(0.01)
    async with working(client, queue):
        await run.signal("go")
        while not (failures := await _failures(run)):
            await asyncio.sleep(0.02)
        assert "needs engine 2, this worker has 1" in failures[0]
    with engine(2):
        async with working(client, queue):
            assert await run.result() == "done"
