"""`start`: which revision, with what input, under which id, and what is seen of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from tests.cli.support import Done
from tests.end_to_end.support import Site, WorkerProcess
from tests.support.servers import real_server

IDLE = "no worker listens on {}: it waits for one\n"


def text(name: str, value: object = 1) -> str:
    return f"dsl: 1\nname: {name}\nsteps:\n  - id: only\n    value: {value}\noutput: {value}\n"


WAITS = """\
dsl: 1
name: waits
signals: {go: {}}
steps:
  - id: wait
    wait_signal: go
output: done
"""
TYPED = """\
dsl: 1
name: typed
input:
  type: object
  required: [who]
  properties: {who: {type: string}, times: {type: integer, default: 2}}
steps:
  - value: 1
output: ${ input }
"""
ENDS = """\
dsl: 1
name: ends
input: {properties: {by: {type: integer}}}
steps:
  - raise: TooMuch
    message: It is over 8
    if: ${ input.by > 8 }
  - id: quotient
    value: ${ 1 / input.by }
output: {half: "${ steps.quotient.output }", "ä": 1}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server, a worker that follows its registry, and what is deployed there."""
    here = tmp_path_factory.mktemp("start")
    async with real_server() as server:
        site = Site(server)
        with WorkerProcess(site, here / "log") as worker:
            await worker.ready()
            flows = here / "flows"
            flows.mkdir()
            for name, content in (("waits", WAITS), ("typed", TYPED), ("ends", ENDS)):
                (flows / f"{name}.yaml").write_text(content)
            for value in (1, 2, 3):
                (flows / "counted.yaml").write_text(text("counted", value))
                paths = (flows,) if value == 1 else (flows / "counted.yaml",)
                alias = "staging" if value == 3 else "live"
                done = await site.cli("deploy", *paths, "--alias", alias)
                assert done.code == 0, done
            yield site
        await site.replay()


async def absent(site: Site, id: str) -> None:
    """Checks that nothing was started under an id."""
    with pytest.raises(RPCError) as caught:
        await site.client.get_workflow_handle(id).describe()
    assert caught.value.status == RPCStatusCode.NOT_FOUND


def wrong(done: Done, error: str, hint: str | None = None) -> None:
    """Checks that a command failed as it should."""
    more = f"  hint: {hint}\n" if hint else ""
    assert (done.code, done.out, done.err) == (2, "", f"error: {error}\n{more}"), done


async def test_live_an_alias_and_a_revision(site: Site) -> None:
    live, staging, first = await asyncio.gather(
        site.cli("start", "counted", "--id", "counted-live"),
        site.cli("start", "counted", "--id", "counted-staging", "--alias", "staging"),
        site.cli("start", "counted", "--id", "counted-1", "--revision", "1", "-o", "json"),
    )
    assert (live.code, live.out) == (0, "counted-live\n")
    assert live.err == "counted, revision 2, started\n"
    assert (staging.code, staging.out) == (0, "counted-staging\n")
    assert staging.err == "counted, revision 3, started\n"
    for revision, id in ((2, "counted-live"), (3, "counted-staging"), (1, "counted-1")):
        handle = site.handle(id)
        assert await handle.result() == revision
        described = await handle.describe()
        assert await described.memo() == {"definition": "counted", "revision": revision}
        assert described.workflow_type == "counted"
    assert (first.code, first.err) == (0, "")
    assert first.json() == {
        "id": "counted-1",
        "run_id": (await site.handle("counted-1").describe()).run_id,
        "definition": "counted",
        "revision": 1,
        "task_queue": "dsl",
        "idle": False,
        "started": True,
    }


async def test_an_id_of_its_own(site: Site) -> None:
    one, other = await asyncio.gather(site.cli("start", "counted"), site.cli("start", "counted"))
    assert one.out != other.out
    for done in (one, other):
        assert done.code == 0 and done.out.startswith("counted-")
        assert await site.handle(done.out.rstrip("\n")).result() == 2


async def test_what_is_not_there(site: Site) -> None:
    asked: dict[tuple[str, ...], tuple[str, str | None]] = {
        ("conuted",): ("no definition named conuted is deployed", "did you mean `counted`?"),
        ("somethingelse",): (
            "no definition named somethingelse is deployed",
            "`temporal-dsl definitions list` shows what is",
        ),
        ("counted", "--alias", "stagnig"): (
            "counted has no alias `stagnig`",
            "did you mean `staging`?",
        ),
        ("counted", "--alias", "zzz"): (
            "counted has no alias `zzz`",
            "its aliases: live, staging",
        ),
        ("counted", "--revision", "9"): ("counted has no revision 9", None),
        ("counted", "--revision", "1", "--alias", "live"): (
            "--revision and --alias: give one of them",
            None,
        ),
        ("counted", "--id", ""): ("--id: it must not be empty", "leave it out, and there is one"),
    }
    outcomes = await asyncio.gather(*(site.cli("start", *what) for what in asked))
    for done, (error, hint) in zip(outcomes, asked.values(), strict=True):
        wrong(done, error, hint)


async def test_the_input_is_checked_before(site: Site, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"who": "me"}')
    absurd, both, good, programs = await asyncio.gather(
        site.cli("start", "typed", "--id", "typed-1", "--input", "{"),
        site.cli("start", "typed", "--id", "typed-1", "--input", '{"times": "x"}'),
        site.cli("start", "typed", "--id", "typed-2", "--input", f"@{tmp_path}/input.json"),
        site.cli("-ojson", "start", "typed", "--id", "typed-1"),
    )
    assert (absurd.code, absurd.out) == (2, "")
    assert absurd.err.startswith("error: --input:1:2: this is no JSON: "), absurd
    error = "\n  ".join(
        (
            "the input does not fit:",
            "input: `who` is missing",
            'input.times: must be a whole number, is the text "x"',
        )
    )
    assert (both.code, both.out) == (2, "")
    assert sorted(both.err.splitlines()) == sorted(f"error: {error}".splitlines()), both
    assert programs.code == 2
    assert programs.json()["error"]["message"].endswith("\n  input: `who` is missing")
    await absent(site, "typed-1")
    assert good.code == 0, good
    assert await site.handle("typed-2").result() == {"who": "me", "times": 2}


async def test_an_id_that_is_open(site: Site) -> None:
    async def start(*more: str) -> Done:
        return await site.cli("start", "waits", "--id", "open", *more, "-o", "json")

    first = (await start()).json()["run_id"]
    refused, same = await asyncio.gather(start(), start("--id-conflict-policy", "UseExisting"))
    assert refused.code == 2
    error = refused.json()["error"]
    assert error["message"] == (
        "there is a run with the id open, and the policies do not allow another"
    )
    assert "--id-conflict-policy" in error["hint"] and "Traceback" not in refused.err
    assert (same.code, same.json()["run_id"]) == (0, first), same
    other = await start("--id-conflict-policy", "TerminateExisting")
    assert other.code == 0 and other.json()["run_id"] != first, other
    described = await site.client.get_workflow_handle("open", run_id=first).describe()
    assert described.status == WorkflowExecutionStatus.TERMINATED
    await site.handle("open").signal("go")
    assert await site.handle("open").result() == "done"


async def test_an_open_run_is_not_given_out_for_another(site: Site) -> None:
    """With UseExisting: what is said is what there is, not what would have been started."""
    done = await site.cli("start", "counted", "-w", "held", "--revision", "1", "-t", "nobody")
    assert done.code == 0, done
    arguments = ("-w", "held", "--id-conflict-policy", "UseExisting", "-t", "nobody")
    programs, text = await asyncio.gather(
        site.cli("start", "counted", *arguments, "-o", "json"),
        site.cli("start", "waits", *arguments),
    )
    await site.client.get_workflow_handle("held").terminate()
    assert programs.json()["revision"] == 1, programs
    assert "waits, revision 1, started" not in text.err, text


async def test_an_id_that_has_ended(site: Site) -> None:
    async def start(policy: str) -> Done:
        return await site.cli("start", "counted", "-w", "used", "--id-reuse-policy", policy)

    assert (await start("RejectDuplicate")).code == 0
    await site.handle("used").result()
    hint = "--id-conflict-policy is for an open one, --id-reuse-policy for one that ended"
    error = "there is a run with the id used, and the policies do not allow another"
    rejected, failed_only = await asyncio.gather(
        start("RejectDuplicate"), start("AllowDuplicateFailedOnly")
    )
    for done in (rejected, failed_only):
        wrong(done, error, hint)
    again = await start("AllowDuplicate")
    assert (again.code, again.out) == (0, "used\n"), again
    done = await start("Never")
    assert done.code == 2 and "AllowDuplicateFailedOnly" in done.err, done


async def test_a_worker_that_comes_later(site: Site, tmp_path: Path) -> None:
    text, programs = await asyncio.gather(
        site.cli("start", "counted", "-w", "late-1", "-t", "late"),
        site.cli("start", "counted", "-w", "late-2", "-t", "late", "-o", "json"),
    )
    assert (text.code, text.out) == (0, "late-1\n")
    assert text.err == IDLE.format("late") + "counted, revision 2, started\n"
    assert (programs.code, programs.err) == (0, IDLE.format("late"))
    assert programs.json()["idle"] is True
    with WorkerProcess(site, tmp_path / "log", "--task-queue", "late") as worker:
        results = asyncio.gather(*(site.handle(id).result() for id in ("late-1", "late-2")))
        assert await asyncio.wait_for(results, 20) == [2, 2], worker.log.read_text()


async def follow(site: Site, id: str, by: int, *more: str) -> Done:
    given = json.dumps({"by": by})
    done = await site.cli("start", "ends", "-w", id, "--input", given, "--follow", *more)
    site.handle(id)
    return done


async def test_followed_to_its_end(site: Site) -> None:
    done, programs = await asyncio.gather(
        follow(site, "ends-1", 2), follow(site, "ends-2", 4, "-o", "json")
    )
    assert (done.code, done.json()) == (0, {"half": 0.5, "ä": 1}), done
    assert done.err.startswith("ends  ends-1\n") and "ends completed in" in done.err
    assert "✓ quotient" in done.err
    found: dict[str, Any] = programs.json()
    assert (programs.code, found["output"]) == (0, {"half": 0.25, "ä": 1})
    assert (found["id"], found["definition"], found["status"]) == ("ends-2", "ends", "completed")
    assert found["run_id"] and found["task_queue"] == "dsl"
    assert str(found["revision"]) == "1"


async def test_followed_to_its_failure(site: Site) -> None:
    done, programs = await asyncio.gather(
        follow(site, "fails-1", 9), follow(site, "fails-2", 9, "-o", "json")
    )
    assert (done.code, done.out) == (1, ""), done
    assert "TooMuch: It is over 8" in done.err and "Traceback" not in done.err
    assert programs.code == 1
    assert programs.json()["failure"] == {"type": "TooMuch", "message": "It is over 8"}
    assert programs.json()["id"] == "fails-2"


async def test_followed_until_it_is_suspended(site: Site) -> None:
    done, programs = await asyncio.gather(
        follow(site, "stuck-1", 0), follow(site, "stuck-2", 0, "-o", "json")
    )
    assert (done.code, done.out) == (3, ""), done
    assert "suspended at quotient: ExpressionFailed: " in done.err
    assert programs.code == 3
    assert programs.json()["suspended"][0]["step"] == "quotient"
    for id in ("stuck-1", "stuck-2"):
        handle = site.handle(id)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        await handle.terminate()
