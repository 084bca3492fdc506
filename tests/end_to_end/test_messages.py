"""Handlers, updates and queries, from a plain Temporal client and from the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from tests.end_to_end.support import Site, WorkerProcess

DEFINITIONS = """\
dsl: 1
name: cart
input: {type: object, properties: {limit: {type: integer, default: 100}}}
vars: {items: [], paid: false}
signals:
  add:
    payload: {type: object, required: [price], properties: {price: {type: integer}}}
    do:
      - set: {items: "${ vars.items + [payload.price] }"}
  stop: {}
updates:
  put:
    payload: {type: integer}
    do:
      - set: {items: "${ vars.items + [payload] }"}
    output: ${ len(vars.items) }
  checkout:
    validate:
      - {check: len(vars.items) > 0, message: the cart is empty}
      - {check: "sum(vars.items) <= input.limit", message: "${ sum(vars.items) } is too much"}
    do:
      - id: charge
        activity: shop.charge
        with: {amount: "${ sum(vars.items) }"}
      - set: {paid: true}
    output: {receipt: "${ steps.charge.output }"}
queries:
  total: ${ sum(vars.items) }
  receipt: ${ steps.last.output }
  first: ${ steps.first.output }
steps:
  - id: first
    value: ${ len(vars.items) }
  - wait_condition: vars.paid
  - id: last
    value: done
output: ${ vars.items }
---
dsl: 1
name: plain
input: {type: object, required: [n]}
steps: [{id: charge, activity: shop.charge, with: {amount: 1}}]
"""
ACTIVITIES = """\
from temporalio import activity
from temporalio.exceptions import ApplicationError

@activity.defn(name="shop.charge")
async def charge(amount: int) -> str:
    if amount == 13:
        raise ApplicationError("no money", {"code": 51}, type="CardDeclined", non_retryable=True)
    return f"paid {amount}"
"""
QUEUE = "cart"
EXISTING = WorkflowIDConflictPolicy.USE_EXISTING


def folder(tmp_path: Path) -> Path:
    """Definitions and activities."""
    (tmp_path / "cart.yaml").write_text(DEFINITIONS)
    (tmp_path / "shop.py").write_text(ACTIVITIES)
    return tmp_path


def worker_of(site: Site, tmp_path: Path) -> WorkerProcess:
    return WorkerProcess(
        site, tmp_path / "log", "--definitions", tmp_path, "-t", QUEUE,
        "--activities", tmp_path / "shop.py",
    )  # fmt: skip


async def refused(updating: Any) -> ApplicationError:
    """What an update is refused with."""
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await updating
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


def with_start(name: str, id: str, given: Any) -> WithStartWorkflowOperation[Any, Any]:
    return WithStartWorkflowOperation(
        name, given, id=id, task_queue=QUEUE, id_conflict_policy=EXISTING
    )


async def test_a_plain_client(site: Site, tmp_path: Path) -> None:
    client = site.client
    with worker_of(site, folder(tmp_path)) as worker:
        await worker.ready()

        # A signal starts the run, and is handled before its first step.
        handle = await client.start_workflow(
            "cart", {}, id="signalled", task_queue=QUEUE,
            start_signal="add", start_signal_args=[{"price": 7}],
        )  # fmt: skip
        site.handle("signalled")
        await eventually_total(handle, 7)

        # What is rejected writes nothing.
        async def length() -> int:
            return len((await handle.fetch_history()).events)

        before = await length()
        cause = await refused(handle.execute_update("put", "x"))
        assert cause.type == "InvalidPayload" and "must be a whole number" in cause.message
        cause = await refused(handle.execute_update("chekout"))
        assert cause.message == "there is no update `chekout`; did you mean `checkout`?"
        await handle.signal("add", {"price": 200})
        await eventually_total(handle, 207)
        between = await length()
        cause = await refused(handle.execute_update("checkout"))
        assert (cause.type, cause.message) == ("Rejected", "207 is too much")
        assert await length() == between
        assert before < between
        with pytest.raises(WorkflowQueryFailedError, match="there is no query `totl`; did you"):
            await handle.query("totl")
        with pytest.raises(WorkflowQueryFailedError, match="has no output: it is pending"):
            await handle.query("receipt")
        about = await handle.query("definition")
        assert about["name"] == "cart" and about["definition"]["queries"]["total"]
        assert about["digest"] and about["revision"]
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert await handle.query("total") == 207

        # An update starts the run, and is answered.
        operation = with_start("cart", "updated", {"limit": 20})
        count = await client.execute_update_with_start_workflow(
            "put", 13, start_workflow_operation=operation
        )
        site.handle("updated")
        assert count == 1
        handle = await operation.workflow_handle()
        cause = await refused(handle.execute_update("checkout"))
        assert (cause.type, cause.message) == ("CardDeclined", "no money")
        assert cause.details[0] == {"code": 51}
        operation = with_start("cart", "updated", {})
        put = client.execute_update_with_start_workflow(
            "put", 2, start_workflow_operation=operation
        )
        assert await put == 2
        assert await handle.execute_update("checkout") == {"receipt": "paid 15"}
        assert await handle.result() == [13, 2]
        assert await handle.query("receipt") == "done"

        # One that is wrong starts the run all the same, and fails.
        operation = with_start("cart", "wrong", {})
        cause = await refused(
            client.execute_update_with_start_workflow(
                "put", "x", start_workflow_operation=operation
            )
        )
        site.handle("wrong")
        assert cause.type == "InvalidPayload"
        handle = await operation.workflow_handle()
        assert await handle.execute_update("put", 1) == 1
        await handle.terminate()

        # So does one that the definition does not have, or whose run does not begin.
        for id, name, given, type in (
            ("unknown", "plain", {"n": 1}, "UnknownUpdate"),
            ("refused", "plain", {}, "InvalidInput"),
            ("nothing", "nothing", {}, "UnknownDefinition"),
        ):
            operation = with_start(name, id, given)
            cause = await refused(
                client.execute_update_with_start_workflow(
                    "put", 1, start_workflow_operation=operation
                )
            )
            site.handle(id)
            assert cause.type == type


async def eventually_total(handle: Any, total: int) -> None:
    """Waits until a run has begun and its total is so much; it never is more."""
    found: Any = None
    for _ in range(200):
        try:
            found = await handle.query("total")
        except WorkflowQueryFailedError as error:
            assert str(error) == "the run has not begun yet"
        if found == total:
            return
        assert found is None or found < total
        await asyncio.sleep(0.02)
    raise AssertionError(f"the total is {found}")


async def test_messages_that_wait_for_a_worker_are_handled_in_order(
    site: Site, tmp_path: Path
) -> None:
    handle = await site.client.start_workflow(
        "cart", {}, id="waiting", task_queue=QUEUE,
        start_signal="add", start_signal_args=[{"price": 5}],
    )  # fmt: skip
    site.handle("waiting")
    await handle.signal("add", {"price": 6})
    accepted = WorkflowUpdateStage.ACCEPTED
    sending = asyncio.create_task(handle.start_update("checkout", wait_for_stage=accepted))
    await asyncio.sleep(0.5)
    with worker_of(site, folder(tmp_path)) as worker:
        await worker.ready()
        # Both signals came before it, and before the first step: the cart is not empty.
        assert await (await sending).result() == {"receipt": "paid 11"}
        assert await handle.result() == [5, 6]
        assert await handle.query("first") == 2


async def test_the_command_line(site: Site, tmp_path: Path) -> None:
    with worker_of(site, folder(tmp_path)) as worker:
        await worker.ready()
        await site.client.start_workflow("cart", {}, id="shopping", task_queue=QUEUE)
        site.handle("shopping")

        done = await site.cli("update", "shopping", "checkout")
        assert (done.code, done.out) == (1, ""), done
        assert done.err == "error: shopping rejected checkout: the cart is empty\n"
        done = await site.cli("update", "shopping", "put", "--payload", "13")
        assert (done.code, done.out) == (0, "1\n"), done
        done = await site.cli("signal", "shopping", "add", "--payload", '{"price": 1}')
        assert done.code == 0, done
        done = await site.cli("query", "shopping", "total")
        assert (done.code, done.out) == (0, "14\n"), done
        done = await site.cli("query", "shopping", "totl")
        assert done.code == 2 and "did you mean `total`?" in done.err, done
        assert (await site.cli("query", "shopping", "definition")).json()["name"] == "cart"

        done = await site.cli("update", "shopping", "chekout", "-o", "json")
        message = "shopping rejected chekout: there is no update `chekout`; "
        assert done.code == 1, done
        assert done.json()["error"]["message"] == message + "did you mean `checkout`?"
        done = await site.cli("update", "shopping", "put", "--payload", "{")
        assert done.code == 2, done
        done = await site.cli("update", "nobody", "put")
        assert done.code == 2 and "nobody cannot be updated" in done.err, done

        done = await site.cli("status", "shopping")
        assert "put#1" in done.out and "add#2" in done.out, done
        assert (await site.cli("graph", tmp_path / "cart.yaml", "--run", "shopping")).code == 0
        done = await site.cli("update", "shopping", "checkout")
        assert (done.code, done.json()) == (0, {"receipt": "paid 14"}), done
    done = await site.cli("update", "shopping", "put", "--payload", "1")
    assert done.code == 2, done  # it has ended


async def test_an_update_that_fails_says_so(site: Site, tmp_path: Path) -> None:
    with worker_of(site, folder(tmp_path)) as worker:
        await worker.ready()
        await site.client.start_workflow("cart", {}, id="declined", task_queue=QUEUE)
        handle = site.handle("declined")
        await handle.signal("add", {"price": 13})
        done = await site.cli("update", "declined", "checkout")
        assert done.code == 1, done
        assert done.err == "error: checkout failed in declined: CardDeclined: no money\n"
        await handle.terminate()
