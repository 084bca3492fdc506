"""`temporal-dsl dev`, as a process on a folder that somebody edits."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path
from typing import IO, Any

import pytest
from temporalio.client import Client, WorkflowHandle

from interpreter.cli.dev.definitions import command_to_start
from interpreter.definitions.registry import Registry
from tests.cli.support import PROGRAM, Done, cli, environment
from tests.end_to_end.support import eventually
from tests.support.servers import replay

pytestmark = pytest.mark.waits

WAITS = """\
dsl: 1
name: trip
signals: {go: {}}
steps:
  - id: wait
    wait_signal: go
output: first
"""
LONGER = WAITS.replace("output: first", "  - id: after\n    value: 2\noutput: second")
ACTS = """\
import os
import time
from pathlib import Path

from temporalio import activity

HERE = Path(__file__).parent


@activity.defn(name="say")
def say() -> str:
    return "one"


@activity.defn(name="last")
def last() -> dict[str, int]:
    with (HERE / "begun").open("a") as begun:
        begun.write(f"{os.getpid()}\\n")
    while not (HERE / "release").exists():
        time.sleep(0.02)
    return {"pid": os.getpid()}
"""
ACT = """\
dsl: 1
name: {name}
steps:
  - id: act
    activity: {name}
output: ${{ steps.act.output }}
"""
LIVE = 3.0
"""Seconds within which an edited activity must be live."""


def free_ports() -> tuple[int, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    first, second = (one.getsockname()[1] for one in sockets)
    for one in sockets:
        one.close()
    return first, second


class Dev:
    """`temporal-dsl dev`, as a process.

    Args:
        folder: The folder that it follows.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port, self.ui_port = free_ports()
        self.address = f"localhost:{self.port}"
        self.folder = folder
        self.mark = f"DEV_TEST={uuid.uuid4()}"
        self.log = folder.parent / f"dev-{uuid.uuid4().hex[:6]}.log"
        self._file: IO[bytes] = self.log.open("wb")
        ports = ("--port", str(self.port), "--ui-port", str(self.ui_port))
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [PROGRAM, "dev", str(folder), *ports, *arguments],
            env=environment(**{name: value}, PYTHONDONTWRITEBYTECODE=""),
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
        )

    def __enter__(self) -> Dev:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._file.close()

    @property
    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()

    async def says(self, *patterns: str, since: int = 0, seconds: float = 20) -> int:
        """Waits until it printed lines with these patterns, in any order; gives where it is."""

        def said() -> bool:
            assert self.process.poll() is None, self.text
            return all(re.search(pattern, self.text[since:]) for pattern in patterns)

        try:
            await eventually(f"{patterns}", said, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}") from None
        return len(self.text)

    async def client(self) -> Client:
        return await Client.connect(self.address)

    def cli(self, *arguments: str) -> Done:
        """A command in a second terminal."""
        return cli(*arguments, env={"TEMPORAL_ADDRESS": self.address})

    def left(self) -> dict[str, int]:
        """The processes that it started and that run, with what they computed, in ticks."""
        found: dict[str, int] = {}
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (each / "environ").read_bytes().split(b"\0"):
                    about = (each / "stat").read_text().rpartition(")")[2].split()
                    command = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[f"{each.name} {command}"] = int(about[11]) + int(about[12])
            except OSError:
                continue  # it ended, or is somebody else's
        return found

    async def idle(self) -> None:
        """Waits until nothing goes on, as before somebody edits: the next worker is ready."""
        before = sum(self.left().values())
        for _ in range(60):
            await asyncio.sleep(0.25)
            now = sum(self.left().values())
            if now - before < 5:
                return
            before = now
        raise AssertionError("it computes all the time")


def put(path: Path, text: str) -> None:
    """Writes a file beside and renames it, as good editors do."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(text)
    os.replace(beside, path)


async def running(client: Client, id: str, status: str = "waiting") -> WorkflowHandle[Any, Any]:
    """A run that has got to where a step has a status."""
    handle, state = client.get_workflow_handle(id), ""
    for _ in range(500):
        if f'"{status}"' in (state := json.dumps(await handle.query("status"))):
            return handle
        await asyncio.sleep(0.02)
    raise AssertionError(state)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "flows"
    folder.mkdir()
    return folder


async def test_definitions_as_they_are_edited(folder: Path) -> None:
    file = folder / "trip.yaml"
    with Dev(folder) as dev:
        at = await dev.says("no definition is live yet")
        put(file, WAITS)
        at = await dev.says(r"trip  live -> revision 1", since=at)
        client = await dev.client()
        queue = "dsl"
        await client.start_workflow("trip", id="a", task_queue=queue)
        a = await running(client, "a")
        at = await dev.says(r"a  trip, revision 1, started  http://\S+", since=at)

        # A step more: the open run ends as it began, the next one has it.
        put(file, LONGER)
        at = await dev.says(r"trip  live -> revision 2\n", " step after added after wait", since=at)
        done = dev.cli("start", "trip", "--id", "b")
        assert (done.code, done.err) == (0, "trip, revision 2, started\n"), done
        b = await running(client, "b")

        # A broken file: it is said where, and what was live stays.
        put(file, LONGER.replace("wait_signal", "wiat_signal").replace("second", "third"))
        wrong = r"trip\.yaml:5:\d+: error DSL\d+: "
        at = await dev.says(wrong, "did you mean `wait_signal`", "trip stays at", since=at)
        done = dev.cli("start", "trip", "--id", "c")
        assert (done.code, done.err) == (0, "trip, revision 2, started\n"), done
        c = await running(client, "c")
        put(file, LONGER.replace("second", "third"))
        right = r"trip\.yaml: right again"
        at = await dev.says(right, r"trip  live -> revision 3", since=at)
        done = dev.cli("start", "trip", "--id", "d")
        assert done.err == "trip, revision 3, started\n", done
        d = await running(client, "d")

        results: list[Any] = []
        for one in (a, b, c, d):
            await one.signal("go")
            results.append(await asyncio.wait_for(one.result(), 20))
            await replay(await one.fetch_history())
        assert results == ["first", "second", "second", "third"]
        await dev.says("✓ a  completed", "✓ d  completed")

        # A file without another content changes nothing, one that is gone takes no starts.
        put(file, "# a comment\n" + LONGER.replace("second", "third"))
        put(folder / "other.yaml", WAITS.replace("trip", "other"))
        at = await dev.says(r"other  live -> revision 1", since=at)
        (folder / "other.yaml").unlink()
        await dev.says("other  retired", since=at)
        head = await Registry(client).head("trip")
        assert head is not None and (head.revisions, head.aliases) == (3, {"live": 3})
        done = dev.cli("start", "other")
        assert done.code == 2 and "other is retired" in done.err, done

        # What runs another definition follows it: it has a new revision when that has one.
        child = "dsl: 1\nname: child\nsteps: [{value: 1}]\noutput: 1\n"
        parent = "dsl: 1\nname: parent\nsteps: [{id: run, workflow: child}]\n"
        put(folder / "child.yaml", child)
        at = await dev.says(r"child  live -> revision 1", since=at)
        put(folder / "parent.yaml", parent + "output: ${ steps.run.output }\n")
        at = await dev.says(r"parent  live -> revision 1", since=at)
        put(folder / "child.yaml", child.replace("output: 1", "output: 2"))
        both = (r"child  live -> revision 2", r"parent  live -> revision 2")
        at = await dev.says(*both, since=at)
        done = dev.cli("start", "parent", "--follow")
        assert (done.code, done.out) == (0, "2\n"), done

        # A schedule is the server's at once, and goes with its file.
        put(folder / "child.yaml", child + "schedule: {every: 1h}\n")
        at = await dev.says(r"child  schedule ", since=at)
        schedules = [one.id async for one in await client.list_schedules()]
        assert schedules == ["dsl.schedule/child"]
        (folder / "child.yaml").unlink()
        at = await dev.says("child  retired", r"child  schedule ", since=at)

        # The links work.
        links = re.findall(r"http://localhost:\d+\S*", dev.text)
        assert links[0] == f"http://localhost:{dev.ui_port}"
        assert any("/namespaces/default/workflows/a/" in link for link in links), links
        for link in (links[0], links[1]):
            with await asyncio.to_thread(urllib.request.urlopen, link, timeout=10) as page:
                assert page.status == 200 and b"<html" in page.read()
        assert "\x1b" not in dev.text and "Traceback" not in dev.text

        # Without its server it has nothing to do.
        [server] = [one for one in dev.left() if "server start-dev" in one and "guard" not in one]
        os.kill(int(server.split()[0]), signal.SIGKILL)
        assert await asyncio.to_thread(dev.process.wait, 30) == 4, dev.text
        assert "error: the embedded server " in dev.text.splitlines()[-1], dev.text
        assert dev.left() == {} and "Traceback" not in dev.text


async def test_activities_as_they_are_edited(folder: Path) -> None:
    file = folder / "activities.py"
    file.write_text(ACTS)
    for name in ("say", "last"):
        (folder / f"{name}.yaml").write_text(ACT.format(name=name))
    with Dev(folder) as dev:
        at = await dev.says("files are followed")
        client = await dev.client()

        async def say() -> str:
            id = f"say-{uuid.uuid4()}"
            return await client.execute_workflow("say", id=id, task_queue="dsl")

        assert await say() == "one"
        lasting = await client.start_workflow("last", id="last", task_queue="dsl")
        begun = folder / "begun"
        await eventually("the activity", lambda: begun.exists() and begun.read_text())

        took: list[float] = []
        times = file.stat()
        for word in ("two", "six", "ten"):
            await dev.idle()
            put(file, ACTS.replace("one", word))
            # Of the same size and time, as for a quick person: what was compiled is no answer.
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
            edited = time.monotonic()
            at = await dev.says(r"worker restarted: \S*activities\.py", since=at)
            assert await say() == word
            took.append(time.monotonic() - edited)
        print(f"an edited activity was live after {', '.join(f'{one:.2f} s' for one in took)}")
        assert max(took) < LIVE

        # A broken one changes nothing, and is told without a traceback.
        file.write_text(ACTS.replace("one", "ten").replace("def say() -> str:", "def say( -> str:"))
        broken = r"✗ \S*activities\.py:\d+: .+\n +the worker before goes on"
        at = await dev.says(broken, since=at)
        assert await say() == "ten"
        file.write_text(ACTS.replace("one", "ten"))
        at = await dev.says("activities: right again", since=at)

        # An activity that is new and the step that uses it, saved together: no false alarm.
        file.write_text(ACTS.replace("one", "ten").replace('name="say"', 'name="tell"'))
        put(folder / "say.yaml", ACT.format(name="tell").replace("name: tell", "name: say"))
        at = await dev.says(r"say  live -> revision 2", since=at)
        assert "error DSL" not in dev.text
        assert await say() == "ten"

        # What ran all the time ends where it began, once.
        assert "the worker before ends what it still runs" in dev.text
        (folder / "release").touch()
        result = await asyncio.wait_for(lasting.result(), 20)
        assert begun.read_text().split() == [str(result["pid"])]
        await dev.says("the worker before has ended", since=at)
        assert "Traceback" not in dev.text, dev.text


async def test_it_ends_and_begins_again(folder: Path) -> None:
    (folder / "trip.yaml").write_text(WAITS)
    with Dev(folder) as dev:
        await dev.says("files are followed")
        client = await dev.client()
        await client.start_workflow("trip", id="open", task_queue="dsl")
        await running(client, "open")
        assert len(dev.left()) >= 4, "itself, a guard, a server, a worker"

        # Another one, on the same folder, on its database, on its ports.
        again = cli("dev", folder)
        assert again.code == 2 and "is in use by another `temporal-dsl dev`" in again.err, again
        other = folder.parent / "other"
        other.mkdir()
        again = cli("dev", other, "--db", folder / ".temporal-dsl" / "dev.sqlite")
        assert again.code == 2 and "dev.sqlite is in use" in again.err, again
        again = cli("dev", other, "--port", str(dev.port))
        assert (again.code, again.out) == (4, ""), again
        assert f"error: port {dev.port}, for the server, cannot be used" in again.err
        assert "hint: end what listens there, or name another port: --port " in again.err
        again = cli("dev", other, "--port", str(free_ports()[0]), "--ui-port", str(dev.ui_port))
        assert again.code == 4 and f"port {dev.ui_port}, for the web UI" in again.err, again

        dev.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(dev.process.wait, 30) == 130, dev.text
        assert dev.left() == {}
        assert "cut off" not in dev.text and "Traceback" not in dev.text, dev.text
        assert dev.text.endswith("interrupted\n")
    assert (folder / ".temporal-dsl" / ".gitignore").read_text() == "*\n"

    # As lines of JSON this time. What was open goes on; a killed one leaves nothing either.
    with Dev(folder, "-o", "json") as dev:
        await dev.says(
            '"event": "ready", "definitions": [{"name": "trip", "revision": 1}]'.replace("[", r"\[")
        )
        client = await dev.client()
        handle = await running(client, "open")
        await handle.signal("go")
        assert await asyncio.wait_for(handle.result(), 20) == "first"
        await dev.says('"status": "completed"')
        events = [json.loads(line) for line in dev.text.splitlines()]
        assert all(event["time"] for event in events)
        assert [event["event"] for event in events[:3]] == ["server", "worker", "ready"]
        worker = events[1]["pid"]

        # A worker that dies is started again.
        at = len(dev.text)
        os.kill(worker, signal.SIGKILL)
        await dev.says('"status": "died".*SIGKILL', '"status": "up"', since=at)
        dev.process.kill()
        dev.process.wait()
        await eventually(f"the end of all: {dev.left()}", lambda: not dev.left())


async def test_what_it_cannot_use(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(WAITS)
    no = "no database of SQLite"
    port = str(free_ports()[0])
    cases: dict[tuple[str | Path, ...], tuple[int, str]] = {
        (tmp_path / "nowhere",): (2, "there is no such folder"),
        (file,): (2, "is a file"),
        (folder, "--db", file): (2, no),
        (folder, "--db", tmp_path / "no" / "db"): (2, "there is no folder"),
        (folder, "--address", "x:1"): (2, "`dev` brings a server of its own"),
        (folder, "--temporal-path", tmp_path / "temporal"): (4, "no program that can be run"),
        (folder, "--port", port, "--ui-port", port): (2, "cannot be the port of the web UI"),
    }

    async def fails(arguments: tuple[str | Path, ...], code: int, why: str) -> None:
        done = await asyncio.to_thread(cli, "dev", *arguments)
        assert (done.code, done.out) == (code, "") and why in done.err, done
        assert "Traceback" not in done.err

    await asyncio.gather(*(fails(given, *expected) for given, expected in cases.items()))
    done = cli("dev", tmp_path / "nowhere", "-o", "json")
    assert json.loads(done.out)["error"]["exit_code"] == 2 and done.out.count("\n") == 1


def test_a_database_that_is_not_temporals(folder: Path, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "mine.sqlite") as db:
        db.execute("CREATE TABLE namespaces (mine TEXT)")
    port = str(free_ports()[0])
    done = cli("dev", folder, "--db", tmp_path / "mine.sqlite", "--port", port)
    assert done.code == 4 and "error: the embedded server did not start: " in done.err, done
    assert "Traceback" not in done.err


def test_the_command_it_names() -> None:
    from dsl.loader import load_text

    def command(schema: str) -> str:
        text = f"dsl: 1\nname: x\n{schema}\nsteps: [{{value: 1}}]\n"
        [definition] = load_text(text).definitions
        return command_to_start(definition)

    assert command("") == "temporal-dsl start x --follow"
    fields = "a: {type: string}, b: {type: integer, minimum: 3}, c: {enum: [u, v]}, d: {}"
    some = f"input: {{required: [a, b, c], properties: {{{fields}}}}}"
    assert command(some) == (
        """temporal-dsl start x --input '{"a": "a", "b": 3, "c": "u"}' --follow"""
    )
    hard = "input: {required: [a], properties: {a: {type: string, pattern: '^[0-9]+$'}}}"
    assert command(hard) == "temporal-dsl start x --input @FILE --follow"
