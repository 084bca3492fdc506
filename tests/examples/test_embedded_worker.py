"""examples/embedded-worker: its own worker, its workflow written by hand, its definition."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.examples.support import EXAMPLES, rows
from tests.support.servers import fetch, replay

FOLDER = EXAMPLES / "embedded-worker"


@pytest.fixture
def worker_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """worker.py, imported as when it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import worker  # pyright: ignore[reportMissingImports]

    yield worker
    for name in ("worker", "report"):
        sys.modules.pop(name, None)


async def test_it_reports(server: WorkflowEnvironment, db: Path, worker_module: Any) -> None:
    address = server.client.service_client.config.target_host
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    async with worker_module.make_worker(client):
        report = await client.execute_workflow(
            "NightlyReport",
            ["north", "south", "harbour-front", "remote-hill"],
            id="night",
            task_queue="branches",
        )
        child = client.get_workflow_handle("night/north")
        output: Any = await child.result()
    assert report.splitlines() == [
        "Report of the night",
        "harbour-front: 130.00, reviewed",
        "north: 50.00",
        "remote-hill: not closed: there is no bank near remote-hill",
        "south: 50.00",
    ]
    assert output["branch"] == "north" and output["at"].endswith("Z")
    acts = rows(db, "SELECT branch, what FROM acts ORDER BY branch, rowid")
    assert acts == [
        ("harbour-front", "entered"),
        ("harbour-front", "deposited"),
        ("north", "entered"),
        ("north", "deposited"),
        ("remote-hill", "entered"),
        ("remote-hill", "struck"),
        ("south", "entered"),
        ("south", "deposited"),
    ]
    others = ("night/harbour-front", "night/remote-hill")
    await replay(
        await fetch(child), *[await fetch(client.get_workflow_handle(id)) for id in others]
    )
