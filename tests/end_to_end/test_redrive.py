"""Runs that failed or are suspended go on by the command line, and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError
from temporalio.common import SearchAttributeKey

from dsl.loader import load_text
from interpreter.definitions.registry import Registry
from tests.end_to_end.support import Site, WorkerProcess, all_at_once, eventually

ACTIVITIES = """\
import asyncio
import json
import pathlib
from interpreter.activities import idempotency_key
from temporalio import activity
from temporalio.exceptions import ApplicationError

def note():
    info = activity.info()
    with pathlib.Path(__file__).with_name(info.workflow_id).open("a") as file:
        line = {"step": info.activity_id, "key": idempotency_key(), "run": info.workflow_run_id}
        file.write(json.dumps(line) + "\\n")

@activity.defn(name="desk.pay")
async def pay(account: str) -> str:
    note()
    if account != "A1":
        raise ApplicationError(f"there is no {account}", type="NoAccount")
    return account

@activity.defn(name="desk.slow")
async def slow() -> None:
    note()
    while not pathlib.Path(__file__).with_name("go").exists():
        activity.heartbeat()
        await asyncio.sleep(0.1)

@activity.defn(name="desk.book")
async def book() -> None:
    note()
"""
STEPS = [f"s{number}" for number in range(1, 11)]
ONCE = dict.fromkeys(STEPS, 1)
INPUT = '{"account": "A1", "acount": "B2"}'
CONFLICTS = [
    "s3: it is done, and its activity is `desk.book` in revision 3, not `desk.pay`",
    "s5: it is done, and is a `value` in revision 3, not an `activity`",
]


def payments(name: str, *, field: str = "", **others: str) -> str:
    """A definition of ten steps.

    Args:
        name: Its name.
        field: `input`, where it says which it wants.
        others: What a step is, where it is not a payment; `wrong` of a field that is misspelled.
    """
    lines = ["dsl: 1", f"name: {name}", *([field] if field else []), "steps:"]
    retry = "retry: {maximum_attempts: 2, initial_interval: 10ms}"
    for step in STEPS:
        other = others.get(step)
        account = "acount" if other == "wrong" else "account"
        pay = f'activity: desk.pay, with: {{account: "${{ input.{account} }}"}}, {retry}'
        lines.append(f"  - {{id: {step}, {pay if other in (None, 'wrong') else other}}}")
    return "\n".join([*lines, 'output: "${ steps.s10.output }"', ""])


class Desk:
    """A server with a worker that follows the registry, and what its activities wrote."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder

    def worker(self, queue: str, *more: str | Path) -> WorkerProcess:
        count = len(list(self.folder.glob("log*")))
        acts = ("--activities", self.folder / "desk.py")
        return WorkerProcess(self.site, self.folder / f"log{count}", "-t", queue, *acts, *more)

    async def deploy(self, *texts: str) -> None:
        """Deploys revisions one after the other."""
        registry = Registry(self.site.client)
        for text in texts:
            loaded = load_text(text)
            assert loaded.ok, loaded.diagnostics
            await registry.publish(loaded.definitions[0], by="ann")

    async def fails(self, name: str, id: str, queue: str = "dsl") -> str:
        """Starts a run that fails; gives its run id."""
        handle = self.site.handle(id)
        arguments = [json.loads(INPUT), {"revision": "1"}]
        started = await self.site.client.start_workflow(
            name, args=arguments, id=id, task_queue=queue
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert started.first_execution_run_id is not None
        return started.first_execution_run_id

    async def run_id(self, id: str) -> str:
        """That of the last run."""
        return (await self.site.client.get_workflow_handle(id).describe()).run_id

    async def status(self, id: str) -> dict[str, Any]:
        return await self.site.client.get_workflow_handle(id).query("status")

    def lines(self, id: str) -> list[dict[str, str]]:
        file = self.folder / id
        text = file.read_text() if file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def done(self, id: str) -> dict[str, int]:
        """How often each step was tried; each has one key."""
        lines = self.lines(id)
        keys = {(line["step"], line["key"]) for line in lines}
        assert len(keys) == len({step for step, _ in keys}), keys
        return dict(Counter(line["step"] for line in lines))

    async def refused(self, *arguments: str) -> str:
        """That a command is refused and starts nothing; gives what it says."""
        done = await self.site.cli(*arguments)
        assert (done.code, done.out) == (2, ""), done
        return done.err


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(site: Site, tmp_path_factory: Any) -> AsyncIterator[Desk]:
    """With the revisions of `pay`."""
    folder: Path = tmp_path_factory.mktemp("desk")
    (folder / "desk.py").write_text(ACTIVITIES)
    desk = Desk(site, folder)
    with desk.worker("dsl") as worker:
        await worker.ready()
        needs = "input: {type: object, required: [currency]}"
        await desk.deploy(
            payments("pay", s8="wrong"),
            payments("pay"),
            payments("pay", s3="activity: desk.book", s5="value: 1"),
            payments("pay", s9="wrong"),
            payments("pay", field=needs),
        )
        yield desk


async def under_a_corrected_revision(desk: Desk) -> None:
    site = desk.site
    given = ("--input", INPUT, "--revision", "1", "--follow", "-o", "json")
    site.ids.append("corrected")
    done = await site.cli("start", "pay", "--id", "corrected", *given)
    assert done.code == 1 and "pay failed at s8: NoAccount: there is no B2" in done.err, done
    assert "hint: `temporal-dsl redrive corrected` goes on where it failed" in done.err
    first = done.json()["run_id"]
    done = await site.cli("status", "corrected")
    assert done.out.endswith("  go on where it failed with: redrive corrected\n"), done
    assert desk.done("corrected") == dict.fromkeys(STEPS[:7], 1) | {"s8": 2}
    done = await site.cli("redrive", "corrected", "--revision", "2", "-o", "json")
    assert done.code == 0, done
    said = "pay, revision 2, goes on where it failed: s8\n"
    assert done.err.endswith(said), done
    last = await desk.run_id("corrected")
    assert done.json() == {
        "id": "corrected", "run_id": last, "redrives": first, "definition": "pay",
        "revision": 2, "task_queue": "dsl", "begins_anew": ["s8"], "started": True,
        "idle": False,
    }  # fmt: skip
    handle = site.client.get_workflow_handle("corrected")
    assert await handle.result() == "A1"
    described = await handle.describe()
    assert await described.memo() == {"definition": "pay", "revision": 2}
    assert desk.done("corrected") == ONCE | {"s8": 3}
    lines = desk.lines("corrected")
    runs = [line["run"] for line in lines if line["step"] in ("s8", "s9", "s10")]
    assert runs == [first, first, last, last, last]
    assert {line["key"] for line in lines} == {f"{first}/{step}" for step in STEPS}
    state = await desk.status("corrected")
    assert (state["status"], state["revision"]) == ("completed", "2")


async def under_revisions_that_do_not_fit(desk: Desk) -> None:
    site = desk.site
    first = await desk.fails("pay", "unfit")
    said = await desk.refused("redrive", "unfit", "--revision", "3")
    message = "unfit cannot be redriven: revision 3 does not fit what it has done"
    assert said.splitlines()[:3] == [f"error: {message}", *(f"  {c}" for c in CONFLICTS)]
    assert "hint: nothing was done" in said
    done = await site.cli("redrive", "unfit", "--revision", "3", "-o", "json")
    assert done.code == 2 and done.json()["conflicts"] == CONFLICTS, done
    said = await desk.refused("redrive", "unfit", "--alias", "live")
    assert "the input does not fit:" in said and "currency" in said
    assert "pay has no revision 9" in await desk.refused("redrive", "unfit", "--revision", "9")
    said = await desk.refused("redrive", "unfit", "--alias", "lvie")
    assert "pay has no alias `lvie`" in said and "live" in said
    said = await desk.refused("redrive", "unfit", "--alias", "live", "--revision", "2")
    assert "give one of them" in said
    assert await desk.run_id("unfit") == first
    # One that the worker refused did nothing; the run before it is still there.
    again = await site.client.start_workflow(
        "pay", args=[{}, {"redrive": first, "revision": "3"}], id="unfit", task_queue="dsl"
    )
    done = await site.cli("status", "unfit", "--follow")
    assert done.code == 1 and "NotRedrivable" in done.err and "redrive unfit" not in done.err
    assert await desk.run_id("unfit") == again.first_execution_run_id
    done = await site.cli("redrive", "unfit", "--revision", "2", "--follow", "-o", "json")
    assert done.code == 0, done
    assert done.json()["redrives"] == first and done.json()["output"] == "A1"
    assert desk.done("unfit") == ONCE | {"s8": 3}


async def again_and_again(desk: Desk) -> None:
    site = desk.site
    await desk.fails("pay", "thrice")
    done = await site.cli("redrive", "thrice", "--follow")
    assert done.code == 1 and "pay failed at s8: NoAccount: there is no B2" in done.err, done
    assert "hint: `temporal-dsl redrive thrice`" in done.err
    done = await site.cli("redrive", "thrice", "--revision", "4", "--follow")
    assert done.code == 1 and "pay failed at s9: NoAccount: there is no B2" in done.err, done
    done = await site.cli("redrive", "thrice", "--revision", "2")
    assert (done.code, done.out) == (0, "thrice\n"), done
    assert "pay, revision 2, goes on where it failed: s9\n" in done.err
    assert await site.client.get_workflow_handle("thrice").result() == "A1"
    assert desk.done("thrice") == ONCE | {"s8": 2 + 2 + 1, "s9": 2 + 1}


async def two_at_the_same_moment(desk: Desk) -> None:
    site = desk.site
    await desk.fails("pay", "twice")
    both = ("redrive", "twice", "--revision", "2")
    one, other = await asyncio.gather(site.cli(*both), site.cli(*both))
    assert sorted((one.code, other.code)) == [0, 2], (one, other)
    refused = one if one.code else other
    assert "twice cannot be redriven: it" in refused.err or "another run" in refused.err
    assert await site.client.get_workflow_handle("twice").result() == "A1"
    assert desk.done("twice") == ONCE | {"s8": 3}


async def what_is_not_redriven(desk: Desk) -> None:
    site = desk.site
    await desk.deploy(
        "dsl: 1\nname: ends\nsignals: {go: {}}\nsteps:\n"
        "  - {id: book, activity: desk.book, compensate: {activity: desk.book}}\n"
        "  - {if: input.waits, wait_signal: go}\n"
        "  - {if: input.fails, raise: TooLate}\n"
    )

    ids: list[str] = []

    async def start(id: str, waits: bool, fails: bool) -> None:
        given = {"waits": waits, "fails": fails}
        ids.append(id)
        await site.client.start_workflow("ends", given, id=id, task_queue="dsl")

    for id, waits, fails in (
        ("undone", False, True),
        ("completed", False, False),
        ("cancelled", True, False),
        ("terminated", True, False),
        ("open", True, False),
    ):
        await start(id, waits, fails)
    await site.client.get_workflow_handle("cancelled").cancel()
    await site.client.get_workflow_handle("terminated").terminate()
    for id in ("undone", "cancelled"):
        done = await site.cli("status", id, "--follow")
        assert done.code == 1 and "redrive" not in done.err, done
    assert await site.client.get_workflow_handle("completed").result() is None
    site.ids += ids
    before = {id: await desk.run_id(id) for id in ids}
    for id, why in {
        "undone": "what it had done was undone: start anew",
        "completed": "it completed",
        "cancelled": "it was cancelled",
        "terminated": "it was terminated",
        "open": "it is open",
        "nobody": "",
    }.items():
        said = await desk.refused("redrive", id)
        assert f"{id} cannot be redriven: {why}" in said
        assert "hint: " in said or id == "nobody"
    assert {id: await desk.run_id(id) for id in ids} == before
    said = await desk.refused("query", "completed", "states")
    assert "journal" in said and "dsl.state" not in said
    await site.client.get_workflow_handle("open").signal("go")
    await site.client.get_workflow_handle("open").result()


async def resumed(desk: Desk) -> None:
    site = desk.site
    revisions = [
        f"dsl: 1\nname: share\nsteps:\n  - {{id: book, activity: {activity}}}\n"
        f'  - {{id: share, value: "${{ 12 / input.{by} }}"}}\noutput: "${{ steps.share.output }}"\n'
        for activity, by in (("desk.book", "none"), ("desk.slow", "by"), ("desk.book", "by"))
    ]
    await desk.deploy(revisions[0])
    site.ids.append("shared")
    given = '{"none": 0, "by": 4}'
    done = await site.cli("start", "share", "--id", "shared", "--input", given, "--follow")
    assert done.code == 3, done
    answer = "answer with: retry shared, fail shared, skip shared STEP, resolve shared STEP"
    assert f"{answer}, resume shared" in done.err
    assert f"{answer}, resume shared" in (await site.cli("status", "shared")).out
    said = await desk.refused("resume", "shared")
    assert "shared refused it: it runs revision 1 already: answer `retry`" in said
    said = await desk.refused("resume", "shared", "--revision", "7")
    assert "share has no revision 7" in said
    await desk.deploy(revisions[1])
    conflict = "book: it is done, and its activity is `desk.slow` in revision 2, not `desk.book`"
    said = await desk.refused("resume", "shared", "--revision", "2", "--reason", "it may help")
    message = "shared refused it: revision 2 does not fit what it has done"
    assert said.splitlines()[:2] == [f"error: {message}", f"  {conflict}"]
    assert "hint: it stays suspended" in said
    assert (await desk.status("shared"))["suspended"][0]["step"] == "share"
    await desk.deploy(revisions[2])
    done = await site.cli("resume", "shared", "--reason", "mended", "-o", "json")
    assert done.code == 0, done
    expected = {"id": "shared", "action": "resume", "steps": ["share"], "revision": "3"}
    assert done.json() == expected
    assert await site.client.get_workflow_handle("shared").result() == 3
    assert desk.done("shared") == {"book": 1}
    state = await desk.status("shared")
    assert (state["status"], state["revision"]) == ("completed", "3")
    [answered] = state["answers"]
    assert (answered["action"], answered["reason"]) == ("resume", "mended")
    assert "@" in answered["by"]
    shown = await site.cli("status", "shared")
    assert f"✎ resume of share by {answered['by']}: mended" in shown.out
    asked = await site.cli("query", "shared", "journal")
    entries = asked.json()["entries"]
    assert [(e["kind"], e["path"]) for e in entries] == [
        ("activity", "book"), ("answer", "share"), ("value", "share"),
    ]  # fmt: skip
    assert (entries[1]["status"], entries[1]["by"]) == ("resume", answered["by"])
    assert entries[1]["reason"] == "mended"
    said = await desk.refused("resume", "shared")
    assert "shared cannot be answered" in said  # it has ended


async def with_a_worker_that_is_killed(desk: Desk) -> None:
    site = desk.site
    slow = "activity: desk.slow, heartbeat_timeout: 1s"
    await desk.deploy(payments("killed", s8="wrong", s9=slow), payments("killed", s9=slow))
    with desk.worker("killed") as worker:
        await worker.ready()
        first = await desk.fails("killed", "killed", "killed")
        done = await site.cli("redrive", "killed", "--revision", "2")
        assert done.code == 0, done
        await eventually("step 9", lambda: "s9" in desk.done("killed"))
        await worker.stopped(signal.SIGKILL)
    (desk.folder / "go").touch()
    with desk.worker("killed") as worker:
        await worker.ready()
        assert await site.client.get_workflow_handle("killed").result() == "A1"
    assert desk.done("killed") == dict.fromkeys(STEPS, 1) | {"s8": 3, "s9": 2}
    assert {line["key"] for line in desk.lines("killed")} == {f"{first}/{step}" for step in STEPS}


async def where_nobody_works(desk: Desk) -> None:
    with desk.worker("gone") as worker:
        await worker.ready()
        first = await desk.fails("pay", "gone", "gone")
    done = await desk.site.cli("redrive", "gone", "-o", "json")
    assert done.code == 4 and "start one with `temporal-dsl worker`" in done.err, done
    assert done.json()["error"]["message"] == "no worker answered for gone"
    assert await desk.run_id("gone") == first


async def with_what_was_set_on_the_run(desk: Desk) -> None:
    site = desk.site
    state = "set_search_attributes: {CaseKeyword: paid}"
    await desk.deploy(payments("marked", s1=state, s8="wrong"), payments("marked", s1=state))
    await desk.fails("marked", "marked")
    done = await site.cli("redrive", "marked", "--revision", "2")
    assert done.code == 0, done
    handle = site.client.get_workflow_handle("marked")
    assert await handle.result() == "A1"
    described = await handle.describe()
    key = SearchAttributeKey.for_keyword("CaseKeyword")
    assert described.typed_search_attributes.get(key) == "paid"
    assert desk.done("marked") == dict.fromkeys(STEPS[1:], 1) | {"s8": 3}


async def by_a_worker_that_follows_a_folder(desk: Desk) -> None:
    site, folder = desk.site, desk.folder / "folder"
    folder.mkdir()
    file = folder / "paper.yaml"
    site.ids.append("paper")

    async def serve(text: str) -> None:
        """Puts another text there, and waits until the worker has read it."""
        before = worker.log.read_text().count("paper was read")
        file.write_text(text)
        await eventually(
            "it is read", lambda: worker.log.read_text().count("paper was read") > before
        )

    file.write_text(payments("paper", s8="wrong"))
    with desk.worker("files", "--definitions", folder) as worker:
        await worker.ready()
        given = json.loads(INPUT)
        await site.client.start_workflow("paper", given, id="paper", task_queue="files")
        with pytest.raises(WorkflowFailureError):
            await site.client.get_workflow_handle("paper").result()
        first = await desk.run_id("paper")
        said = await desk.refused("redrive", "paper", "--revision", "2")
        assert "the worker of files follows a folder" in said and "--alias live" in said
        assert await desk.run_id("paper") == first
        await serve(payments("paper", s3="activity: desk.book"))
        said = await desk.refused("redrive", "paper", "--alias", "live")
        assert "paper cannot be redriven: revision " in said
        assert "\n  s3: it is done, and its activity is `desk.book` in revision " in said
        await serve(payments("paper"))
        done = await site.cli("redrive", "paper", "--alias", "live", "-o", "json")
        assert done.code == 0 and done.json()["redrives"] == first, done
        assert await site.client.get_workflow_handle("paper").result() == "A1"
        revision = (await desk.status("paper"))["revision"]
        assert done.json()["revision"] == revision and len(revision) == 12
    assert desk.done("paper") == ONCE | {"s8": 3}


async def test_by_the_command_line(desk: Desk) -> None:
    await all_at_once({
        "corrected": under_a_corrected_revision(desk),
        "unfit": under_revisions_that_do_not_fit(desk),
        "thrice": again_and_again(desk),
        "twice": two_at_the_same_moment(desk),
        "not redriven": what_is_not_redriven(desk),
        "resumed": resumed(desk),
        "killed": with_a_worker_that_is_killed(desk),
        "gone": where_nobody_works(desk),
        "marked": with_what_was_set_on_the_run(desk),
        "paper": by_a_worker_that_follows_a_folder(desk),
    })  # fmt: skip
