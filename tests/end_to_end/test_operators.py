"""Operators answer suspended runs by the command line, and what they did is on record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.support import Site, WorkerProcess

DEFINITIONS = """\
dsl: 1
name: booking
compensation: {on_failure: suspend}
steps:
  - id: book
    activity: desk.book
    compensate: {activity: desk.cancel, retry: {maximum_attempts: 2, initial_interval: 10ms}}
  - id: share
    value: ${ steps.book.output / input.by }
  - {if: input.fail, raise: TooLate}
output: ${ steps.share.output }
"""
ACTIVITIES = """\
import pathlib
from temporalio import activity

@activity.defn(name="desk.book")
async def book() -> int:
    return 12

@activity.defn(name="desk.cancel")
async def cancel() -> None:
    if not pathlib.Path(__file__).with_name("open").exists():
        raise RuntimeError("the desk is closed")
"""


async def test_answers_by_the_command_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "booking.yaml").write_text(DEFINITIONS)
    (tmp_path / "desk.py").write_text(ACTIVITIES)

    async def start(id: str, by: int, fail: bool = False) -> None:
        given = {"by": by, "fail": fail}
        await site.client.start_workflow("booking", given, id=id, task_queue="booking")
        site.handle(id)

    async def state(id: str) -> dict[str, Any]:
        done = await site.cli("status", id, "-o", "json")
        assert done.code == 0, done
        return json.loads(done.out)

    async def suspended(id: str) -> str:
        done = await site.cli("status", id, "--follow", "-o", "json")
        assert done.code == 3, done
        return json.loads(done.out)["suspended"][0]["step"]

    worker = WorkerProcess(
        site, tmp_path / "log", "--definitions", tmp_path, "-t", "booking",
        "--activities", tmp_path / "desk.py",
    )  # fmt: skip
    with worker:
        await worker.ready()
        for id in ("skipped", "resolved", "failed"):
            await start(id, by=0)
            assert await suspended(id) == "share"

        # Wrong answers are refused, and nothing of them is written.
        before = (await site.client.get_workflow_handle("skipped").fetch_history()).events
        done = await site.cli("skip", "skipped", "book")
        assert done.code == 2
        assert "the step `book` is not suspended; suspended: `share`" in done.err
        assert "temporal-dsl status skipped" in done.err
        assert (await site.cli("skip", "skipped")).code == 2
        assert (await site.cli("resolve", "skipped", "share", "--step-output", "{")).code == 2
        done = await site.cli("retry", "nobody")
        assert done.code == 2 and "nobody cannot be answered" in done.err, done
        after = (await site.client.get_workflow_handle("skipped").fetch_history()).events
        assert len(after) == len(before)

        done = await site.cli("retry", "skipped", "--reason", "it may help")
        assert (done.code, done.out) == (0, ""), done
        assert "retry for share of skipped" in done.err
        assert await suspended("skipped") == "share"
        done = await site.cli("skip", "skipped", "share", "--reason", "nobody shares")
        assert done.code == 0, done
        done = await site.cli("status", "skipped", "--follow")
        assert done.code == 1 or done.code == 3, done  # its output reads what is not there
        answers = (await state("skipped"))["answers"]
        assert [a["action"] for a in answers] == ["retry", "skip"]
        assert all("@" in a["by"] and a["fault"] == "ExpressionFailed" for a in answers)
        assert [a["reason"] for a in answers] == ["it may help", "nobody shares"]
        done = await site.cli("status", "skipped")
        assert "skip of share by " in done.out and ": nobody shares" in done.out
        assert "answer with: retry skipped, fail skipped, skip skipped STEP" in done.out
        await site.client.get_workflow_handle("skipped").terminate()

        done = await site.cli("resolve", "resolved", "share", "--step-output", "6", "-o", "json")
        assert done.code == 0, done
        assert done.json() == {"id": "resolved", "action": "resolve", "steps": ["share"]}
        assert await site.client.get_workflow_handle("resolved").result() == 6

        # A fault that is taken for an error undoes what was done; here the undoing fails too.
        assert (await site.cli("fail", "failed")).code == 0
        assert await suspended("failed") == "book!undo"
        done = await site.cli("status", "failed")
        assert "suspended at book!undo: CompensationFailed" in done.out
        (tmp_path / "open").touch()
        assert (await site.cli("retry", "failed", "book!undo")).code == 0
        done = await site.cli("status", "failed", "--follow")
        assert done.code == 1 and "undone: book" in done.err, done
        [entry] = (await state("failed"))["compensations"]
        assert (entry["step"], entry["status"], entry["compensation"]) == (
            "book", "completed", "compensated",
        )  # fmt: skip
        assert entry["attempts"] == 2 and entry["started"] <= entry["ended"]
        done = await site.cli("status", "failed")
        assert "↶ book  completed  compensated  2 attempts  " in done.out, done.out
        assert "retry of book!undo by " in done.out
    done = await site.cli("retry", "skipped")
    assert done.code == 2, done  # it has ended
