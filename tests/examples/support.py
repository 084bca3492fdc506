"""An example as a worker runs it: its own definition and its own activities, on a server."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from dsl.loader import load_files
from interpreter.activities import ActivityRegistry
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.support.servers import replay

__all__ = ["EXAMPLES", "ROOT", "Ended", "Example", "example", "lose_answers", "module", "rows"]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Ended:
    """A run that has ended.

    Args:
        output: What it gave; None where it failed.
        error: The type and the message that it failed with.
        state: What its `status` said then.
        history: Its history.
    """

    output: Any
    error: tuple[str | None, str] | None
    state: dict[str, Any]
    history: WorkflowHistory

    @property
    def status(self) -> str:
        """How it ended."""
        return self.state["status"]

    @property
    def undone(self) -> list[str]:
        """The steps that were undone, in the order in which that began."""
        saga = self.state["compensations"]
        assert {entry["compensation"] for entry in saga} <= {"compensated", "skipped"}, saga
        return [entry["step"] for entry in saga if entry["compensation"] == "compensated"]

    @property
    def seconds(self) -> float:
        """How long it took, by the server's clock."""
        first, last = (self.history.events[place].event_time for place in (0, -1))
        return (last.ToDatetime() - first.ToDatetime()).total_seconds()

    @property
    def timers(self) -> list[float]:
        """The seconds of every timer, in order."""
        return [
            event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta().total_seconds()
            for event in self.history.events
            if event.HasField("timer_started_event_attributes")
        ]


class Example:
    """An example with a worker.

    Args:
        server: The server; in virtual time if `virtual`.
        name: The example's folder, which is its definition's name too.
        queue: The task queue of its worker.
    """

    def __init__(self, server: WorkflowEnvironment, name: str, queue: str) -> None:
        self.server = server
        self.client: Client = server.client
        self.name = name
        self.folder = EXAMPLES / name
        self.queue = queue
        self._count = 0

    def input(self, name: str = "input", **changes: Any) -> dict[str, Any]:
        """One of the example's inputs, with changes."""
        return json.loads((self.folder / f"{name}.json").read_text()) | changes

    async def start(self, given: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        """Starts a run. In virtual time its clock stands still until it is driven."""
        self._count += 1
        with self.server.with_time_skipping_disabled():
            return await self.client.start_workflow(
                self.name, given, id=f"{self.queue}-{self._count}", task_queue=self.queue
            )

    async def run(
        self, given: dict[str, Any], signals: list[tuple[float, Any]] | None = None
    ) -> Ended:
        """Runs to the end in virtual time.

        Args:
            given: The input.
            signals: Seconds since the start, and the payload of an `approval` that comes then.
        """
        handle = await self.start(given)
        now = 0.0
        for at, payload in signals or []:
            if at > now:
                await self.server.fast_forward(handle, at - now)
                now = at
            await handle.signal("approval", payload)
        try:
            await self.server.fast_forward(handle)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended already
                raise
        return await self.ended(handle)

    async def ended(self, handle: WorkflowHandle[Any, Any]) -> Ended:
        """Waits for the end of a run, and replays it.

        A replay turns the clock of this process: nothing else may run meanwhile.
        """
        output, failed = None, None
        try:
            output = await handle.result()
        except WorkflowFailureError as failure:
            cause = failure.cause
            assert isinstance(cause, ApplicationError | CancelledError), cause
            kind = cause.type if isinstance(cause, ApplicationError) else "Cancelled"
            failed = (kind, cause.message)
        state = await handle.query("status")
        history = await handle.fetch_history()
        await replay(history)
        return Ended(output, failed, state, history)


@asynccontextmanager
async def example(
    server: WorkflowEnvironment, name: str, queue: str, definition: Path | None = None
) -> AsyncIterator[Example]:
    """An example whose worker runs, or another definition with its activities."""
    registry = ActivityRegistry.load([str(EXAMPLES / name / "activities.py")])
    file = definition or EXAMPLES / name / "workflow.yaml"
    loaded = load_files([file], registry.catalogue)
    assert not loaded.diagnostics
    store = MemoryStore(loaded.definitions)
    async with make_worker(server.client, store, registry, task_queue=queue):
        yield Example(server, name, queue)


def module(name: str) -> Any:
    """The activities of an example, as the worker has loaded them."""
    file = str(EXAMPLES / name / "activities.py")
    ActivityRegistry.load([file])
    return next(m for m in [*sys.modules.values()] if getattr(m, "__file__", None) == file)


def lose_answers(patch: pytest.MonkeyPatch, name: str, function: str) -> list[str]:
    """Makes the worker of an example lose the first answer of each act, after the act was done.

    Args:
        patch: Takes it back.
        name: The example.
        function: The function of its activities through which every act goes.

    Returns:
        The keys of the acts whose answers were lost, as they come.
    """
    acts = module(name)
    real: Callable[..., Any] = getattr(acts, function)
    lost: list[str] = []

    def forgetful(*args: Any) -> Any:
        result = real(*args)
        key = acts.idempotency_key()
        if key not in lost:
            lost.append(key)
            raise OSError("the answer was lost")
        return result

    patch.setattr(acts, function, forgetful)
    return lost


def rows(file: Path, sql: str) -> list[Any]:
    """The rows of a query; none where there is no file or table yet."""
    if not file.exists():
        return []
    with closing(sqlite3.connect(file, timeout=30)) as db:
        try:
            return db.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # the file is being made
                return []
            raise
