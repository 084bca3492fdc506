"""fan-out: a folder of files, some of them broken, and a worker that is killed over a long one."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest_asyncio
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from tests.cli.support import PROGRAM, environment
from tests.examples.support import EXAMPLES, Example, example

INBOX = EXAMPLES / "fan-out" / "inbox"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fan_out(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example, in real time."""
    async with example(server, "fan-out", "fan-out") as stage:
        yield stage


def given(folder: Path, report: Path) -> dict[str, str]:
    return {"folder": str(folder), "report": str(report)}


def added_up(file: Path) -> tuple[int, int]:
    """The rows of a table, and their sum in cents."""
    amounts = [line.rsplit(",", 1)[1] for line in file.read_text().splitlines()[1:]]
    return len(amounts), int(sum(Decimal(amount) for amount in amounts) * 100)


def table(file: Path, resumed_at: int = 0) -> dict[str, Any]:
    count, cents = added_up(file)
    return {"file": file.name, "rows": count, "cents": cents, "resumed_at": resumed_at}


async def test_the_inbox(fan_out: Example, tmp_path: Path, db: Path) -> None:
    report = tmp_path / "report.json"
    ended = await fan_out.ended(await fan_out.start(given(INBOX, report)))
    assert (ended.status, ended.error) == ("completed", None)
    cents = sum(added_up(INBOX / name)[1] for name in ("east.csv", "north.csv", "south.csv"))
    total = f"{cents / 100:.2f}"
    assert ended.output == {
        "report": str(report),
        "files": 7,
        "total": total,
        "broken": ["old-till.csv", "west.csv"],
    }
    written = json.loads(report.read_text())
    assert written.pop("written_by").endswith("/report")
    assert written == {
        "total": total,
        "summaries": [
            table(INBOX / "east.csv"),
            {"file": "minutes.txt", "lines": 4, "words": 19},
            table(INBOX / "north.csv"),
            {"file": "note.txt", "lines": 1, "words": 9},
            table(INBOX / "south.csv"),
        ],
        "broken": [
            {
                "file": "old-till.csv",
                "error": "Broken",
                "message": "old-till.csv:3: this is not UTF-8",
            },
            {"file": "west.csv", "error": "Broken", "message": "west.csv:5: seven is no amount"},
        ],
    }
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


async def test_too_many_broken(fan_out: Example, tmp_path: Path, db: Path) -> None:
    report = tmp_path / "report.json"
    folder = EXAMPLES / "fan-out" / "inbox-broken"
    ended = await fan_out.ended(await fan_out.start(given(folder, report)))
    message = "logo.png is neither a table nor a text"
    assert (ended.status, ended.error) == ("failed", ("UnknownFormat", message))
    assert not report.exists()


async def test_half_of_them(fan_out: Example, tmp_path: Path, db: Path) -> None:
    """As many broken ones as are tolerated, and one more."""
    folder, report = tmp_path / "inbox", tmp_path / "report.json"
    folder.mkdir()
    for name in ("north.csv", "south.csv", "west.csv", "old-till.csv"):
        shutil.copy(INBOX / name, folder)
    ended = await fan_out.ended(await fan_out.start(given(folder, report)))
    assert ended.output["broken"] == ["old-till.csv", "west.csv"]
    (folder / "south.csv").unlink()
    ended = await fan_out.ended(await fan_out.start(given(folder, report)))
    assert (ended.status, ended.error and ended.error[0]) == ("failed", "Broken")


async def test_a_folder_that_is_empty_or_not_there(
    fan_out: Example, tmp_path: Path, db: Path
) -> None:
    report = tmp_path / "report.json"
    (tmp_path / "empty").mkdir()
    ended = await fan_out.ended(await fan_out.start(given(tmp_path / "empty", report)))
    assert ended.output == {"report": str(report), "files": 0, "total": "0.00", "broken": []}
    ended = await fan_out.ended(await fan_out.start(given(tmp_path / "none", report)))
    assert ended.error is not None and ended.error[0] == "NoFolder"


async def _progress(handle: WorkflowHandle[Any, Any]) -> int:
    """How many rows the worker has reported to the server."""
    description = await handle.describe()
    for pending in description.raw_description.pending_activities:
        for payload in pending.heartbeat_details.payloads:
            return json.loads(payload.data)["rows"]
    return 0


async def test_a_worker_is_killed_over_a_long_file(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    """The next attempt goes on where the last heartbeat was; no row is counted twice."""
    (tmp_path / "inbox").mkdir()
    shutil.copy(INBOX / "east.csv", tmp_path / "inbox")
    report = tmp_path / "report.json"
    # The run has a worker of its own, which lives on: a dead one's tasks wait for ten seconds.
    text = (EXAMPLES / "fan-out" / "workflow.yaml").read_text()
    definition = tmp_path / "workflow.yaml"
    definition.write_text(text.replace("defaults:", "defaults:\n  task_queue: fan-out-acts"))
    address = server.client.service_client.config.target_host

    def worker(delay: str) -> subprocess.Popen[bytes]:
        command = (PROGRAM, "worker", "--definitions", EXAMPLES / "fan-out", "-o", "json")
        env = environment(TEMPORAL_ADDRESS=address, FAN_OUT_DELAY=delay)
        where = ("--task-queue", "fan-out-acts")
        return subprocess.Popen([*command, *where], env=env, stdout=subprocess.DEVNULL)

    async with example(server, "fan-out", "fan-out-runs", definition) as stage:
        handle = await stage.start(given(tmp_path / "inbox", report))
        first = worker("0.01")
        try:
            for _ in range(400):
                if await _progress(handle) > 0:
                    break
                await asyncio.sleep(0.05)
        finally:
            first.kill()
            first.wait()
        reported = await _progress(handle)
        assert 0 < reported < 1000
        second = worker("0")
        try:
            ended = await asyncio.wait_for(stage.ended(handle), 30)
        finally:
            second.send_signal(signal.SIGTERM)
            second.wait()
    assert ended.output["broken"] == []
    (summary,) = json.loads(report.read_text())["summaries"]
    assert summary == table(INBOX / "east.csv", resumed_at=reported)
