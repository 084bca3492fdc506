"""Workers that are killed in the middle of a saga: every act happens exactly once all the same."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError

from tests.cli.support import EXAMPLE
from tests.end_to_end.support import Books, Site, WorkerProcess, all_at_once, eventually, order

pytestmark = pytest.mark.waits

DELAY = 0.8
"""What an act takes: half of it before it is done, half after."""


@dataclass(frozen=True)
class Moment:
    """When a worker is killed.

    Args:
        input: Which order it works on.
        acts: After so many acts were recorded.
        later: Seconds after that.
        twice: Whether the next worker is killed too, after as many acts more.
    """

    input: str
    acts: int
    later: float = 0.0
    twice: bool = False


MOMENTS = {
    # An act that was done, but whose answer never came.
    "reserved, not told": Moment("input", 1),
    "charged, not told": Moment("input", 2),
    # Between two acts, or before one is done.
    "before the charge": Moment("input", 1, DELAY * 0.75),
    "some items shipped": Moment("input", 3),
    "twice": Moment("input", 1, twice=True),
    # While it is being undone: two items were shipped, then come three cancellations.
    "undone, not told": Moment("carrier-fails", 5),
    "before the refund": Moment("carrier-fails", 7, DELAY * 0.75),
    "refunded, not told": Moment("carrier-fails", 8),
}


def impatient(definition: str) -> str:
    """The example, with attempts that are given up soon: their worker is gone."""
    text, limits = re.subn(r"(start_to_close_timeout: )\d+s", r"\1 3s", definition)
    assert limits == 5  # the default, that of a step, those of compensations
    return text


async def killed(site: Site, folder: Path, number: int, moment: Moment) -> None:
    """Runs an order whose worker is killed at a moment."""
    folder.mkdir()
    books = Books(folder / "books.sqlite")
    (folder / "workflow.yaml").write_text(impatient((EXAMPLE / "workflow.yaml").read_text()))
    queue = f"kill-{number}"
    arguments = ("--definitions", folder, "--task-queue", queue)
    env = {"ORDER_DB": str(books.file), "ORDER_DELAY": str(DELAY)}

    with WorkerProcess(site, folder / "1.log", *arguments, **env) as first:
        await first.ready()
        handle = await site.client.start_workflow(
            "order-fulfilment", json.loads(order(moment.input)), id=queue, task_queue=queue
        )
        site.handle(queue)
        await eventually("acts", lambda: len(books.acts()) >= moment.acts)
        await asyncio.sleep(moment.later)
        code, _ = await first.stopped(signal.SIGKILL)
    assert code == -signal.SIGKILL
    description = await handle.describe()
    assert description.status is not None and description.status.name == "RUNNING"

    if moment.twice:
        with WorkerProcess(site, folder / "2.log", *arguments, **env) as second:
            await second.ready()
            await eventually("acts", lambda: len(books.acts()) >= 2 * moment.acts)
            assert (await second.stopped(signal.SIGKILL))[0] == -signal.SIGKILL

    with WorkerProcess(site, folder / "3.log", *arguments, **env) as last:
        await last.ready()
        if moment.input == "input":
            result = await asyncio.wait_for(handle.result(), 60)
            assert len(result["tracking"]) == 3
            books.check_shipped()
        else:
            with pytest.raises(WorkflowFailureError):
                await asyncio.wait_for(handle.result(), 60)
            state = await handle.query("status")
            assert state["status"] == "compensated"
            books.check_undone()
        assert (await last.stopped(signal.SIGTERM))[0] == 0

    history = await handle.fetch_history()
    workers = {
        event.workflow_task_started_event_attributes.identity
        for event in history.events
        if event.HasField("workflow_task_started_event_attributes")
    }
    assert len(workers) > 1, "it was not killed in the middle"


async def test_a_killed_worker(site: Site, tmp_path: Path) -> None:
    # At the same time: most of it is waiting for attempts and tasks of the dead to be given up.
    await all_at_once(
        {
            name: killed(site, tmp_path / str(number), number, moment)
            for number, (name, moment) in enumerate(MOMENTS.items())
        }
    )
