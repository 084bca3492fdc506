"""Cancellation in phases that virtual time cannot show. The others: tests/conformance/cancellation.

However a run was cancelled: what it did is undone, nothing else, its status and Temporal's own say
that it was cancelled, and its history replays.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from dsl.loader import load_text
from dsl.model.definition import Definition
from interpreter.activities import ActivityRegistry
from interpreter.definitions.store import MemoryStore, StoredDefinition
from interpreter.worker import make_worker
from tests.end_to_end.support import Site, WorkerProcess, eventually
from tests.support.servers import replay

Handle = WorkflowHandle[Any, Any]


class Desk:
    """A definition with its activities, of which it keeps a record.

    Args:
        site: The server.
        text: The definition without its name, which is its own.
    """

    def __init__(self, site: Site, text: str) -> None:
        self.client = site.client
        self.name = f"d{uuid.uuid4().hex[:8]}"
        loaded = load_text(f"dsl: 1\nname: {self.name}\n{text}")
        assert loaded.ok, loaded.diagnostics
        self.definitions = loaded.definitions
        self.store = MemoryStore(loaded.definitions)
        self.paths: list[str] = []
        self.ended: list[str] = []
        self.log: list[str] = []

    def note(self) -> None:
        self.paths.append(activity.info().activity_id)
        self.log.append(activity.info().activity_id)

    def registry(self) -> ActivityRegistry:
        @activity.defn(name="act")
        async def act(value: Any = None) -> Any:
            self.note()
            return value

        @activity.defn(name="slow")
        async def slow(seconds: float) -> str:
            self.note()
            await asyncio.sleep(seconds)
            self.ended.append(activity.info().activity_id)
            self.log.append(f"{activity.info().activity_id} ended")
            return "done"

        @activity.defn(name="busy")
        async def busy() -> None:
            self.note()
            raise ApplicationError("try again", type="Busy")

        return ActivityRegistry([act, slow, busy])

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker as long as it lasts."""
        async with make_worker(self.client, self.store, self.registry(), task_queue=self.name):
            yield

    async def start(self, task_timeout: timedelta | None = None) -> Handle:
        return await self.client.start_workflow(
            self.name, id=self.name, task_queue=self.name, task_timeout=task_timeout
        )

    async def called(self, path: str) -> None:
        await eventually(f"{path} in {self.paths}", lambda: path in self.paths)

    async def cancelled(self, handle: Handle) -> dict[str, Any]:
        """Waits until it ended as cancelled; gives its state."""
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        assert isinstance(failure.value.cause, CancelledError)
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        state = await handle.query("status")
        assert state["status"] == "cancelled"
        await replay(await handle.fetch_history())
        return state


def undone(state: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of each entry of the saga log its step, how that ended, and how its undoing ended."""
    return [(e["step"], e["status"], e["compensation"]) for e in state["compensations"]]


BOOKING = """
steps:
  - {id: z, activity: act, compensate: {activity: act}}
  - {id: w, sleep: 1h}
finally: [{id: f, activity: act}]
"""


async def test_before_a_worker_took_it(site: Site) -> None:
    desk = Desk(site, BOOKING)
    handle = await desk.start()
    await handle.cancel()
    async with desk.worker():
        state = await desk.cancelled(handle)
        done = await site.cli("status", desk.name)
    assert desk.paths == []  # not even the definition's `finally`: it never began
    assert state["steps"] == []
    assert done.code == 0 and f"{desk.name}  cancelled" in done.out, done
    assert "Traceback" not in done.err


class SlowStore(MemoryStore):
    """Gives no definition in time."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        super().__init__(definitions)
        self.asked = asyncio.Event()

    async def get(
        self, name: str, revision: str | None = None, alias: str | None = None, draw: float = 0.0
    ) -> StoredDefinition:
        self.asked.set()
        await asyncio.sleep(60)
        return await super().get(name, revision, alias, draw)


async def test_while_its_definition_is_looked_up(site: Site) -> None:
    """A worker took it, and its first step has not begun."""
    desk = Desk(site, BOOKING)
    store = desk.store = SlowStore(desk.definitions)
    async with desk.worker():
        handle = await desk.start(task_timeout=timedelta(seconds=1))
        await asyncio.wait_for(store.asked.wait(), 30)
        await handle.cancel()
        state = await desk.cancelled(handle)
    assert desk.paths == state["steps"] == []


async def test_while_no_worker_is_up(site: Site) -> None:
    desk = Desk(site, BOOKING)
    async with desk.worker():
        handle = await desk.start()
        await desk.called("z")
    await handle.cancel()
    await handle.cancel()
    async with desk.worker():
        state = await desk.cancelled(handle)
    assert desk.paths == ["z", "z!undo", "!finally.f"]
    assert undone(state) == [("z", "completed", "compensated")]


async def test_in_a_local_activity(site: Site) -> None:
    """The run learns of it when the activity has ended: it is undone as completed."""
    text = """
steps:
  - {id: z, activity: act, compensate: {activity: act}}
  - {id: a, activity: slow, local: true, with: {seconds: 1}, compensate: {activity: act}}
  - {id: w, sleep: 1h}
  - {id: never, activity: act}
"""
    desk = Desk(site, text)
    async with desk.worker():
        handle = await desk.start()
        await desk.called("a")
        await handle.cancel()
        assert desk.ended == []
        state = await desk.cancelled(handle)
    assert desk.ended == ["a"]
    assert desk.paths == ["z", "a", "a!undo", "z!undo"]
    assert undone(state) == [("a", "completed", "compensated"), ("z", "completed", "compensated")]


async def test_while_a_local_activity_waits_to_be_tried_again(site: Site) -> None:
    """A short wait is the worker's own: the run learns of it when its task is prolonged."""
    text = """
steps:
  - id: a
    activity: busy
    local: true
    retry: {initial_interval: 30s}
    compensate: {activity: act}
"""
    desk = Desk(site, text)
    async with desk.worker():
        handle = await desk.start()
        await desk.called("a")
        await handle.cancel()
        state = await desk.cancelled(handle)
    assert desk.paths == ["a", "a!undo"]
    assert undone(state) == [("a", "cancelled", "compensated")]


async def test_while_acts_without_a_heartbeat_work_in_branches_and_items(site: Site) -> None:
    """Nothing is undone before the last of them has ended."""
    text = """
steps:
  - parallel:
      one: [{id: a, activity: slow, with: {seconds: 0.4}, compensate: {activity: act}}]
      two:
        - id: f
          foreach: range(5)
          concurrency: 2
          do: [{id: b, activity: slow, with: {seconds: 1.2}, compensate: {activity: act}}]
"""
    desk = Desk(site, text)
    async with desk.worker():
        handle = await desk.start()
        for path in ("a", "f[0].b", "f[1].b"):
            await desk.called(path)
        await handle.cancel()
        state = await desk.cancelled(handle)
    assert sorted(desk.paths[:3]) == sorted(desk.ended) == ["a", "f[0].b", "f[1].b"]
    assert sorted(desk.paths[3:]) == ["a!undo", "f[0].b!undo", "f[1].b!undo"]
    assert all(entry.endswith(" ended") for entry in desk.log[3:6]), desk.log
    assert {(status, undo) for _, status, undo in undone(state)} == {("completed", "compensated")}


async def test_while_it_is_undone_and_again(site: Site) -> None:
    text = """
steps:
  - {id: a, activity: act, compensate: {activity: slow, with: {seconds: 0.3}}}
  - {id: b, activity: act, compensate: {activity: slow, with: {seconds: 0.3}}}
  - {id: w, sleep: 1h}
"""
    desk = Desk(site, text)
    async with desk.worker():
        handle = await desk.start()
        await desk.called("b")
        await handle.cancel()
        for path in ("b!undo", "a!undo"):
            await desk.called(path)
            await handle.cancel()
        state = await desk.cancelled(handle)
    assert desk.log == ["a", "b", "b!undo", "b!undo ended", "a!undo", "a!undo ended"]
    assert undone(state) == [("b", "completed", "compensated"), ("a", "completed", "compensated")]


async def test_after_its_end_it_changes_nothing(site: Site) -> None:
    desk = Desk(site, "steps: [{id: a, activity: act, compensate: {activity: act}}]")
    async with desk.worker():
        handle = await desk.start()
        await handle.result()
        before = len((await handle.fetch_history()).events)
        await handle.cancel()
        state = await handle.query("status")
    assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert len((await handle.fetch_history()).events) == before
    assert (state["status"], state["compensations"], desk.paths) == ("completed", [], ["a"])


BOOKS = """\
import pathlib
import time
from temporalio import activity

books = pathlib.Path(__file__).with_name("books")


def note():
    with books.open("a") as file:
        file.write(activity.info().activity_id + "\\n")


@activity.defn(name="hang")
def hang() -> None:
    note()
    time.sleep(60)


@activity.defn(name="undo")
def undo(status: str) -> None:
    note()
    with books.open("a") as file:
        file.write(status + "\\n")
"""
LOST = """\
dsl: 1
name: lost
steps:
  - id: a
    activity: hang
    heartbeat_timeout: 2s
    retry: {maximum_attempts: 1}
    compensate: {activity: undo, with: {status: "${ step.status }"}}
"""


@pytest.mark.waits
async def test_while_the_worker_of_its_act_is_dead(site: Site, tmp_path: Path) -> None:
    """Nobody can say how the act ended: it has settled once its heartbeat is missed."""
    (tmp_path / "lost.yaml").write_text(LOST)
    (tmp_path / "acts.py").write_text(BOOKS)
    arguments = ("--definitions", tmp_path, "-t", "lost", "--activities", tmp_path / "acts.py")
    books = tmp_path / "books"

    def lines() -> list[str]:
        return books.read_text().split() if books.exists() else []

    with WorkerProcess(site, tmp_path / "first", *arguments) as first:
        await first.ready()
        handle = await site.client.start_workflow("lost", id="lost", task_queue="lost")
        await eventually("the act", lambda: lines() == ["a"])
        first.process.kill()
        await asyncio.to_thread(first.process.wait)
    await handle.cancel()
    with WorkerProcess(site, tmp_path / "second", *arguments) as second:
        await second.ready()
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        assert isinstance(failure.value.cause, CancelledError)
        state = await handle.query("status")
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert lines() == ["a", "a!undo", undone(state)[0][1]]
    assert undone(state)[0][1] in ("timed_out", "cancelled")
    await replay(await handle.fetch_history())
