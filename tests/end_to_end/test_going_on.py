"""Long runs go on as new: when the server says so, and while messages come."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry, idempotency_key
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.support.servers import fetch_chain

pytestmark = pytest.mark.waits

_TURNS = 900
_CLIENTS = 4
_EACH = 250


def _store(definition: dict[str, Any]) -> MemoryStore:
    loaded = load_text(json.dumps({"dsl": 1, **definition}))
    assert loaded.ok, loaded.diagnostics
    return MemoryStore(loaded.definitions)


async def test_a_long_loop_goes_on_when_the_server_says_so(server: WorkflowEnvironment) -> None:
    """Loops of many turns beside a sleep and a suspended wait: each act once, with one root."""
    keys: list[str] = []

    @activity.defn(name="note")
    async def note(turn: int) -> int:
        keys.append(idempotency_key())
        return turn

    @activity.defn(name="forget")
    async def forget(turn: int) -> None:
        keys.append(idempotency_key())

    loop = {
        "id": "turns",
        "while": f"vars.n < {_TURNS}",
        "vars": {"n": 0},
        "do": [
            {"id": "note", "activity": "note", "with": {"turn": "${ vars.n }"}},
            {"set": {"n": "${ vars.n + 1 }"}},
        ],
    }
    undoable = {
        "id": "first",
        "activity": "note",
        "with": {"turn": -1},
        "compensate": {"activity": "forget", "with": {"turn": "${ step.output }"}},
    }
    wait = {"wait_signal": "go"}
    definition = {
        "name": "long",
        "signals": {"go": {}},
        "steps": [undoable, {"parallel": {"turns": [loop], "wait": [wait]}}, {"raise": "Enough"}],
    }
    registry = ActivityRegistry([note, forget])
    async with make_worker(server.client, _store(definition), registry, task_queue="long"):
        handle = await server.client.start_workflow("long", {}, id="long-1", task_queue="long")
        async with asyncio.timeout(60):
            while len(keys) <= _TURNS:
                await asyncio.sleep(0.1)
        await handle.signal("go")
        state = await _ended(handle)
    assert state["status"] == "compensated"
    chain = await fetch_chain(server.client, "long-1")
    assert len(chain) >= 2
    assert all(len(one.events) < 6000 for one in chain)
    started = chain[0].events[0].workflow_execution_started_event_attributes
    root = started.original_execution_run_id
    wanted = ["first", *(f"turns[{turn}].note" for turn in range(_TURNS)), "first!undo"]
    assert keys == [f"{root}/{path}" for path in wanted]


async def test_signals_while_it_goes_on(server: WorkflowEnvironment) -> None:
    """Clients send at the same time while the run goes on as new again and again."""
    applied: list[tuple[int, int]] = []

    @activity.defn(name="apply")
    async def apply(client: int, number: int) -> None:
        applied.append((client, number))

    apply_step = {
        "id": "apply",
        "activity": "apply",
        "with": {"client": "${ steps.next.output.client }", "number": "${ steps.next.output.n }"},
    }
    definition = {
        "name": "cart",
        "vars": {"n": 0},
        "signals": {
            "add": {
                "payload": {
                    "type": "object",
                    "required": ["client", "n"],
                    "properties": {"client": {"type": "integer"}, "n": {"type": "integer"}},
                }
            }
        },
        "steps": [
            {
                "while": f"vars.n < {_CLIENTS * _EACH}",
                "do": [
                    {"id": "next", "wait_signal": "add"},
                    apply_step,
                    {"set": {"n": "${ vars.n + 1 }"}},
                ],
            }
        ],
    }
    registry = ActivityRegistry([apply])
    store = _store(definition)
    async with make_worker(server.client, store, registry, task_queue="cart", continue_after=100):
        handle = await server.client.start_workflow("cart", {}, id="cart-1", task_queue="cart")

        async def send(client: int) -> None:
            for number in range(_EACH):
                await handle.signal("add", {"client": client, "n": number})

        await asyncio.gather(*map(send, range(_CLIENTS)))
        state = await _ended(handle)
    assert state["status"] == "completed"
    for client in range(_CLIENTS):
        assert [n for sender, n in applied if sender == client] == list(range(_EACH))
    assert len(applied) == _CLIENTS * _EACH
    assert len(await fetch_chain(server.client, "cart-1")) > 10


async def _ended(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """The state of a run that has ended."""
    async with asyncio.timeout(60):
        while True:
            state: dict[str, Any] = await handle.query("status")
            if state["status"] not in ("running", "compensating", "suspended"):
                return state
            await asyncio.sleep(0.1)


async def test_the_next_run_of_a_cron_begins_anew(server: WorkflowEnvironment) -> None:
    """Temporal gives it the argument of the last run, which had gone on as new."""
    roots: list[str] = []

    @activity.defn(name="tick")
    async def tick() -> None:
        roots.append(idempotency_key())

    steps = [{"id": "a", "activity": "tick"}, {"id": "b", "activity": "tick"}]
    store = _store({"name": "cron", "steps": steps})
    registry = ActivityRegistry([tick])
    async with make_worker(server.client, store, registry, task_queue="cron", continue_after=1):
        handle = await server.client.start_workflow(
            "cron", {}, id="cron-1", task_queue="cron", cron_schedule="@every 1s"
        )
        async with asyncio.timeout(30):
            while len(roots) < 4:
                await asyncio.sleep(0.1)
        await handle.terminate()
    first, second = roots[0].partition("/")[0], roots[2].partition("/")[0]
    assert roots[:4] == [f"{first}/a", f"{first}/b", f"{second}/a", f"{second}/b"]
    assert first != second


async def test_nobody_else_brings_a_checkpoint(server: WorkflowEnvironment) -> None:
    store = _store({"name": "forged", "steps": [{"value": 1}]})
    async with make_worker(server.client, store, ActivityRegistry([]), task_queue="forged"):
        forged = {"checkpoint": {"from": "me", "state": "nothing"}}
        with pytest.raises(WorkflowFailureError) as failed:
            await server.client.execute_workflow(
                "forged", args=[{}, forged], id="forged-1", task_queue="forged"
            )
    assert isinstance(failed.value.cause, ApplicationError)
    assert "argument 2 must be {revision} or {alias}" in failed.value.cause.message
