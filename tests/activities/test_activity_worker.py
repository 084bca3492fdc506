"""Registered activities on a real worker and a real server."""

import asyncio
import dataclasses
import shutil
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

import pytest
import pytest_asyncio
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from interpreter.activities import (
    ActivityContextInterceptor,
    ActivityRegistry,
    heartbeat,
    idempotency_key,
    last_progress,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TASK_QUEUE = "activities"


# --- activities


class Order(BaseModel):
    order_id: str
    lines: list[int] = []


@dataclasses.dataclass
class Parcel:
    weight: Decimal
    fragile: bool = False


class Address(TypedDict):
    city: str


@activity.defn(name="t.async")
async def by_name_async(a: int, b: str = "b") -> list[Any]:
    return [a, b, threading.current_thread() is threading.main_thread()]


@activity.defn(name="t.sync")
def by_name_sync(a: int, b: str = "b") -> list[Any]:
    return [a, b, threading.current_thread() is threading.main_thread()]


@activity.defn(name="t.model")
async def model(order: Order) -> Order:
    return order


@activity.defn(name="t.dataclass")
def parcel(given: Parcel) -> Parcel:
    return given


@activity.defn(name="t.typed_dict")
def address(given: Address) -> str:
    return given["city"]


@activity.defn(name="t.anything")
async def anything(one, two=None):  # type: ignore[no-untyped-def]  # pyright: ignore
    return [one, two]  # pyright: ignore


@activity.defn(name="t.key")
async def key_async() -> str:
    return idempotency_key()


@activity.defn(name="t.key_in_thread")
def key_sync() -> str:
    return idempotency_key()


class Counter:
    def __init__(self) -> None:
        self.count = 0

    @activity.defn(name="t.method")
    async def add(self, by: int) -> int:
        self.count += by
        return self.count


@activity.defn(name="t.import_rows")
def import_rows(rows: int) -> dict[str, int]:
    """Dies once in the middle; answers where each attempt began."""
    start = last_progress(0)
    for number in range(start, rows):
        if number == rows // 2 and activity.info().attempt == 1:
            raise RuntimeError("killed")
        heartbeat(number + 1)
    return {"started_at": start, "attempt": activity.info().attempt}


@activity.defn(name="t.until_cancelled")
def until_cancelled() -> str:
    try:
        while True:
            heartbeat()
            activity.wait_for_cancelled_sync(0.05)
    except CancelledError:
        cancelled_in_thread.set()
        raise


@activity.defn(name="t.no_json")
def no_json() -> Any:
    return {"lock": [threading.Lock()]}


cancelled_in_thread = threading.Event()
counter = Counter()

# --- a workflow that calls them

headers: ContextVar[Mapping[str, Any]] = ContextVar("headers")


class _Outbound(WorkflowOutboundInterceptor):
    def _add(self, input: StartActivityInput | StartLocalActivityInput) -> None:
        payloads: dict[str, Payload] = {
            name: DataConverter.default.payload_converter.to_payload(value)
            for name, value in headers.get().items()
        }
        input.headers = {**input.headers, **payloads}

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        self._add(input)
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        self._add(input)
        return super().start_local_activity(input)


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class SendHeaders(Interceptor):
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


@dataclasses.dataclass
class Call:
    name: str
    payloads: list[Any]
    headers: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    local: bool = False
    attempts: int = 1
    cancel_after: float = 0
    again: bool = False


@workflow.defn
class Caller:
    @workflow.run
    async def run(self, call: Call) -> Any:
        headers.set(call.headers)
        retry = RetryPolicy(maximum_attempts=call.attempts, initial_interval=timedelta(0, 0.01))
        limit = timedelta(seconds=20)
        if call.local:
            return await workflow.execute_local_activity(
                call.name,
                args=call.payloads,
                start_to_close_timeout=limit,
                retry_policy=retry,
                activity_id="the.step",
            )
        handle = workflow.start_activity(
            call.name,
            args=call.payloads,
            start_to_close_timeout=limit,
            heartbeat_timeout=timedelta(seconds=5),
            retry_policy=retry,
            activity_id="the.step",
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        if call.cancel_after:
            await asyncio.sleep(call.cancel_after)
            handle.cancel()
        return await handle


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[Client]:
    beside = Path(sys.executable).with_name("temporal")
    binary = shutil.which("temporal") or (str(beside) if beside.exists() else None)
    if binary is None:
        pytest.skip("there is no `temporal` binary")
    registry = ActivityRegistry(
        [
            by_name_async,
            by_name_sync,
            model,
            parcel,
            address,
            anything,  # pyright: ignore[reportUnknownArgumentType]
            key_async,
            key_sync,
            counter.add,
            import_rows,
            until_cancelled,
            no_json,
        ]
    )
    fast = [
        argument
        for setting in (
            "history.transferProcessorMaxPollRPS=1000",
            "history.timerProcessorMaxPollRPS=1000",
            'history.timerProcessorMaxTimeShift="1ms"',
        )
        for argument in ("--dynamic-config-value", setting)
    ]
    async with await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType]
        dev_server_existing_path=binary, dev_server_extra_args=fast
    ) as env:
        with ThreadPoolExecutor(8) as threads:
            async with Worker(
                env.client,
                task_queue=TASK_QUEUE,
                workflows=[Caller],
                activities=registry.callables(),
                activity_executor=threads,
                workflow_runner=UnsandboxedWorkflowRunner(),
                interceptors=[ActivityContextInterceptor(), SendHeaders()],
                max_heartbeat_throttle_interval=timedelta(seconds=1),
            ):
                yield env.client


async def call(client: Client, name: str, *payloads: Any, **options: Any) -> Any:
    return await client.execute_workflow(
        Caller.run,
        Call(name, list(payloads), **options),
        id=f"{name}-{uuid.uuid4()}",
        task_queue=TASK_QUEUE,
    )


async def failure(client: Client, name: str, *payloads: Any, **options: Any) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await call(client, name, *payloads, **options)
    # A local activity's failure comes without the ActivityError round it.
    error = caught.value.cause
    error = error.cause if isinstance(error, ActivityError) else error
    assert isinstance(error, ApplicationError)
    return error


# --- binding


@pytest.mark.parametrize(
    ("name", "payloads", "result"),
    [
        ("t.async", [{"a": 1}], [1, "b", True]),
        ("t.async", [{"b": "c", "a": 1}], [1, "c", True]),
        ("t.async", [1, "c"], [1, "c", True]),
        ("t.async", [1], [1, "b", True]),
        ("t.async", [{"a": 2.0}], [2, "b", True]),
        ("t.sync", [{"a": 1}], [1, "b", False]),
        ("t.sync", [1, "c"], [1, "c", False]),
        ("t.model", [{"order_id": "o", "lines": [1]}], {"order_id": "o", "lines": [1]}),
        ("t.dataclass", [{"weight": 59.9}], {"weight": "59.9", "fragile": False}),
        ("t.typed_dict", [{"city": "Bern"}], "Bern"),
        ("t.anything", [{"one": {"a": [None]}}], [{"a": [None]}, None]),
        ("t.anything", [[1], {"x": 1}], [[1], {"x": 1}]),
        ("t.anything", [None], [None, None]),
    ],
)
@pytest.mark.parametrize("local", [False, True])
async def test_binds(
    client: Client, name: str, payloads: Sequence[Any], result: Any, local: bool
) -> None:
    assert await call(client, name, *payloads, local=local) == result


async def test_a_single_object_is_positional_where_the_header_says_so(client: Client) -> None:
    given = {"x": 1}
    result = await call(client, "t.anything", given, headers={"temporal-dsl-args": "1"})
    assert result == [{"x": 1}, None]
    error = await failure(client, "t.anything", given)
    assert "unknown argument `x` of t.anything" in error.message


async def test_methods_keep_their_object(client: Client) -> None:
    before = counter.count
    assert await call(client, "t.method", {"by": 2}) == before + 2
    assert await call(client, "t.method", {"by": 3}) == before + 5


async def test_a_bad_argument_is_final_and_carries_no_words_of_pydantic(client: Client) -> None:
    error = await failure(client, "t.async", {"a": "ten"}, attempts=5)
    assert error.type == "dsl.InvalidArguments"
    assert error.non_retryable
    assert error.message == ('argument `a` of t.async: must be a whole number, is the text "ten"')
    assert error.cause is None
    assert "pydantic" not in str(error.failure)


async def test_a_result_that_json_cannot_hold_is_final(client: Client) -> None:
    error = await failure(client, "t.no_json", attempts=5)
    assert (error.type, error.non_retryable) == ("dsl.InvalidResult", True)
    assert error.message == (
        "the result of t.no_json cannot be written as JSON: it is, or contains, something that "
        "is no data (a lock)"
    )


@pytest.mark.parametrize("local", [False, True])
async def test_unregistered(client: Client, local: bool) -> None:
    error = await failure(client, "t.metod", {"x": 1}, attempts=5, local=local)
    assert (error.type, error.non_retryable) == ("dsl.UnregisteredActivity", True)
    assert "no activity is named `t.metod`" in error.message
    assert "did you mean `t.method`?" in error.message
    assert "--activities" in error.message


# --- idempotency key


@pytest.mark.parametrize("name", ["t.key", "t.key_in_thread"])
@pytest.mark.parametrize("local", [False, True])
async def test_idempotency_key(client: Client, name: str, local: bool) -> None:
    handle = await client.start_workflow(
        Caller.run, Call(name, [], local=local), id=str(uuid.uuid4()), task_queue=TASK_QUEUE
    )
    assert await handle.result() == f"{handle.result_run_id}/the.step"
    sent = {"temporal-dsl-root": "the-first-run"}
    # The task after it must not inherit the header of the one before.
    assert await call(client, name, headers=sent, local=local) == "the-first-run/the.step"
    assert await call(client, name, local=local) != "the-first-run/the.step"


async def test_a_root_that_is_no_text_is_refused(client: Client) -> None:
    error = await failure(client, "t.key", headers={"temporal-dsl-root": 3})
    assert (error.type, error.non_retryable) == ("dsl.InvalidArguments", True)


# --- heartbeats and cancellation


async def test_the_next_attempt_goes_on_where_the_last_one_stopped(client: Client) -> None:
    assert await call(client, "t.import_rows", {"rows": 1000}, attempts=2) == {
        "started_at": 500,
        "attempt": 2,
    }


async def test_cancellation_reaches_a_thread(client: Client) -> None:
    cancelled_in_thread.clear()
    with pytest.raises(WorkflowFailureError) as caught:
        await call(client, "t.until_cancelled", cancel_after=0.5)
    assert isinstance(caught.value.cause, ActivityError)
    assert isinstance(caught.value.cause.cause, CancelledError)
    assert cancelled_in_thread.is_set()
