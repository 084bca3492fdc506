"""Real Temporal servers for tests, and the proof that what ran on them replays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FunctionType
from typing import Any, TypeVar
from unittest import mock

from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from interpreter import workflow as interpreter_workflow
from interpreter.definitions.catalogues import CatalogueWorkflow
from interpreter.definitions.entity import DefinitionEntity, DeploymentWorkflow
from interpreter.headers import HeaderInterceptor
from interpreter.server import DEVELOPMENT, find_temporal, flags
from interpreter.workflow import DslWorkflow

__all__ = [
    "fetch",
    "fetch_chain",
    "persistent",
    "real_server",
    "replay",
    "replay_all",
    "virtual_server",
]

T = TypeVar("T")

# The server paces continue-as-new of one id to one a second; tests need not wait for that.
_TEST = ('history.workflowIdReuseMinimalInterval="0s"',)
_ATTRIBUTES = {
    f"Case{type}": type
    for type in ("Keyword", "Text", "Int", "Double", "Bool", "Datetime", "KeywordList")
} | {"OrderStatus": "Keyword", "OrderAmount": "Double", "WaitsFor": "Keyword"}
"""Search attributes that tests find: one of each type, and those of the reference."""
_VIRTUAL = ("frontend.WorkflowTimeSkippingEnabled=true",)


def _arguments(*settings: str) -> list[str]:
    arguments = flags(DEVELOPMENT + _TEST + settings)
    for name, type in _ATTRIBUTES.items():
        arguments += ["--search-attribute", f"{name}={type}"]
    return arguments


@asynccontextmanager
async def virtual_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server on which a run's time is skipped while it only waits."""
    server = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=find_temporal(),
        dev_server_extra_args=_arguments(*_VIRTUAL),
        dev_server_log_level="error",
    )
    try:
        yield server
    finally:
        await server.shutdown()


@asynccontextmanager
async def real_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server in real time."""
    server = await WorkflowEnvironment.start_local(
        dev_server_existing_path=find_temporal(),
        dev_server_extra_args=_arguments(),
        dev_server_log_level="error",
    )
    try:
        yield server
    finally:
        await server.shutdown()


async def persistent(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks again where the server fails: rarely it skips time while a history is read."""
    for _ in range(5):
        try:
            return await ask()
        except RPCError:
            await asyncio.sleep(0.2)
    return await ask()


async def fetch(handle: WorkflowHandle[Any, Any]) -> WorkflowHistory:
    """The history of a run."""
    return await persistent(handle.fetch_history)


async def fetch_chain(
    client: Client, id: str, *, children: bool = False, run_id: str | None = None
) -> list[WorkflowHistory]:
    """The histories of a run that went on as new, the first one first; then of its children."""
    chain: list[WorkflowHistory] = []
    while run_id != "":
        chain.insert(0, await fetch(client.get_workflow_handle(id, run_id=run_id)))
        started = chain[0].events[0].workflow_execution_started_event_attributes
        run_id = started.continued_execution_run_id
    if children:
        for history in tuple(chain):
            for event in history.events:
                ended = event.child_workflow_execution_completed_event_attributes
                for one in (
                    ended,
                    event.child_workflow_execution_failed_event_attributes,
                    event.child_workflow_execution_canceled_event_attributes,
                ):
                    child = one.workflow_execution.workflow_id
                    if child:  # the last run of its own chain
                        chain += await fetch_chain(client, child, children=True)
    return chain


async def replay(*histories: WorkflowHistory) -> None:
    """Replays histories from an empty cache, a year later: for this process, so one at a time.

    Raises:
        Exception: if the interpreter does not do again what it did.
    """
    interpreter_workflow.forget_programs()
    later = time.time() + 365 * 24 * 3600
    replayer = Replayer(
        workflows=[DslWorkflow, DefinitionEntity, DeploymentWorkflow, CatalogueWorkflow],
        interceptors=[HeaderInterceptor()],
    )

    async def each() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    assert not isinstance(time.time, FunctionType), "another replay has turned the clock"
    with mock.patch("time.time", lambda: later):
        await replayer.replay_workflows(each())


async def replay_all(client: Client) -> int:
    """Replays every history of ours on a server; gives how many there were."""
    count = 0
    async for execution in client.list_workflows():
        history = await fetch(client.get_workflow_handle(execution.id, run_id=execution.run_id))
        if _is_ours(history):
            await replay(history)
            count += 1
    return count


def _is_ours(history: WorkflowHistory) -> bool:
    """Whether a run pinned a definition or was brought one, or is of the registry."""
    started = history.events[0].workflow_execution_started_event_attributes
    pinned = any(event.HasField("marker_recorded_event_attributes") for event in history.events)
    brought = any(b'"pinned":' in payload.data for payload in started.input.payloads[1:])
    return pinned or brought or started.workflow_type.name.startswith("dsl.")
