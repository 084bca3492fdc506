"""`send_signal` and `set_search_attributes` on a real server in real time."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry
from interpreter.definitions.attributes import LOOK_UP, AttributeTypes, attributes_set_by
from interpreter.definitions.resolver import Resolver
from interpreter.definitions.store import MemoryStore
from interpreter.headers import HeaderInterceptor
from interpreter.operators import ANSWER
from interpreter.steps import search_attributes
from interpreter.worker import make_worker
from interpreter.workflow import DslWorkflow
from tests.support.servers import real_server, replay

INITIATED = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
SIGNALED = EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED
MARKER = EventType.EVENT_TYPE_MARKER_RECORDED


def store_of(*texts: str) -> MemoryStore:
    loaded = load_text("\n---\n".join(f"dsl: 1\n{text}" for text in texts))
    assert loaded.ok, [d.message for d in loaded.diagnostics]
    return MemoryStore(loaded.definitions)


@asynccontextmanager
async def working(client: Client, *texts: str) -> AsyncIterator[str]:
    """A worker for some definitions; gives its task queue."""
    queue = f"q{uuid.uuid4().hex[:8]}"
    async with make_worker(client, store_of(*texts), ActivityRegistry([]), task_queue=queue):
        yield queue


async def suspended(handle: WorkflowHandle[Any, Any], fault: str) -> str:
    """Waits until a run is suspended by a fault; gives its message."""
    state: dict[str, Any] = {}
    for _ in range(200):
        state = await handle.query("status")
        found = [one for one in state.get("suspended", []) if one["fault"] == fault]
        if found:
            return str(found[0]["message"])
        await asyncio.sleep(0.02)
    raise AssertionError(state)


async def kinds_of_events(handle: WorkflowHandle[Any, Any]) -> list[int]:
    return [event.event_type async for event in handle.fetch_history_events()]


async def markers(handle: WorkflowHandle[Any, Any]) -> list[Any]:
    """What the local activities of a run gave."""
    found: list[Any] = []
    async for event in handle.fetch_history_events():
        if event.event_type == MARKER:
            details = event.marker_recorded_event_attributes.details
            found.append(json.loads(details["result"].payloads[0].data))
    return found


def attributes(described: Any) -> dict[str, Any]:
    pairs = described.typed_search_attributes.search_attributes
    return {pair.key.name: pair.value for pair in pairs if pair.key.name != "BuildIds"}


@asynccontextmanager
async def registered(
    client: Client, name: str, type: IndexedValueType.ValueType
) -> AsyncIterator[None]:
    """While a search attribute is registered; the server has room for few."""
    namespace = client.namespace
    request = AddSearchAttributesRequest(namespace=namespace, search_attributes={name: type})
    await client.operator_service.add_search_attributes(request)
    try:
        yield
    finally:
        gone = RemoveSearchAttributesRequest(namespace=namespace, search_attributes=[name])
        await client.operator_service.remove_search_attributes(gone)


MARK = """
name: mark
input: {type: object, properties: {value: {default: 1}}}
steps: [{id: mark, set_search_attributes: {NAME: "${ input.value }"}}, {value: done}]
"""


async def test_what_is_registered_later_is_found_by_a_retry(server: WorkflowEnvironment) -> None:
    client, name = server.client, f"Late{uuid.uuid4().hex[:6]}"
    async with working(client, MARK.replace("NAME", name)) as queue:
        handle = await client.start_workflow(
            "mark", {"value": 7}, id=f"mark-{name}", task_queue=queue
        )
        message = await suspended(handle, "UnregisteredSearchAttribute")
        assert f"--name {name} " in message
        await handle.execute_update(ANSWER, {"action": "retry", "step": "mark"})
        assert await suspended(handle, "UnregisteredSearchAttribute") == message
        async with registered(client, name, IndexedValueType.INDEXED_VALUE_TYPE_INT):
            await handle.execute_update(ANSWER, {"action": "retry", "step": "mark"})
            assert await asyncio.wait_for(handle.result(), 20) == "done"
            assert attributes(await handle.describe()) == {name: 7}
    pinned, *looked_up = await markers(handle)
    assert pinned["search_attributes"] == {}
    assert looked_up == [{}, {}, {name: "Int"}]
    await replay(await handle.fetch_history())


async def test_types_are_pinned_in_the_marker_and_cost_no_other(
    server: WorkflowEnvironment,
) -> None:
    plain = "name: plain\nsteps: [{value: {set_search_attributes: {CaseInt: 1}}}, {sleep: 1ms}]"
    mark = MARK.replace("NAME", "CaseInt").replace("value: done", "sleep: 1ms")
    async with working(server.client, mark, plain) as queue:
        handles = [
            await server.client.start_workflow(
                name, {"value": 1}, id=f"{name}-{uuid.uuid4().hex}", task_queue=queue
            )
            for name in ("mark", "mark", "plain")
        ]
        for handle in handles:
            await handle.result()
    keys = {"engine", "revision", "digest", "definition"}
    for handle in handles[:2]:
        [pinned] = await markers(handle)
        assert set(pinned) == keys | {"search_attributes"}
        assert pinned["search_attributes"] == {"CaseInt": "Int"}
        assert attributes(await handle.describe()) == {"CaseInt": 1}
    [pinned] = await markers(handles[2])
    assert set(pinned) == keys
    counts = [len(await kinds_of_events(handle)) for handle in handles]
    assert counts == [counts[2] + 1, counts[2] + 1, counts[2]]
    await replay(*[await handle.fetch_history() for handle in handles])


def test_which_attributes_a_definition_sets() -> None:
    text = """
name: sets
signals: {go: {do: [{set_search_attributes: {H: 1}}]}}
steps:
  - parallel:
      a: [{foreach: "[1]", do: [{set_search_attributes: {C: 1, A: 1}}]}]
      b: [{switch: [{when: input.x, do: [{set_search_attributes: {B: 1}}]}]}]
  - value: {set_search_attributes: {Not: 1}}
    catch: [{do: [{set_search_attributes: {D: 1}}]}]
    finally: [{set_search_attributes: {E: 1}}]
    compensate: {set_search_attributes: {F: 1}}
catch: [{do: [{set_search_attributes: {G: 1}}]}]
"""
    [definition] = load_text(f"dsl: 1\n{text}").definitions
    assert attributes_set_by(definition) == ("A", "B", "C", "D", "E", "F", "G", "H")


async def test_one_answer_of_the_server_serves_for_a_while(server: WorkflowEnvironment) -> None:
    client, name = server.client, f"Soon{uuid.uuid4().hex[:6]}"
    types, names = AttributeTypes(), ["CaseKeyword", name]
    before = {"CaseKeyword": "Keyword"}
    several = await asyncio.gather(*(types.of(client, names) for _ in range(5)))
    assert several == [before] * 5
    async with registered(client, name, IndexedValueType.INDEXED_VALUE_TYPE_BOOL):
        assert await types.of(client, names) == before
        assert await types.of(client, names, again=True) == before | {name: "Bool"}
        assert await types.of(client, names) == before | {name: "Bool"}


async def test_where_the_types_cannot_be_looked_up_the_run_is_suspended(
    server: WorkflowEnvironment,
) -> None:
    """As where the worker may not ask the server."""

    @activity.defn(name=LOOK_UP)
    async def denied(names: list[str]) -> dict[str, str]:
        raise ApplicationError(f"may not see {names}")

    store, queue = store_of(MARK.replace("NAME", "Nobody")), f"q{uuid.uuid4().hex[:8]}"
    client = server.client

    def worker(activities: Sequence[Any]) -> Worker:
        return Worker(
            client,
            task_queue=queue,
            workflows=[DslWorkflow],
            activities=activities,
            interceptors=[HeaderInterceptor()],
        )

    async with worker([Resolver(store).resolve, denied]):
        handle = await client.start_workflow("mark", id=f"mark-{queue}", task_queue=queue)
        message = await suspended(handle, "UnregisteredSearchAttribute")
        assert "cannot be looked up: " in message and "may not see ['Nobody']" in message
    async with worker(Resolver(store).activities):
        await handle.execute_update(ANSWER, {"action": "retry", "step": "mark"})
        message = await suspended(handle, "UnregisteredSearchAttribute")
        assert "not registered" in message
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    await replay(await handle.fetch_history())


async def test_attributes_that_are_too_large_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server with SQL has so many that it could come to this; so the bound is lowered."""
    text = """
name: large
steps:
  - {id: a, set_search_attributes: {CaseKeyword: "${ 'x' * 1500 }"}}
  - {id: b, set_search_attributes: {CaseText: "${ 'x' * 1500 }"}}
"""
    async with real_server() as server, working(server.client, text) as queue:
        handle = await server.client.start_workflow("large", id="large", task_queue=queue)
        await handle.result()
        monkeypatch.setattr(search_attributes, "_MOST_TOTAL", 3000)
        handle = await server.client.start_workflow("large", id="larger", task_queue=queue)
        assert "together" in await suspended(handle, "LimitExceeded")
        assert list(attributes(await handle.describe())) == ["CaseKeyword"]
        await handle.execute_update(ANSWER, {"action": "skip", "step": "b"})
        await handle.result()
        await replay(await handle.fetch_history())


TELL = """
name: tell
input: {type: object, required: [to]}
steps:
  - id: tell
    send_signal: word
    workflow_id: ${ input.to }
    compensate: {send_signal: word, workflow_id: "${ input.to }"}
  - sleep: 1h
"""
INBOX = """
name: inbox
signals: {word: {}, end: {}}
steps: [{wait_signal: end}, {if: "false", wait_signal: word}]
"""


async def test_a_cancellation_at_any_moment_leaves_what_arrived_undone(
    server: WorkflowEnvironment,
) -> None:
    client = server.client
    async with working(client, TELL, INBOX) as queue:
        inbox = await client.start_workflow("inbox", id=f"inbox-{queue}", task_queue=queue)

        async def one(number: int) -> WorkflowHandle[Any, Any]:
            handle = await client.start_workflow(
                "tell", {"to": inbox.id}, id=f"tell-{queue}-{number}", task_queue=queue
            )
            await asyncio.sleep(number * 0.0007)
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as failure:
                await handle.result()
            assert isinstance(failure.value.cause, CancelledError)
            return handle

        handles = [await one(number) for number in range(40)]
        arrived = 0
        for handle in handles:
            state = await handle.query("status")
            sent = (await kinds_of_events(handle)).count(INITIATED)
            assert (await kinds_of_events(handle)).count(SIGNALED) == sent
            undone = [[e["step"], e["compensation"]] for e in state.get("compensations", [])]
            assert (sent, undone) in ((0, []), (2, [["tell", "compensated"]])), state
            arrived += sent
        assert arrived > 0
        kept = (await inbox.query("status"))["signals"]["kept"]
        assert kept == {"word": arrived}
        await inbox.signal("end")
        await inbox.result()
    await replay(*[await handle.fetch_history() for handle in [inbox, *handles]])
