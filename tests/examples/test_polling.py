"""polling: what the print shop was asked, and what became of its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.examples.support import Ended, Example, example, lose_answers, module, rows
from tests.support.conformance import Runner


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def polling(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example in real time: the shop's clock is the world's."""
    async with example(server, "polling", "polling") as stage:
        yield stage


def requests(db: Path) -> list[str]:
    """What the shop was asked."""
    return [row[0] for row in rows(db, "SELECT request FROM requests ORDER BY number")]


def jobs(db: Path) -> list[tuple[str, int, bool]]:
    """The document and the pages of each job, and whether it was cancelled."""
    found = rows(db, "SELECT document, pages, cancelled FROM jobs ORDER BY number")
    return [(document, pages, cancelled is not None) for document, pages, cancelled in found]


def cancellation(ended: Ended) -> str:
    """The request that undoes the run's job."""
    started = ended.history.events[0].workflow_execution_started_event_attributes
    return f"DELETE /jobs?reference={started.workflow_id}"


async def test_a_job_that_is_done(polling: Example, db: Path) -> None:
    ended = await polling.ended(await polling.start(polling.input()))
    assert (ended.status, ended.error) == ("completed", None)
    looks = ended.output["looks"]
    assert ended.output == {"job": 1, "pages": 15, "looks": looks}
    assert jobs(db) == [("flyer", 15, False)]
    assert requests(db) == ["POST /jobs"] + ["GET /jobs/1"] * looks
    pauses = [0.25 * 2**n for n in range(looks)]
    # The first timer is the deadline's.
    assert ended.timers == [3600, *pauses]
    assert sum(pauses[:-1]) < 1.5 <= ended.seconds, "it looked once more than was needed"


async def test_a_deadline_that_passes(polling: Example, db: Path) -> None:
    ended = await polling.ended(await polling.start(polling.input("too-slow")))
    assert ended.status == "compensated"
    assert ended.error is not None and ended.error[0] == "Timeout"
    assert ended.undone == ["submit"]
    assert jobs(db) == [("encyclopaedia", 30000, True)]
    asked = requests(db)
    assert asked[0] == "POST /jobs" and asked[-1] == cancellation(ended)
    looks = asked[1:-1]  # after 0.25, 0.75 and 1.75 seconds, on a machine that is not busy
    assert set(looks) == {"GET /jobs/1"} and len(looks) <= 3
    assert 3 <= ended.seconds < 12


async def test_a_day_of_growing_pauses(runner: Runner, db: Path) -> None:
    """In virtual time: the shop, whose clock is the world's, is asked for hours."""
    async with example(runner.server, "polling", "polling-virtual") as stage:
        given = stage.input("too-slow", deadline="6h", first_pause=1, longest_pause=600)
        ended = await stage.run(given)
    assert ended.error is not None and ended.error[0] == "Timeout"
    growing = [float(2**n) for n in range(10)]
    deadline, *pauses = ended.timers
    assert deadline == 6 * 3600
    assert pauses[:10] == growing and set(pauses[10:]) == {600}
    assert sum(pauses[:-1]) < 6 * 3600 <= sum(pauses) + 1
    assert len(requests(db)) == 1 + len(pauses[:-1]) + 1
    assert requests(db)[-1] == cancellation(ended)
    assert jobs(db) == [("encyclopaedia", 30000, True)]
    assert ended.seconds == pytest.approx(6 * 3600, abs=60)


async def test_a_paper_jam(polling: Example, db: Path) -> None:
    ended = await polling.ended(await polling.start(polling.input("paper-jam")))
    assert (ended.status, ended.error) == ("compensated", ("NotPrinted", "Job 1 is stuck"))
    assert ended.undone == ["submit"]
    assert jobs(db) == [("jam-recipes", 10, True)]
    assert requests(db).count(cancellation(ended)) == 1


async def test_a_job_that_is_refused(polling: Example, db: Path) -> None:
    """There is nothing to cancel, and nobody asks for it."""
    ended = await polling.ended(await polling.start(polling.input("refused")))
    message = "1000000 pages are too many for us"
    assert (ended.status, ended.error) == ("failed", ("Refused", message))
    assert ended.undone == [] and jobs(db) == []
    assert requests(db) == ["POST /jobs"]


async def test_cancelled_while_it_waits(polling: Example, db: Path) -> None:
    handle = await polling.start(polling.input("too-slow", deadline="1h"))
    for _ in range(200):
        if len(requests(db)) >= 2:
            break
        await asyncio.sleep(0.05)
    await handle.cancel()
    ended = await polling.ended(handle)
    assert (ended.status, ended.undone) == ("cancelled", ["submit"])
    assert jobs(db) == [("encyclopaedia", 30000, True)]
    assert requests(db).count(cancellation(ended)) == 1


async def test_answers_are_lost(
    polling: Example, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request is sent twice; there is one job, and it is cancelled once."""
    lose_answers(monkeypatch, "polling", "ask")
    given = polling.input("too-slow", deadline="2500ms", first_pause=0.1)
    ended = await polling.ended(await polling.start(given))
    assert ended.error is not None and ended.error[0] == "Timeout"
    asked = requests(db)
    assert asked.count("POST /jobs") == 2 and asked.count(cancellation(ended)) == 2
    assert jobs(db) == [("encyclopaedia", 30000, True)]


def test_a_shop_of_ones_own(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acts = module("polling")
    running, address = acts.printshop.serve()
    monkeypatch.setenv("PRINT_URL", address)
    monkeypatch.setattr(acts, "idempotency_key", lambda: "one")
    assert acts.submit("r", "flyer", 3)["job"] == acts.submit("r", "flyer", 3)["job"] == 1
    with pytest.raises(acts.ApplicationError, match="there is no job 7"):
        acts.look(7)
    monkeypatch.setattr(acts, "idempotency_key", lambda: "")
    with pytest.raises(acts.ApplicationError, match="Idempotency-Key is missing"):
        acts.submit("r", "flyer", 3)
    running.shutdown()
    running.server_close()
