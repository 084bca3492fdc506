"""`temporal-dsl worker`, and the commands that talk to what it runs."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cli.support import EXAMPLE, Done
from tests.end_to_end.support import Books, Site, WorkerProcess, order


@pytest_asyncio.fixture(loop_scope="session")
async def worker(site: Site, tmp_path: Path, books: Books) -> AsyncIterator[WorkerProcess]:
    """A worker for the example, on the default task queue."""
    log = tmp_path / "worker.log"
    with WorkerProcess(site, log, "--definitions", EXAMPLE, ORDER_DB=str(books.file)) as process:
        await process.ready()
        yield process


async def test_the_plain_temporal_cli_starts_it(
    site: Site, worker: WorkerProcess, books: Books
) -> None:
    name = ("--type", "order-fulfilment", "--task-queue", "dsl", "--workflow-id", "plain")
    await site.temporal("workflow", "start", *name, "--input", order())
    site.handle("plain")
    said = json.loads(
        await site.temporal("workflow", "result", "--workflow-id", "plain", "-o", "json")
    )
    assert said["status"] == "COMPLETED"
    assert len(said["result"]["tracking"]) == 3
    books.check_shipped()
    assert await worker.stopped(signal.SIGTERM) == (0, b"")
    assert "Traceback" not in worker.log.read_text()
    assert "stopping" in worker.log.read_text()


async def _until(ask: Callable[[], Awaitable[Done]], holds: Callable[[Done], bool]) -> Done:
    for _ in range(20):
        done = await ask()
        if holds(done):
            return done
        await asyncio.sleep(0.05)
    return await ask()


async def test_an_order_that_waits_for_its_approval(
    site: Site, worker: WorkerProcess, books: Books
) -> None:
    given = json.loads(order(order_id="big", amount=5000))
    handle = await site.client.start_workflow("order-fulfilment", given, id="big", task_queue="dsl")
    site.handle("big")

    done = await _until(lambda: site.cli("status", "big"), lambda d: "waiting" in d.out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("order-fulfilment  running  revision ")
    assert "✓ reserve  inventory.reserve" in done.out
    assert "approval  waiting" in done.out
    done = await site.cli("-o", "json", "status", "big")
    state = done.json()
    assert (done.code, state["definition"]) == (0, "order-fulfilment")
    done = await site.cli("query", "big", "status")
    assert (done.code, done.json()["digest"]) == (0, state["digest"])
    assert (await site.cli("query", "big", "status", "-o", "json")).json()["digest"]

    # What does not fit is refused, and seen.
    done = await site.cli("signal", "big", "approval", "--payload", '{"approved": "yes"}')
    assert (done.code, done.out, done.err) == (0, "", "approval sent to big\n")
    done = await _until(lambda: site.cli("status", "big"), lambda d: "refused" in d.out)
    assert "signal approval: 1 refused" in done.out

    following = asyncio.ensure_future(site.cli("status", "big", "--follow"))
    await asyncio.sleep(1)
    done = await site.cli(
        "-o", "json", "signal", "big", "approval", "--payload", '{"approved": true}'
    )
    assert (done.code, done.json(), done.err) == (0, {"id": "big", "signal": "approval"}, "")
    assert len((await handle.result())["tracking"]) == 3
    done = await following
    assert (done.code, done.out) == (0, ""), done
    assert "✓ ship_all" in done.err and "order-fulfilment completed in" in done.err
    assert books.steps()[:2] == ["reserve", "charge"]

    done = await site.cli("signal", "big", "approval")
    assert (done.code, done.out) == (2, "")
    assert "error: big was not signalled: workflow execution already completed" in done.err


async def test_an_order_that_is_not_approved(
    site: Site, worker: WorkerProcess, books: Books
) -> None:
    given = json.loads(order(order_id="bad", amount=5000))
    await site.client.start_workflow("order-fulfilment", given, id="bad", task_queue="dsl")
    site.handle("bad")
    await site.cli("signal", "bad", "approval", "--payload", '{"approved": false}')
    done = await site.cli("status", "bad", "--follow")
    assert (done.code, done.out) == (1, ""), done
    assert "NotApproved: Order bad was not approved" in done.err
    assert "undone: reserve" in done.err
    assert books.steps() == ["reserve", "reserve!undo"]


async def test_what_is_not_there(site: Site, worker: WorkerProcess) -> None:
    for arguments in (("status", "nope"), ("signal", "nope", "x"), ("query", "nope", "status")):
        done = await site.cli(*arguments)
        assert (done.code, done.out) == (2, ""), done
        assert "error: nope " in done.err and "not found" in done.err
        assert "Traceback" not in done.err and done.seconds < 5
    given = json.loads(order(order_id="asked", amount=5000))
    await site.client.start_workflow("order-fulfilment", given, id="asked", task_queue="dsl")
    done = await site.cli("query", "asked", "nope")
    assert (done.code, done.out) == (2, ""), done
    assert "error: asked has no answer to nope: " in done.err
    await site.handle("asked").terminate()


@pytest.mark.waits
async def test_a_run_without_a_worker(site: Site) -> None:
    handle = await site.client.start_workflow("x", id="alone", task_queue="nobody")
    done = await site.cli("status", "alone")
    await handle.terminate()
    assert (done.code, done.out) == (4, ""), done
    assert (
        "error: no worker answered for alone\n  hint: a query is answered by a worker" in done.err
    )


async def test_a_worker_is_stopped_while_an_activity_runs(
    site: Site, tmp_path: Path, books: Books
) -> None:
    """What it does is ended, and what comes then is left to the next one."""
    env = {"ORDER_DB": str(books.file), "ORDER_DELAY": "1"}
    arguments = ("--definitions", EXAMPLE / "workflow.yaml", "--task-queue", "slow", "-o", "json")
    with WorkerProcess(site, tmp_path / "worker.log", *arguments, **env) as process:
        await process.ready()
        given = json.loads(order())
        await site.client.start_workflow("order-fulfilment", given, id="slow", task_queue="slow")
        await asyncio.sleep(0.7)
        code, out = await process.stopped(signal.SIGTERM)
        assert (code, json.loads(out)) == (
            0,
            {"task_queue": "slow", "definitions": ["order-fulfilment"]},
        )
    assert books.steps() == ["reserve"]
    handle = site.handle("slow")
    attempts = [
        event.activity_task_started_event_attributes.attempt
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_completed_event_attributes")
        or event.HasField("activity_task_started_event_attributes")
    ]
    assert len(attempts) == 2, "its answer came before it ended"
    await handle.terminate()


async def test_a_worker_in_a_namespace_that_is_not_there(site: Site) -> None:
    arguments = ("worker", "--definitions", EXAMPLE / "workflow.yaml", "--namespace", "nowhere")
    done = await site.cli(*arguments)
    assert (done.code, done.out) == (2, ""), done
    assert "error: the worker cannot go on: " in done.err and "Namespace nowhere" in done.err
    [said] = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "Status {" not in said and "Traceback" not in done.err
