"""Temporal's limits: what is too large is stored elsewhere, or suspends; no run is ever wedged.

A run is wedged where a workflow task fails again and again; where a task or a history is too large
the server terminates it, and nothing is undone. Neither may happen.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from dsl.loader import load_text
from interpreter import operators
from interpreter import workflow as interpreter_workflow
from interpreter.activities import ActivityRegistry, heartbeat, last_progress
from interpreter.definitions.store import MemoryStore
from interpreter.headers import HeaderInterceptor
from interpreter.storage import FileStorage, WithoutStorage, payload_storage
from interpreter.worker import make_worker
from interpreter.workflow import DslWorkflow
from tests.cli.support import cli
from tests.support.s3 import s3_server
from tests.support.servers import fetch_chain, real_server

KIB = 1024
MIB = 1024 * KIB
HARD = 50 * MIB
"""Where the server terminates a run."""
LARGE_VALUES = int(os.environ.get("LARGE_VALUES", "400"))
"""How many values of 140 KiB there are at the same time."""
LARGE_SIGNALS = int(os.environ.get("LARGE_SIGNALS", "11"))
"""How many signals of 2 MiB are sent, one after the other."""
SMALL_SIGNALS = int(os.environ.get("SMALL_SIGNALS", "2000"))
TOO_MUCH = 3 * MIB
STORED = 5 * MIB
BAD = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
}


@activity.defn(name="give")
async def give(size: int) -> str:
    return "x" * size


@activity.defn(name="take")
async def take(text: str) -> int:
    return len(text)


@activity.defn(name="echo")
async def echo(text: str) -> str:
    return text


@activity.defn(name="fail")
async def fail(message: int = 1, details: int = 1, type: int = 0, cause: int = 0) -> None:
    error = ApplicationError(
        "m" * message, "d" * details, type=f"Broken{'T' * type}", non_retryable=True
    )
    raise error from ValueError("c" * cause)


@activity.defn(name="raises")
async def raises(size: int) -> None:
    raise ValueError("m" * size)


@activity.defn(name="beat")
async def beat(size: int) -> int:
    if activity.info().attempt > 1:
        return len(last_progress(""))
    heartbeat("x" * size)
    await asyncio.sleep(0.1)
    raise ApplicationError("again", type="Again")


REGISTRY = ActivityRegistry([give, take, echo, fail, raises, beat])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site() -> AsyncIterator[WorkflowEnvironment]:
    """A server; the tests replay by themselves, some with external storage."""
    async with real_server() as server:
        yield server


@dataclass
class Run:
    """A run, and what it is judged by."""

    client: Client
    handle: WorkflowHandle[Any, Any]
    converter: DataConverter = field(default_factory=lambda: DataConverter.default)

    async def ended(self, seconds: float = 30) -> Any:
        """Its output."""
        async with asyncio.timeout(seconds):
            return await self.handle.result()

    async def failed(self) -> ApplicationError:
        """The error it failed with."""
        with pytest.raises(WorkflowFailureError) as caught:
            await self.ended()
        assert isinstance(caught.value.cause, ApplicationError)
        return caught.value.cause

    async def suspended(self) -> tuple[str, str, str]:
        """Where it is suspended, and why."""
        async with asyncio.timeout(30):
            while "suspended" not in (state := await self.handle.query("status")):
                await asyncio.sleep(0.05)
        (one,) = state["suspended"]
        return one["step"], one["fault"], one["message"]

    async def judged(self, most: int = HARD, *, refused: bool = False) -> list[WorkflowHistory]:
        """Its histories, none of which had a task that failed; they replay.

        Args:
            most: How large each may be.
            refused: Whether the server may refuse to give a task all at once, and ask again.
        """
        chain = await fetch_chain(self.client, self.handle.id)
        for history in chain:
            bad = [event for event in history.events if event.event_type in BAD]
            assert refused or not bad, bad
            assert sum(event.ByteSize() for event in history.events) < most
        interpreter_workflow.forget_programs()
        replayer = Replayer(
            workflows=[DslWorkflow],
            interceptors=[HeaderInterceptor()],
            data_converter=self.converter,
        )
        for history in chain:
            await replayer.replay_workflow(history)
        return chain


def _store(definition: dict[str, Any]) -> tuple[MemoryStore, str]:
    """A store with one definition, under a name of its own."""
    name = f"d{uuid.uuid4().hex[:8]}"
    loaded = load_text(json.dumps({"dsl": 1, "name": name} | definition))
    assert loaded.ok, loaded.diagnostics
    return MemoryStore(loaded.definitions), name


@asynccontextmanager
async def started(
    client: Client,
    definition: dict[str, Any],
    input: Any = None,
    *,
    continue_after: int | None = None,
) -> AsyncIterator[Run]:
    """A run with a worker of its own."""
    store, name = _store(definition)
    async with make_worker(client, store, REGISTRY, task_queue=name, continue_after=continue_after):
        args = [] if input is None else [input]
        handle = await client.start_workflow(name, args=args, id=name, task_queue=name)
        yield Run(client, handle, client.data_converter)
        described = await client.get_workflow_handle(name).describe()
        if described.close_time is None:
            await client.get_workflow_handle(name).terminate()


def _step(activity: str, **more: Any) -> dict[str, Any]:
    own = {key: more.pop(key) for key in ("local", "retry", "heartbeat_timeout") if key in more}
    return {"id": activity, "activity": activity, **own, "with": more}


def _noise(size: int) -> str:
    """A text that cannot be compressed much."""
    return random.Random(1).randbytes(size // 2).hex()


def _text() -> str:
    """A text of 5 MiB that an expression may still hold: it has less than 4 Mi characters."""
    text = _noise(MIB) + "é" * 2 * MIB
    assert len(text.encode()) == STORED
    return text


# Without external storage.


@pytest.mark.parametrize(
    ("local", "says"),
    [
        (False, "the result: 3,145,730 bytes, 2,093,056 are allowed"),
        (True, "the result of a local activity: 3,145,730 bytes, 262,144 are allowed"),
    ],
)
async def test_a_result_that_is_too_large(
    site: WorkflowEnvironment, local: bool, says: str
) -> None:
    definition = {"steps": [_step("give", size=TOO_MUCH, local=local)]}
    async with started(site.client, definition) as run:
        assert await run.suspended() == ("give", "InvalidResult", says)
        await run.judged()


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("part", ["message", "details", "cause", "type"])
async def test_an_error_that_is_too_large_keeps_its_type(
    site: WorkflowEnvironment, part: str, local: bool
) -> None:
    sizes: dict[str, Any] = {part: TOO_MUCH}
    caught = {"errors": ["Broken"], "do": [{"value": "${ error.message[:3] }"}]}
    definition: dict[str, Any] = {"steps": [_step("fail", **sizes, local=local)]}
    if part != "type":
        definition["catch"] = [caught]
    async with started(site.client, definition) as run:
        if part == "type":
            error = await run.failed()
            assert error.type is not None and error.type.startswith("BrokenTTT")
            assert len(error.type) == 200
        else:
            assert await run.ended() == ("mmm" if part == "message" else "m")
        await run.judged(100 * KIB)


async def test_a_plain_exception_that_is_too_large(site: WorkflowEnvironment) -> None:
    step = _step("raises", size=TOO_MUCH, retry={"maximum_attempts": 1})
    async with started(site.client, {"steps": [step]}) as run:
        error = await run.failed()
        assert error.type == "ValueError" and error.message.startswith("mmm")
        assert len(error.message) <= 10_000
        await run.judged(100 * KIB)


async def test_progress_that_is_too_large(site: WorkflowEnvironment) -> None:
    """The server does not keep it: the next attempt begins anew."""
    step = _step("beat", size=TOO_MUCH, heartbeat_timeout="5s", retry={"maximum_attempts": 2})
    async with started(site.client, {"steps": [step]}) as run:
        assert await run.ended() == 0
        await run.judged(100 * KIB)


async def test_input_that_is_too_large(site: WorkflowEnvironment) -> None:
    with pytest.raises(RPCError, match="exceeds limit"):
        async with started(site.client, {"steps": [{"value": 1}]}, {"text": "x" * TOO_MUCH}):
            pass


async def test_input_with_defaults_that_is_too_large(site: WorkflowEnvironment) -> None:
    properties = {"a": {"type": "string"}, "b": {"type": "string", "default": "y" * 300 * KIB}}
    definition = {
        "input": {"type": "object", "properties": properties},
        "steps": [{"value": 1}],
    }
    async with started(site.client, definition, {"a": "x" * (2 * MIB - 9000)}) as run:
        error = await run.failed()
        assert error.type == "InvalidInput" and "with its input and defaults" in error.message
        await run.judged()


TRIPLE = {"s": "${ [input.s, input.s, input.s] }"}
INPUT = {"s": "x" * 1_300_000}
WAIT: dict[str, Any] = {"wait_signal": "go"}
SIGNALS = {"signals": {"go": {}}}


@pytest.mark.parametrize(
    ("steps", "where", "what"),
    [
        ([{"value": "${ vars.s }"}], "", "the output"),
        ([_step("take", text="${ vars.s }")], "take", "the arguments"),
        (
            [{"id": "tell", "send_signal": "go", "workflow_id": "x", "payload": "${ vars.s }"}],
            "tell",
            "the signal's payload",
        ),
    ],
)
async def test_what_a_run_sends_that_is_too_large(
    site: WorkflowEnvironment, steps: list[dict[str, Any]], where: str, what: str
) -> None:
    async with started(site.client, {"vars": TRIPLE, "steps": steps}, INPUT) as run:
        says = f"{what}: 3,900,010 bytes, 2,093,056 are allowed"
        step, fault, message = await run.suspended()
        assert (step, fault) == (where, "LimitExceeded")
        assert message.startswith(what) and message.endswith(says.partition(", ")[2])
        await run.judged()


async def test_answers_that_are_too_large(site: WorkflowEnvironment) -> None:
    definition = {
        "vars": TRIPLE,
        **SIGNALS,
        "queries": {"all": "${ vars.s }"},
        "updates": {"all": {"do": [{"value": "${ vars.s }"}]}},
        "steps": [WAIT],
    }
    async with started(site.client, definition, INPUT) as run:
        while "revision" not in await run.handle.query("status"):  # it has not begun
            await asyncio.sleep(0.02)
        with pytest.raises(WorkflowQueryFailedError, match="2,093,056 are allowed"):
            await run.handle.query("all")
        update = asyncio.ensure_future(run.handle.execute_update("all"))
        step, fault, _ = await run.suspended()
        assert (step, fault) == ("all#1", "LimitExceeded")
        answer = {"action": "fail", "by": "me", "reason": "too large", "step": "all#1"}
        await run.handle.execute_update(operators.ANSWER, answer)
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await update
        assert isinstance(failed.value.cause, ApplicationError)
        assert failed.value.cause.type == "LimitExceeded"
        await run.handle.signal("go")
        await run.ended()
        await run.judged()


async def test_a_signal_that_is_too_large(site: WorkflowEnvironment) -> None:
    async with started(site.client, {**SIGNALS, "steps": [WAIT]}) as run:
        with pytest.raises(RPCError, match="exceeds limit"):
            await run.handle.signal("go", {"x": "x" * TOO_MUCH})
        await run.handle.signal("go")
        await run.ended()
        await run.judged()


@pytest.mark.parametrize("at_once", [True, False])
async def test_many_large_answers_in_one_task(site: WorkflowEnvironment, at_once: bool) -> None:
    waits = [] if at_once else [{"wait_condition": "vars.open"}]
    definition = {
        "vars": {"open": False},
        **SIGNALS,
        "updates": {"all": {"do": [*waits, {"value": "${ input.s }"}]}},
        "steps": [WAIT, {"set": {"open": True}}],
    }
    async with started(site.client, definition, INPUT) as run:
        updates = [asyncio.ensure_future(run.handle.execute_update("all")) for _ in range(8)]
        await asyncio.sleep(0.5)
        await run.handle.signal("go")
        assert [len(answer) for answer in await asyncio.gather(*updates)] == [1_300_000] * 8
        await run.ended()
        await run.judged()


async def test_many_large_errors_in_one_task(site: WorkflowEnvironment) -> None:
    """Those of updates, and the run's own after results of local activities."""
    oh = {"raise": "Oh", "details": "${ input.s }"}
    local = _step("give", size=256 * KIB - 2, local=True)
    definition = {
        "vars": {"open": False},
        **SIGNALS,
        "updates": {"all": {"do": [{"wait_condition": "vars.open"}, oh]}},
        "steps": [
            WAIT,
            {"set": {"open": True}},
            {"wait_condition": "input.s == 'never'", "timeout": "1s", "catch": [{"do": [WAIT]}]},
            {"foreach": list(range(11)), "do": [local]},
            oh,
        ],
    }
    async with started(site.client, definition, {"s": "x" * 1_000_000}) as run:
        updates = [asyncio.ensure_future(run.handle.execute_update("all")) for _ in range(8)]
        await asyncio.sleep(0.5)
        await run.handle.signal("go")
        for update in updates:
            with pytest.raises(WorkflowUpdateFailedError) as failed:
                await update
            assert isinstance(failed.value.cause, ApplicationError)
            assert failed.value.cause.details == ("x" * 1_000_000,)
        await run.handle.signal("go")
        error = await run.failed()
        assert error.type == "Oh" and error.details[0] == "x" * 1_000_000
        await run.judged()


async def test_many_large_results_of_local_activities(site: WorkflowEnvironment) -> None:
    """Those that run in one task are sent with it, together, and so is the output."""
    size = 256 * KIB - 2
    each = _step("give", size=size, local=True)
    definition = {
        "steps": [
            {"foreach": list(range(20)), "concurrency": 20, "do": [each]},
            {"foreach": list(range(10)), "do": [each | {"id": "one"}]},
            {"value": "${ input.s }"},
        ]
    }
    async with started(site.client, definition, INPUT) as run:
        assert len(await run.ended()) == 1_300_000
        await run.judged()


async def test_a_state_that_does_not_fit_beside_the_input(site: WorkflowEnvironment) -> None:
    """It is sent in one piece with the input and the definition: it stays where it is."""
    definition = {
        "vars": {"s": "${ input.a }"},
        "steps": [{"sleep": "1ms"}, {"sleep": "1ms"}, {"value": "${ len(vars.s) }"}],
    }
    input = {"a": _noise(900 * KIB), "b": "x" * 1000 * KIB}
    async with started(site.client, definition, input, continue_after=1) as run:
        assert await run.ended() == 900 * KIB
        assert len(await run.judged()) == 1


async def test_a_state_that_fits_beside_the_input(site: WorkflowEnvironment) -> None:
    definition = {
        "vars": {"s": "${ input.a }"},
        "steps": [{"sleep": "1ms"}, {"sleep": "1ms"}, {"value": "${ len(vars.s) }"}],
    }
    input = {"a": _noise(900 * KIB), "b": "x" * 10 * KIB}
    async with started(site.client, definition, input, continue_after=1) as run:
        assert await run.ended() == 900 * KIB
        assert len(await run.judged()) > 1


async def test_large_results_one_after_the_other(site: WorkflowEnvironment) -> None:
    """The size of the history counts too, not only its length."""
    each = [_step("give", size=MIB), {"value": 1}]
    definition = {"steps": [{"foreach": list(range(60)), "do": each}, {"value": "done"}]}
    async with started(site.client, definition) as run:
        assert await run.ended(60) == "done"
        assert len(await run.judged(10 * MIB, refused=True)) > 5


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(_step("give", size=140 * KIB), id="results"),
        pytest.param(_step("take", text="${ input.s[:143360] }"), id="arguments"),
    ],
)
async def test_many_large_values_at_the_same_time(
    site: WorkflowEnvironment, each: dict[str, Any]
) -> None:
    """57 MB or more: a history may have 50."""
    items = f"${{ range({LARGE_VALUES}) }}"
    body = {"foreach": items, "concurrency": LARGE_VALUES, "do": [each, {"value": 1}]}
    definition = {"steps": [body, {"value": "done"}]}
    async with started(site.client, definition, {"s": "x" * 143_360}) as run:
        assert await run.ended(120) == "done"
        assert len(await run.judged(45 * MIB, refused=True)) > 1


LARGE_SIGNAL = _noise(2 * MIB - 5000)
FLOODED: dict[str, Any] = {
    "signals": {"go": {}, "noise": {}, "handled": {"do": [{"set": {"n": "${ vars.n + 1 }"}}]}},
    "vars": {"n": 0},
    "steps": [WAIT, {"value": "${ vars.n }"}],
}


async def _signals(run: Run) -> dict[str, Any]:
    """What the status says of signals, once all that were sent have come."""
    async with asyncio.timeout(30):
        while True:
            try:
                state = await run.handle.query("status")
                if "signals" in state:  # it has begun
                    return state["signals"]
            except RPCError as error:  # asked while the run cannot go on because more comes
                if "in failed state" not in str(error):
                    raise
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["noise", "unknown", "handled"])
async def test_large_signals_that_nobody_waits_for(site: WorkflowEnvironment, name: str) -> None:
    """Each history stays far below 50 MB. Some are kept while that does no harm."""
    taken = refused = 0
    async with started(site.client, FLOODED) as run:
        for sent in range(1, LARGE_SIGNALS + 1):
            await run.handle.signal(name, LARGE_SIGNAL)
            signals = await _signals(run)  # the server does not close a run that was sent more
            taken, refused = signals["kept"].get(name, 0), signals["refused"].get(name, 0)
            assert taken + refused == (0 if name == "handled" else sent)
            assert taken <= (2 if name == "noise" else 0)
        await run.handle.signal("go")
        assert await run.ended() == (LARGE_SIGNALS if name == "handled" else 0)
        assert len(await run.judged(22 * MIB, refused=True)) > 1


async def test_large_signals_that_come_before_their_waits(site: WorkflowEnvironment) -> None:
    """They are kept while the run can stay as it is, in the order of arrival; no more than that."""
    steps: list[dict[str, Any]] = [
        WAIT,
        {"id": "first", "wait_signal": "noise"},
        {"id": "second", "wait_signal": "noise"},
        WAIT,
        {"value": "${ [len(steps.first.output), steps.first.output == steps.second.output] }"},
    ]
    async with started(site.client, FLOODED | {"steps": steps}) as run:
        for _ in range(3):
            await run.handle.signal("noise", LARGE_SIGNAL)
        signals = await _signals(run)
        assert (signals["kept"], signals["refused"]) == ({"noise": 2}, {"noise": 1})
        says = "those that are waiting would have over 4,194,304 bytes"
        assert signals["reasons"] == {"noise": says}
        await run.handle.signal("go")  # both are consumed, and make room
        await run.handle.signal("noise", LARGE_SIGNAL)
        assert (await _signals(run))["kept"] == {"noise": 1}
        await run.handle.signal("go")
        assert await run.ended() == [len(LARGE_SIGNAL), True]
        await run.judged()


async def test_the_room_for_signals_goes_on_with_the_run(site: WorkflowEnvironment) -> None:
    """What a wait took, was stopped in and has put back counts too."""
    two = {"wait_signal": "noise", "count": 2, "timeout": "1h"}
    race = {"parallel": {"two": [two], "go": [WAIT]}, "join": "any"}
    steps = [race, WAIT, {"wait_signal": "noise"}]
    text = "x" * MIB  # which can be compressed
    async with started(site.client, FLOODED | {"steps": steps}, continue_after=1) as run:
        await run.handle.signal("noise", text)
        assert (await _signals(run))["kept"] == {}
        await run.handle.signal("go")
        assert (await _signals(run))["kept"] == {"noise": 1}
        for _ in range(4):
            await run.handle.signal("noise", text)
        signals = await _signals(run)
        assert (signals["kept"], signals["refused"]) == ({"noise": 3}, {"noise": 2})
        await run.handle.signal("go")
        assert await run.ended() == text
        assert len(await run.judged(refused=True)) > 1


async def test_a_stream_of_signals_that_are_refused(site: WorkflowEnvironment) -> None:
    async with started(site.client, FLOODED, continue_after=1500) as run:
        for start in range(0, SMALL_SIGNALS, 100):
            some = range(start, start + 100)
            await asyncio.gather(*(run.handle.signal("none", one) for one in some))
        assert (await _signals(run))["refused"] == {"none": SMALL_SIGNALS}
        await run.handle.signal("go")
        assert await run.ended() == 0
        chain = await run.judged(refused=True)
        assert len(chain) > 1 and max(len(history.events) for history in chain) < 2500


async def test_no_signal_is_lost_where_a_run_goes_on(site: WorkflowEnvironment) -> None:
    """Some come before the first task of the run that goes on: a reset makes sure of it."""
    async with started(site.client, FLOODED, continue_after=12) as run:
        sent = 0
        while len(await fetch_chain(run.client, run.handle.id)) == 1:
            await run.handle.signal("noise", sent)
            sent += 1
            assert (await _signals(run))["kept"] == {"noise": sent}
        await run.handle.signal("noise", sent)
        assert (await _signals(run))["kept"] == {"noise": sent + 1}
        current = await run.client.get_workflow_handle(run.handle.id).describe()
        request = ResetWorkflowExecutionRequest(
            namespace=run.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=current.id, run_id=current.run_id),
            workflow_task_finish_event_id=4,
            request_id=uuid.uuid4().hex,
        )
        await run.client.workflow_service.reset_workflow_execution(request)
        again = run.client.get_workflow_handle(run.handle.id)
        assert (await _signals(Run(run.client, again)))["kept"] == {"noise": sent + 1}
        await again.signal("go")
        assert await again.result() == 0


async def test_a_stream_of_signals_that_cannot_be_read(site: WorkflowEnvironment) -> None:
    unreadable = RawValue(Payload(metadata={"encoding": b"binary/plain"}, data=b"x"))
    async with started(site.client, FLOODED, continue_after=100) as run:
        for _ in range(100):
            await run.handle.signal("noise", unreadable)
        assert (await _signals(run))["refused"] == {"noise": 100}
        await run.handle.signal("go")
        assert await run.ended() == 0
        assert len(await run.judged(refused=True)) > 1


async def test_signals_that_come_before_the_definition_is_known(
    site: WorkflowEnvironment,
) -> None:
    store, name = _store(FLOODED)
    handle = await site.client.start_workflow(name, id=name, task_queue=name)
    for _ in range(4):
        await handle.signal("noise", LARGE_SIGNAL)
    async with make_worker(site.client, store, REGISTRY, task_queue=name):
        await _begun(handle)
        run = Run(site.client, handle)
        signals = await _signals(run)
        assert (signals["kept"], signals["refused"]) == ({"noise": 2}, {"noise": 2})
        await handle.signal("go")
        assert await run.ended() == 0
        await run.judged(refused=True)


# With external storage.


@pytest.fixture
def stored(site: WorkflowEnvironment, tmp_path: Path) -> Client:
    """A client with external storage."""
    return _with_storage(site.client, tmp_path / "store")


def _with_storage(client: Client, folder: Path) -> Client:
    return _with(client, DataConverter(external_storage=ExternalStorage([FileStorage(folder)])))


def _with(client: Client, converter: DataConverter) -> Client:
    config = client.config()
    config["data_converter"] = converter
    return Client(**config)


def _references(history: WorkflowHistory) -> int:
    return sum(event.SerializeToString().count(b"temporal-dsl.file") for event in history.events)


async def test_all_that_is_large_is_stored(stored: Client, tmp_path: Path) -> None:
    """Input, argument, result, request, answer, query, signal, output: 5 MiB each."""
    definition = {
        **SIGNALS,
        "vars": {"got": None},
        "queries": {"all": "${ input.s }"},
        "updates": {"swap": {"payload": {"type": "object"}, "do": [{"value": "${ payload.s }"}]}},
        "steps": [
            _step("echo", text="${ input.s }"),
            _step("take", text="${ steps.echo.output }"),
            {"id": "told", "wait_signal": "go"},
            {"value": "${ steps.told.output.s }"},
        ],
    }
    text = _text()
    async with started(stored, definition, {"s": text}) as run:
        assert await run.handle.execute_update("swap", {"s": text}) == text
        assert await run.handle.query("all") == text
        await run.handle.signal("go", {"s": text})
        assert await run.ended() == text
        (history,) = await run.judged(30 * KIB)
        # Of the input, the argument and result of each activity, the messages, the output.
        assert _references(history) >= 7
        files = [file for file in (tmp_path / "store").rglob("*") if file.is_file()]
        assert all(file.stat().st_size > 256 * KIB for file in files)


async def test_a_large_local_result_is_stored(stored: Client) -> None:
    each = _step("give", size=STORED, local=True)
    definition = {"steps": [each, {"value": "${ len(steps.give.output) }"}]}
    async with started(stored, definition) as run:
        assert await run.ended() == STORED
        await run.judged(10 * KIB)


async def test_a_run_goes_on_with_a_large_state(stored: Client) -> None:
    definition = {
        "vars": {"s": "${ input.s }"},
        "steps": [{"sleep": "1ms"}, {"sleep": "1ms"}, {"value": "${ vars.s }"}],
    }
    text = _text()
    async with started(stored, definition, {"s": text}, continue_after=1) as run:
        assert await run.ended() == text
        assert len(await run.judged(10 * KIB)) > 1


async def test_many_large_results_that_are_stored(stored: Client) -> None:
    """They count as what they are in the history: small."""
    each = _step("give", size=300 * KIB)
    body = {"foreach": "${ range(300) }", "concurrency": 300, "do": [each, {"value": 1}]}
    async with started(stored, {"steps": [body, {"value": "done"}]}) as run:
        assert await run.ended(60) == "done"
        await run.judged(4 * MIB)


# aiobotocore sends large bodies so; it is no error outside of tests.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
async def test_a_run_with_s3(site: WorkflowEnvironment) -> None:
    definition = {
        "vars": {"s": "${ input.s }"},
        "steps": [
            _step("echo", text="${ vars.s }"),
            {"sleep": "1ms"},
            {"value": "${ steps.echo.output }"},
        ],
    }
    text = _text()
    async with s3_server("payloads"), payload_storage("s3://payloads/runs") as storage:
        client = _with(site.client, DataConverter(external_storage=storage))
        async with started(client, definition, {"s": text}, continue_after=1) as run:
            assert await run.ended() == text
            assert len(await run.judged(20 * KIB)) > 1


async def test_even_storage_has_its_limit(stored: Client) -> None:
    definition = {"steps": [_step("give", size=65 * MIB)]}
    async with started(stored, definition) as run:
        step, fault, message = await run.suspended()
        assert (step, fault) == ("give", "InvalidResult")
        assert message.endswith("67,108,864 are allowed")
        await run.judged(10 * KIB)


async def test_the_budget_is_the_runs_own(site: WorkflowEnvironment, stored: Client) -> None:
    """A run keeps the limits that it began with, also on a worker that could send more."""
    steps: list[dict[str, Any]] = [WAIT, {"id": "all", "value": TRIPLE["s"]}]
    store, name = _store({**SIGNALS, "steps": steps})
    handle = await site.client.start_workflow(name, INPUT, id=name, task_queue=name)
    async with make_worker(site.client, store, REGISTRY, task_queue=name):
        await _begun(handle)
    interpreter_workflow.forget_programs()
    await handle.signal("go")
    async with make_worker(stored, store, REGISTRY, task_queue=name):
        run = Run(stored, handle, stored.data_converter)
        step, fault, message = await run.suspended()
        assert (step, fault) == ("", "LimitExceeded")
        assert message.startswith("the output: ") and message.endswith("2,093,056 are allowed")
        await handle.terminate()
        await run.judged(refused=True)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_worker_without_storage_says_what_to_configure(
    site: WorkflowEnvironment, stored: Client, begun: bool
) -> None:
    """Its task fails, and is done by a worker that has it."""
    steps = [WAIT, _step("take", text="${ input.s }")]
    store, name = _store({**SIGNALS, "steps": steps})
    size = KIB if begun else MIB
    handle = await stored.start_workflow(
        name, {"s": "x" * size}, id=name, task_queue=name, task_timeout=timedelta(seconds=2)
    )
    if begun:
        async with make_worker(stored, store, REGISTRY, task_queue=name):
            await _begun(handle)
    await handle.signal("go")
    without = _with(site.client, WithoutStorage())
    async with make_worker(without, store, REGISTRY, task_queue=name):
        async with asyncio.timeout(30):
            while not (failures := await _failures(handle)):
                await asyncio.sleep(0.1)
    assert "external storage" in failures[0]
    assert failures[0].endswith(" Name it with --payload-storage or TEMPORAL_DSL_PAYLOAD_STORAGE.")
    async with make_worker(stored, store, REGISTRY, task_queue=name):
        run = Run(stored, handle, stored.data_converter)
        assert await run.ended() == size
        await run.judged(refused=True)


async def _begun(handle: WorkflowHandle[Any, Any]) -> None:
    async with asyncio.timeout(30):
        while (await handle.query("status"))["status"] != "running":
            await asyncio.sleep(0.05)


async def _failures(handle: WorkflowHandle[Any, Any]) -> list[str]:
    history = await handle.fetch_history()
    return [
        event.workflow_task_failed_event_attributes.failure.message
        for event in history.events
        if event.HasField("workflow_task_failed_event_attributes")
    ]


ACTIVITIES = """
from temporalio import activity

@activity.defn(name="texts.double")
async def double(text: str) -> str:
    return text + text
"""
DEFINITION = """
dsl: 1
name: doubling
updates:
  again: {do: [{value: "${ input.text }"}]}
queries:
  text: "${ input.text }"
signals:
  go: {payload: {type: object}}
steps:
  - {id: double, activity: texts.double, with: {text: "${ input.text }"}}
  - {id: go, wait_signal: go}
  - value: ["${ len(steps.double.output) }", "${ len(steps.go.output.text) }"]
"""


async def test_the_commands(site: WorkflowEnvironment, tmp_path: Path) -> None:
    """Each takes the option, or the variable."""
    (tmp_path / "activities.py").write_text(ACTIVITIES)
    definition = tmp_path / "doubling.yaml"
    definition.write_text(DEFINITION)
    large = tmp_path / "large.json"
    large.write_text(json.dumps({"text": _noise(2 * MIB + 2)}))
    url = (tmp_path / "store").as_uri()
    address = site.client.service_client.config.target_host
    env = {"TEMPORAL_ADDRESS": address, "TEMPORAL_DSL_PAYLOAD_STORAGE": url}
    run = asyncio.create_task(
        asyncio.to_thread(
            cli, *("run", definition, "--input", f"@{large}", "--id", "doubling-1"), env=env
        )
    )
    handle = site.client.get_workflow_handle("doubling-1")
    async with asyncio.timeout(30):
        while not await _has(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED):
            assert not run.done(), run.result()
            await asyncio.sleep(0.1)

    async def command(*arguments: str) -> str:
        option = ("--payload-storage", url, "--address", address)
        done = await asyncio.to_thread(cli, *arguments, *option)
        assert done.code == 0, done
        return done.out

    text = json.loads(large.read_text())["text"]
    assert text in await command("query", "doubling-1", "text", "-o", "json")
    assert text in await command("update", "doubling-1", "again", "-o", "json")
    assert "doubling" in await command("status", "doubling-1")
    without = await asyncio.to_thread(
        cli, "query", "doubling-1", "text", env={"TEMPORAL_ADDRESS": address}
    )
    assert without.code == 2, without
    assert "external storage is not configured. Name it with --payload-storage" in without.err
    assert "bug" not in without.err
    await command("signal", "doubling-1", "go", "--payload", f"@{large}")
    done = await run
    assert done.code == 0, done
    assert json.loads(done.out) == [2 * len(text), len(text)]
    history = await handle.fetch_history()
    assert sum(event.ByteSize() for event in history.events) < 30 * KIB


async def test_a_request_that_is_too_large_is_not_sent(tmp_path: Path) -> None:
    """The server would take it, and the run could neither accept nor refuse it."""
    large = tmp_path / "large.json"
    large.write_text(json.dumps("x" * TOO_MUCH))
    done = await asyncio.to_thread(cli, "update", "id", "note", "--payload", f"@{large}")
    assert done.code == 2, done
    assert "error: the payload: 3,145,730 bytes, 2,093,056 are allowed" in done.err
    assert "--payload-storage" in done.err


async def _has(handle: WorkflowHandle[Any, Any], type: EventType.ValueType) -> bool:
    try:
        return any(event.event_type == type for event in (await handle.fetch_history()).events)
    except RPCError:
        return False  # it is not started yet


@pytest.mark.parametrize("variable", [False, True])
async def test_a_wrong_storage_is_said_at_once(variable: bool, site: WorkflowEnvironment) -> None:
    address = site.client.service_client.config.target_host
    env = {"TEMPORAL_ADDRESS": address}
    option: tuple[str, ...] = ("--payload-storage", "ftp://x")
    if variable:
        env["TEMPORAL_DSL_PAYLOAD_STORAGE"], option = option[1], ()
    done = await asyncio.to_thread(cli, "status", "id", *option, env=env)
    named = "TEMPORAL_DSL_PAYLOAD_STORAGE" if variable else "--payload-storage"
    assert done.code == 2, done
    assert f"error: {named}: ftp://x: it must be file:///folder or s3://bucket/prefix" in done.err
