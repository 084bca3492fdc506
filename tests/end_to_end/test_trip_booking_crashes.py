"""Trips whose worker is killed: each is booked and sent to the end, or wholly undone."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError

from tests.cli.support import ROOT
from tests.end_to_end.support import Books, Site, WorkerProcess, all_at_once, eventually

pytestmark = pytest.mark.waits

EXAMPLE = ROOT / "examples" / "trip-booking"
KINDS = ["car", "flight", "hotel"]


@dataclass(frozen=True)
class Moment:
    """When a worker is killed.

    Args:
        input: Which trip it works on.
        acts: After so many acts were recorded; the last of them is not told.
        ends: How the run ends.
        undone: What is undone.
        done: What of it was done before; all where nothing else is said.
        cancelled: Whether the run is cancelled while there is no worker.
        delay: What an act takes, in seconds: half of it before it is done, half after.
        pause: The wait before another attempt.
    """

    input: str
    acts: int
    ends: str
    undone: tuple[str, ...] = ()
    done: tuple[str, ...] | None = None
    cancelled: bool = False
    delay: float = 0.8
    pause: str = "500ms"


BEFORE = ("car", "flight", "hotel", "pay")
MOMENTS = {
    "while it books": Moment("input", 2, "completed"),
    "tickets issued, not told": Moment("input", 5, "completed"),
    "after the tickets, the mail server is down": Moment("mail-down", 6, "completed"),
    # Neither answer came, and there is no further attempt: both are cancelled by the trip.
    "a car refused, the others at work": Moment(
        "no-car", 1, "compensated", ("flight", "hotel"), done=("flight",)
    ),
    "refunded, not told": Moment("bad-name", 5, "compensated", BEFORE),
    # It learns of it before another attempt could say whether the tickets were issued.
    "cancelled, tickets issued, not told": Moment(
        "input", 5, "cancelled", (*BEFORE, "ticket"), cancelled=True, delay=1.6, pause="1h"
    ),
}


async def killed(site: Site, folder: Path, number: int, moment: Moment) -> None:
    """Books a trip whose worker is killed at a moment."""
    folder.mkdir()
    book = Books(folder / "book.sqlite")
    text = (EXAMPLE / "workflow.yaml").read_text()
    # Attempts of the dead are given up soon.
    text, limits = re.subn("start_to_close_timeout: 10s", "start_to_close_timeout: 4s", text)
    text, pauses = re.subn("initial_interval: 500ms", f"initial_interval: {moment.pause}", text)
    assert (limits, pauses) == (6, 1)
    (folder / "workflow.yaml").write_text(text)
    queue = f"trip-{number}"
    arguments = ("--definitions", folder, "--task-queue", queue)
    env = {"TRIP_DB": str(book.file)}

    slow = env | {"TRIP_DELAY": str(moment.delay)}
    with WorkerProcess(site, folder / "1.log", *arguments, example=EXAMPLE, **slow) as first:
        await first.ready()
        given = json.loads((EXAMPLE / f"{moment.input}.json").read_text())
        handle = await site.client.start_workflow("trip-booking", given, id=queue, task_queue=queue)
        site.handle(queue)
        await eventually("acts", lambda: len(book.acts()) >= moment.acts)
        code, _ = await first.stopped(signal.SIGKILL)
    assert code == -signal.SIGKILL
    description = await handle.describe()
    assert description.status is not None and description.status.name == "RUNNING"
    if moment.cancelled:
        await handle.cancel()

    with WorkerProcess(site, folder / "2.log", *arguments, example=EXAMPLE, **env) as second:
        await second.ready()
        if moment.ends == "completed":
            await asyncio.wait_for(handle.result(), 60)
            check_done(book)
        else:
            with pytest.raises(WorkflowFailureError):
                await asyncio.wait_for(handle.result(), 60)
            check_undone(book, moment.undone, moment.done or moment.undone)
        state = await handle.query("status")
        assert state["status"] == moment.ends
        assert (await second.stopped(signal.SIGTERM))[0] == 0

    history = await handle.fetch_history()
    workers = {
        event.workflow_task_started_event_attributes.identity
        for event in history.events
        if event.HasField("workflow_task_started_event_attributes")
    }
    assert len(workers) > 1, "it was not killed in the middle"


def check_done(book: Books) -> None:
    """Each act was done once."""
    steps = book.steps()
    assert sorted(steps[:3]) == KINDS and steps[3:5] == ["pay", "ticket"], steps
    assert sorted(steps[5:]) == ["documents", "miles"], steps
    assert sorted(book.rows("SELECT kind, state FROM bookings")) == [(k, "booked") for k in KINDS]
    assert book.rows("SELECT cents, state FROM payments") == [(69500, "charged")]
    assert book.rows("SELECT state FROM tickets") == [("issued",)]
    assert book.rows("SELECT 1 FROM mails UNION ALL SELECT 2 FROM miles") == [(1,), (2,)]
    check_stock(book)


def check_undone(book: Books, undone: tuple[str, ...], done: tuple[str, ...]) -> None:
    """What was done was undone once, after all had settled; the bookings last."""
    steps = [step for step, name in book.acts() if name != "forestalled"]
    before, after = steps[: len(done)], steps[len(done) :]
    assert sorted(before) == sorted(done), steps
    assert sorted(after) == sorted(f"{step}!undo" for step in undone), steps
    last = [f"{step}!undo" for step in ("ticket", "pay") if step in undone]
    assert after[: len(last)] == last, steps
    booked = [(kind, "cancelled") for kind in KINDS if kind in done]
    assert sorted(book.rows("SELECT kind, state FROM bookings")) == booked
    assert book.rows("SELECT state FROM payments") == [("refunded",)] * ("pay" in done)
    assert book.rows("SELECT state FROM tickets") == [("void",)] * ("ticket" in done)
    assert book.rows("SELECT 1 FROM mails UNION ALL SELECT 1 FROM miles") == []
    check_stock(book)


def check_stock(book: Books) -> None:
    """What is left and what is booked come to what there was."""
    left = book.rows("SELECT sum(available) FROM stock")[0][0]
    (booked,) = book.rows("SELECT count(*) FROM bookings WHERE state = 'booked'")[0]
    assert left + booked == 500


async def test_a_killed_worker(site: Site, tmp_path: Path) -> None:
    # At the same time: most of it is waiting for attempts and tasks of the dead to be given up.
    await all_at_once(
        {
            name: killed(site, tmp_path / str(number), number, moment)
            for number, (name, moment) in enumerate(MOMENTS.items())
        }
    )
