"""`deploy`: what is checked, what is written, and what is said of it."""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from interpreter.activities import ActivityRegistry
from interpreter.definitions.catalogues import identity, offer
from interpreter.definitions.entity import id_of
from interpreter.definitions.host import pollers
from interpreter.definitions.registry import QUEUE, Head, Registry
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.cli.support import Done, cli
from tests.end_to_end.support import Site, WorkerProcess
from tests.support.servers import real_server

DESK = "desk"
"""The task queue of the worker that is up."""
NO_WORKER = "warning: no worker is up on the task queue dsl: activities were not checked\n"
ACTS = """\
from temporalio import activity

@activity.defn(name="bank.charge")
async def charge(amount: int, currency: str = "EUR") -> str: ...
"""
PAY = """\
dsl: 1
name: {name}
steps:
  - id: charge
    activity: {activity}
    start_to_close_timeout: 10s
    with: {{{argument}: 1}}
"""


def text(name: str, value: object = 1) -> str:
    return f"dsl: 1\nname: {name}\nsteps:\n  - id: only\n    value: {value}\n"


def paying(name: str, activity: str = "bank.charge", argument: str = "amount") -> str:
    return PAY.format(name=name, activity=activity, argument=argument)


def typed(name: str, schema: str) -> str:
    return f"dsl: 1\nname: {name}\ninput: {schema}\nsteps:\n  - value: 1\n"


def put(folder: Path, **files: str) -> list[Path]:
    """Writes files; their names get their endings."""
    paths = [folder / f"{name}.yaml" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_text(content)
    return paths


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server, and a worker on a task queue that is not the default one."""
    here = tmp_path_factory.mktemp("desk")
    (here / "acts.py").write_text(ACTS)
    async with real_server() as server:
        site = Site(server)
        arguments = ("--activities", here / "acts.py", "--task-queue", DESK)
        with WorkerProcess(site, here / "log", *arguments) as worker:
            await worker.ready()
            await listening(site.client, DESK)
            yield site


async def listening(client: Client, queue: str, count: int = 1) -> None:
    """Waits until so many workers poll for activities, and say what they can."""
    for _ in range(2000):
        found = await pollers(client, queue, activities=True)
        if len(found) >= count and await pollers(client, QUEUE):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody listens on {queue}")


def wrong(done: Done, *says: str, code: int = 2) -> None:
    """Checks that a command failed as it should, and wrote nothing where results are."""
    assert (done.code, done.out) == (code, ""), done
    assert "Traceback" not in done.err and "a bug of" not in done.err, done
    for words in says:
        assert words in done.err, done


async def head(site: Site, name: str) -> Head | None:
    return await Registry(site.client).head(name)


async def untouched(site: Site, *names: str) -> None:
    """Checks that the registry has never heard of names."""
    for name in names:
        with pytest.raises(RPCError) as caught:
            await site.client.get_workflow_handle(id_of(name)).describe()
        assert caught.value.status == RPCStatusCode.NOT_FOUND


# --- what is written


async def test_new_unchanged_changed_and_back(site: Site, tmp_path: Path) -> None:
    [file] = put(tmp_path, greeting=text("greeting"))
    done = await site.cli("deploy", file)
    assert (done.code, done.out, done.err) == (0, "greeting  live -> revision 1\n", NO_WORKER)
    for content, said in (
        (text("greeting"), "1: unchanged"),
        (f"# a comment\n{text('greeting')}", "1: unchanged"),
        (text("greeting", 2), "2"),
        (text("greeting"), "1, which was there"),
    ):
        file.write_text(content)
        done = await site.cli("deploy", file)
        assert (done.code, done.out) == (0, f"greeting  live -> revision {said}\n"), done
    found = await head(site, "greeting")
    assert found is not None and (found.revisions, found.aliases) == (2, {"live": 1})


async def test_definitions_that_run_others(site: Site, tmp_path: Path) -> None:
    """A changed one makes a new revision of what runs it; the difference says why."""
    caller = "dsl: 1\nname: call-it\nsteps:\n  - {id: c, workflow: called-it}\n"
    [file, other] = put(tmp_path, a=caller, b=text("called-it"))
    done = await site.cli("deploy", file)
    assert "call-it runs called-it, of which nothing is deployed" in done.err
    done = await site.cli("deploy", other, file)
    assert done.out == "call-it  live -> revision 2\ncalled-it  live -> revision 1\n" or (
        done.out == "called-it  live -> revision 1\ncall-it  live -> revision 2\n"
    )
    assert "nothing is deployed" not in done.err
    done = await site.cli("deploy", tmp_path)
    assert done.out.count(": unchanged") == 2
    put(tmp_path, b=text("called-it", 2))
    done = await site.cli("deploy", tmp_path, "--dry-run")
    assert "step c: revision 1 -> 2" in done.out, done
    done = await site.cli("deploy", other)
    assert done.out == "called-it  live -> revision 2\n"
    done = await site.cli("deploy", file)
    assert done.out == "call-it  live -> revision 3\n"
    done = await site.cli("definitions", "diff", "call-it")
    assert "revision" in done.out and "2" in done.out


async def test_json(site: Site, tmp_path: Path) -> None:
    put(tmp_path, a=text("json-a"), b=text("json-b"))
    done = await site.cli("deploy", tmp_path, "-o", "json")
    warning = NO_WORKER.removeprefix("warning: ").rstrip()
    first = {"revision": 1, "new": True, "alias": "live", "moved": True, "changes": []}
    assert (done.code, done.err) == (0, NO_WORKER)
    assert done.json() == {
        "deployed": [{"name": "json-a"} | first, {"name": "json-b"} | first],
        "warnings": [warning],
    }
    put(tmp_path, b=text("json-b", 2), c=text("json-c"))
    changed = ["step only: value 1 -> 2"]
    done = await site.cli("deploy", tmp_path, "--dry-run", "-o", "json")
    changes: dict[str, Any] = {"json-a": [], "json-b": changed, "json-c": None}
    assert (done.code, done.json()) == (0, {"changes": changes, "warnings": [warning]})
    done = await site.cli("-o", "json", "deploy", tmp_path)
    same = first | {"new": False, "moved": False}
    assert (done.code, done.json()["deployed"]) == (
        0,
        [
            {"name": "json-a"} | same,
            {"name": "json-b"} | first | {"revision": 2, "changes": changed},
            {"name": "json-c"} | first,
        ],
    )


async def test_what_is_no_definition_is_skipped_in_a_folder(site: Site, tmp_path: Path) -> None:
    put(tmp_path, among=text("among-others"), compose="services: {}\n", chart="{{ name }}: [\n")
    done = await site.cli("deploy", tmp_path)
    assert (done.code, done.out) == (0, "among-others  live -> revision 1\n"), done
    assert done.err == NO_WORKER
    wrong(await site.cli("deploy", tmp_path / "compose.yaml"), "compose.yaml:1:1: error DSL")


async def test_dry_run(site: Site, tmp_path: Path) -> None:
    put(tmp_path, a=text("dry-a"), b=text("dry-b"))
    assert (await site.cli("deploy", tmp_path)).code == 0
    put(tmp_path, b=text("dry-b", 2), c=text("dry-c"))
    done = await site.cli("deploy", tmp_path, "--dry-run")
    assert (done.code, done.err) == (0, NO_WORKER)
    assert done.out == (
        "dry-a  unchanged\n"
        "dry-b  would change:\n"
        "  step only: value 1 -> 2\n"
        "dry-c  live would be new\n"
    )
    found = await head(site, "dry-b")
    assert found is not None and found.revisions == 1
    await untouched(site, "dry-c")


async def test_another_alias(site: Site, tmp_path: Path) -> None:
    [file] = put(tmp_path, staged=text("staged"))
    await site.cli("deploy", file)
    file.write_text(text("staged", 2))
    done = await site.cli("deploy", file, "--alias", "staging")
    assert (done.code, done.out) == (0, "staged  staging -> revision 2\n"), done
    found = await head(site, "staged")
    assert found is not None and found.aliases == {"live": 1, "staging": 2}
    # It is compared with what the alias points to.
    live, staging = await asyncio.gather(
        site.cli("deploy", file, "--dry-run"),
        site.cli("deploy", file, "--dry-run", "--alias", "staging"),
    )
    assert live.out == "staged  would change:\n  step only: value 1 -> 2\n"
    assert staging.out == "staged  unchanged\n"


@pytest.mark.parametrize("alias", ["", "a-b"])
def test_an_alias_that_is_none(tmp_path: Path, alias: str) -> None:
    [file] = put(tmp_path, x=text("x"))
    done = cli("deploy", file, "--alias", alias, env={"TEMPORAL_ADDRESS": "localhost:1"})
    wrong(done, f"error: --alias {alias}: it must be letters, digits and _, as in `staging`\n")


# --- what is refused: nothing is written


async def test_a_bad_definition(site: Site, tmp_path: Path) -> None:
    put(tmp_path, bad=text("bad").replace("value:", "vlaue:"), good=text("good"))
    alone, both, programs = await asyncio.gather(
        site.cli("deploy", tmp_path / "bad.yaml"),
        site.cli("deploy", tmp_path),
        site.cli("deploy", tmp_path, "-o", "json"),
    )
    place = rf"^{re.escape(str(tmp_path))}/bad\.yaml:4:5: error DSL\d+: "
    for done in (alone, both):
        wrong(done, "`value`")
        assert re.search(place, done.err, re.MULTILINE), done
    assert alone.err.endswith(f"error: nothing was deployed: 1 error in {tmp_path}/bad.yaml\n")
    assert both.err.endswith("error: nothing was deployed: 1 error in 1 of 2 files\n")
    document = programs.json()
    message = "nothing was deployed: 1 error in 1 of 2 files"
    assert programs.code == 2
    assert document["error"] == {"message": message, "hint": None, "exit_code": 2}
    [diagnostic] = document["diagnostics"]
    assert (diagnostic["line"], diagnostic["column"]) == (4, 5)
    await untouched(site, "bad", "good")
    listed = await site.cli("definitions", "list", "-o", "json")
    assert not {"bad", "good"} & {one["name"] for one in listed.json()}


async def test_two_of_one_name(site: Site, tmp_path: Path) -> None:
    put(tmp_path, a=text("twice"), b=text("twice", 2))
    done = await site.cli("deploy", tmp_path)
    wrong(done, "DSL409: two definitions are named `twice`", "error: nothing was deployed: ")
    assert "a.yaml:2:7" in done.err and "b.yaml:2:7" in done.err
    await untouched(site, "twice")


async def test_a_definition_that_is_too_large(site: Site, tmp_path: Path) -> None:
    noise = base64.b64encode(random.Random(0).randbytes(700_000)).decode()
    put(tmp_path, large=text("large", f'"{noise}"'), small=text("small"))
    done = await site.cli("deploy", tmp_path)
    wrong(done, "error: large: the definition is too large: ", " bytes when packed, 524,288 are")
    assert await head(site, "small") is None and await head(site, "large") is None
    # What was refused is not there for any command.
    asked = [("show",), ("history",), ("promote", "--to", "1"), ("retire",)]
    for done in await asyncio.gather(
        *(site.cli("definitions", command, "large", *more) for command, *more in asked)
    ):
        wrong(done, "error: no definition named large is deployed")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    nowhere = {"TEMPORAL_ADDRESS": "localhost:1"}
    (tmp_path / "empty").mkdir()
    [file] = put(tmp_path, x=text("x"))
    done = cli("deploy", file, tmp_path / "empty", env=nowhere)
    wrong(done, "empty: there are no definitions in it\n  hint: they are in files that end in")
    done = cli("deploy", env=nowhere)
    wrong(done, "error: missing argument 'PATH...'")


async def test_a_file_that_is_not_there(site: Site, tmp_path: Path) -> None:
    done = await site.cli("deploy", tmp_path / "nope.yaml")
    wrong(done, "nope.yaml:1:1: error DSL001: there is no such file")


@pytest.mark.parametrize(
    "command", ["deploy x.yaml", "deploy x.yaml --dry-run", "definitions list", "start x"]
)
def test_no_server(tmp_path: Path, command: str) -> None:
    put(tmp_path, x=text("x"))
    done = cli(*command.split(), "--address", "localhost:1", cwd=tmp_path)
    wrong(done, "error: no Temporal server answers at localhost:1\n", code=4)


async def test_a_namespace_that_is_not_there(site: Site, tmp_path: Path) -> None:
    [file] = put(tmp_path, x=text("nowhere"))
    options = ("--namespace", "--registry-namespace")
    for done in await asyncio.gather(
        *(site.cli("deploy", file, option, "nowhere") for option in options)
    ):
        wrong(done, "error: the registry cannot be used: Namespace nowhere is not found")


# --- the activities of the workers that are up


async def test_activities_of_the_worker_that_is_up(site: Site, tmp_path: Path) -> None:
    put(
        tmp_path,
        a=paying("pay-a", activity="bank.chrge"),
        b=paying("pay-b", argument="amuont"),
        c=paying("pay-c"),
    )
    done = await site.cli("deploy", tmp_path, "-t", DESK)
    wrong(
        done,
        "a.yaml:5:15: error DSL502: there is no activity `bank.chrge`",
        "did you mean `bank.charge`?",
        "b.yaml:7:12: error DSL503: ",
        "did you mean `amount`?",
        "in 2 of 3 files\n",
    )
    await untouched(site, "pay-a", "pay-b", "pay-c")
    done = await site.cli("deploy", tmp_path / "c.yaml", "-t", DESK)
    assert (done.code, done.out, done.err) == (0, "pay-c  live -> revision 1\n", "")
    # Where nobody is up they are taken as they are.
    done = await site.cli("deploy", tmp_path / "a.yaml")
    assert (done.code, done.out, done.err) == (0, "pay-a  live -> revision 1\n", NO_WORKER)


async def test_activities_of_a_module(site: Site, tmp_path: Path) -> None:
    (tmp_path / "acts.py").write_text(ACTS.replace("bank.charge", "bank.debit"))
    put(tmp_path, a=paying("module-a", activity="bank.debit"), b=paying("module-b"))
    module = ("--activities", tmp_path / "acts.py")
    bad, good = await asyncio.gather(
        site.cli("deploy", tmp_path, *module, "-t", DESK),
        site.cli("deploy", tmp_path / "a.yaml", *module),
    )
    wrong(bad, "b.yaml:5:15: error DSL502: there is no activity `bank.charge`")
    assert (good.code, good.out, good.err) == (0, "module-a  live -> revision 1\n", "")
    done = await site.cli("deploy", tmp_path, "--activities", tmp_path / "nope.py")
    wrong(done, "nope.py")


async def test_workers_that_differ(site: Site, tmp_path: Path) -> None:
    """As in the middle of a rollout: one of them can."""
    [file] = put(tmp_path, rollout=paying("rollout"))
    (tmp_path / "acts.py").write_text(ACTS)
    (tmp_path / "old.py").write_text(ACTS.replace("bank.charge", "bank.old"))
    able, unable = (ActivityRegistry.load([str(tmp_path / f)]) for f in ("acts.py", "old.py"))
    store = MemoryStore([])
    first = make_worker(
        site.client, store, unable, task_queue="two", identity=identity(unable.catalogue)
    )
    second = make_worker(  # the SDK takes one worker of a queue for each connection
        await Client.connect(site.address),
        store,
        able,
        task_queue="two",
        identity=identity(able.catalogue),
    )
    offering = [
        asyncio.ensure_future(offer(site.client, acts.catalogue, QUEUE)) for acts in (able, unable)
    ]
    try:
        async with first:
            await listening(site.client, "two")
            done = await site.cli("deploy", file, "-t", "two")
            wrong(done, "error DSL502: there is no activity `bank.charge`")
            async with second:
                await listening(site.client, "two", 2)
                done = await site.cli("deploy", file, "-t", "two")
    finally:
        for one in offering:
            one.cancel()
    assert (done.code, done.out) == (0, "rollout  live -> revision 1\n"), done
    # Who polled last is asked first.
    said = "other workers on two cannot run all of it: there is no activity `bank.charge`"
    assert done.err in ("", f"warning: {said}\n")


async def test_a_worker_that_does_not_say_what_it_can(site: Site, tmp_path: Path) -> None:
    [file] = put(tmp_path, silent=paying("silent", activity="what.ever"))
    (tmp_path / "acts.py").write_text(ACTS)
    acts = ActivityRegistry.load([str(tmp_path / "acts.py")])
    async with make_worker(site.client, MemoryStore([]), acts, task_queue="mute"):
        await listening(site.client, "mute")
        done = await site.cli("deploy", file, "-t", "mute")
    said = "the workers on mute do not say what they can run: activities were not checked"
    assert (done.code, done.err) == (0, f"warning: {said}\n"), done


# --- who starts it


async def test_an_input_that_takes_less(site: Site, tmp_path: Path) -> None:
    [file] = put(tmp_path, less=typed("less", "{properties: {a: {type: string}}}"))
    await site.cli("deploy", file, "-t", DESK)
    file.write_text(typed("less", "{required: [a], properties: {a: {type: string}}}"))
    for option in ("--dry-run", "--alias=live"):
        done = await site.cli("deploy", file, "-t", DESK, option)
        assert done.code == 0, done
        assert done.err == (
            "warning: less takes less than before: `input.a` is required now and has no default\n"
        )
    assert done.out == "less  live -> revision 2\n"


async def test_a_schedule_whose_input_is_refused(site: Site, tmp_path: Path) -> None:
    async def every_day(id: str, name: str, *args: Any) -> None:
        action = ScheduleActionStartWorkflow(name, args=args, id=id, task_queue="nobody")
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=1))])
        await site.client.create_schedule(id, Schedule(action=action, spec=spec))

    await every_day("nightly", "planned", {"a": 1})
    await every_day("fitting", "planned", {"a": "x"})
    await every_day("without", "planned")
    await every_day("another", "unplanned", {"a": 1})
    await every_day("binary", "planned", b"\0")  # no JSON
    for _ in range(200):
        if len([one async for one in await site.client.list_schedules()]) >= 5:
            break
        await asyncio.sleep(0.05)
    schema = "{type: object, required: [a], properties: {a: {type: string}}}"
    [file] = put(tmp_path, planned=typed("planned", schema))
    done = await site.cli("deploy", file, "-t", DESK)
    assert (done.code, done.out) == (0, "planned  live -> revision 1\n"), done
    start = "warning: the schedule {} starts planned with an input that this refuses: {}"
    assert sorted(done.err.splitlines()) == sorted(
        (
            start.format("nightly", "input.a: must be a text, is the number 1"),
            start.format("without", "input: `a` is missing"),
            start.format("binary", "it is no JSON"),
        )
    )
