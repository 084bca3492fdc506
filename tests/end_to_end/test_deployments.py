"""Deployments while runs are open: each keeps what it began with, new ones take what is new."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from tests.cli.support import Done, cli
from tests.end_to_end.support import Site, WorkerProcess, eventually
from tests.support.servers import real_server, replay

FIRST = """\
dsl: 1
name: {name}
signals: {{go: {{}}}}
steps:
  - id: before
    value: 1
  - id: wait
    wait_signal: go
output: {{by: 1, before: "${{ steps.before.output }}"}}
"""
SECOND = """\
dsl: 1
name: {name}
signals: {{go: {{}}}}
steps:
  - parallel:
      wait: [{{id: wait, wait_signal: go}}]
      nap: [{{id: nap, sleep: 100ms}}]
  - id: after
    value: 2
output: {{by: 2, after: "${{ steps.after.output }}"}}
"""
ONE, TWO = {"by": 1, "before": 1}, {"by": 2, "after": 2}


def text(name: str, value: object) -> str:
    return f"dsl: 1\nname: {name}\nsteps:\n  - id: only\n    value: {value}\noutput: {value}\n"


def put(path: Path, content: str) -> None:
    """Writes a file beside and renames it, as good editors do."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(content)
    os.replace(beside, path)


async def start(site: Site, name: str, id: str, queue: str) -> WorkflowHandle[Any, Any]:
    """Starts a run as any client of Temporal does; gives it when it waits for its signal."""
    await site.client.start_workflow(name, id=id, task_queue=queue)
    return await waits(site, id)


async def waits(site: Site, id: str) -> WorkflowHandle[Any, Any]:
    handle, state = site.handle(id), ""
    for _ in range(500):
        if '"waiting"' in (state := json.dumps(await handle.query("status"))):
            return handle
        await asyncio.sleep(0.02)
    raise AssertionError(f"{id} does not wait: {state}")


async def end(*handles: WorkflowHandle[Any, Any]) -> list[Any]:
    """Lets runs go on to their ends, and replays them; gives their results."""
    for handle in handles:
        await handle.signal("go")
    results = [await asyncio.wait_for(handle.result(), 20) for handle in handles]
    for handle in handles:
        await replay(await handle.fetch_history())
    return results


async def test_a_worker_that_follows_what_is_deployed(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    with WorkerProcess(site, tmp_path / "log", "--task-queue", "follows") as worker:
        await worker.ready()
        file.write_text(FIRST.format(name="order"))
        done = await site.cli("deploy", file, "-t", "follows")
        assert (done.code, done.out, done.err) == (0, "order  live -> revision 1\n", ""), done
        a = await start(site, "order", "order-a", "follows")
        file.write_text(SECOND.format(name="order"))
        done = await site.cli("deploy", file, "-t", "follows")
        assert (done.code, done.out) == (0, "order  live -> revision 2\n"), done
        deployed = asyncio.get_running_loop().time()
        # Who asks the registry has it at once, who only names it within two seconds.
        done = await site.cli("start", "order", "--id", "order-b", "-t", "follows")
        assert (done.code, done.err) == (0, "order, revision 2, started\n"), done
        await asyncio.sleep(max(0, deployed + 1.8 - asyncio.get_running_loop().time()))
        c = await start(site, "order", "order-c", "follows")
        b = await waits(site, "order-b")
        revisions = [(await run.query("status"))["revision"] for run in (a, b, c)]
        assert revisions == ["1", "2", "2"]
        assert await end(a, b, c) == [ONE, TWO, TWO]
        assert worker.process.poll() is None
        assert await worker.stopped(signal.SIGTERM) == (0, b"")
    assert "Traceback" not in worker.log.read_text(), worker.log.read_text()


async def test_a_worker_that_follows_a_folder(site: Site, tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    file = flows / "edited.yaml"
    file.write_text(FIRST.format(name="edited"))
    log = tmp_path / "log"
    with WorkerProcess(site, log, "--definitions", flows, "--task-queue", "folder") as worker:
        await worker.ready()
        a = await start(site, "edited", "edited-a", "folder")

        put(file, SECOND.format(name="edited"))
        await eventually("a reload", lambda: "edited was read" in log.read_text())
        b = await start(site, "edited", "edited-b", "folder")

        # A file that is wrong leaves what there was, and it is said where it is wrong.
        put(file, SECOND.format(name="edited").replace("wait_signal", "wiat_signal"))
        kept = "edited stays as it was: its file is wrong now"
        await eventually("a report", lambda: kept in log.read_text())
        assert re.search(r"edited\.yaml:\d+:\d+: error DSL\d+: ", log.read_text())
        assert "did you mean `wait_signal`?" in log.read_text()
        c = await start(site, "edited", "edited-c", "folder")

        # One that is new is there too, and one that is gone is not.
        put(flows / "other.yaml", FIRST.format(name="other"))
        await eventually("the new one", lambda: "other was read" in log.read_text())
        d = await start(site, "other", "other-d", "folder")
        (flows / "other.yaml").unlink()
        gone = "other is gone: it takes no starts"
        await eventually("the removal", lambda: gone in log.read_text())

        assert await end(a, b, c, d) == [ONE, TWO, TWO, ONE]
        assert worker.process.poll() is None
        assert (await worker.stopped(signal.SIGTERM))[0] == 0
    assert "Traceback" not in log.read_text(), log.read_text()


async def test_what_works_without_a_worker(tmp_path: Path) -> None:
    """Several who deploy the same name, and a worker that comes up in the middle."""
    async with real_server() as server:
        site = Site(server)
        file = tmp_path / "alone.yaml"
        file.write_text(text("alone", 0))
        done = await site.cli("deploy", file)
        assert (done.code, done.out) == (0, "alone  live -> revision 1\n"), done
        done = await site.cli("definitions", "list")
        assert done.code == 0 and re.search(r"^alone  1 +live -> 1  ", done.out, re.M), done
        done = await site.cli("start", "alone", "--id", "alone-1")
        assert (done.code, done.out) == (0, "alone-1\n"), done
        assert done.err.startswith("no worker listens on dsl: it waits for one\n"), done

        async def author(name: str) -> list[Done]:
            mine = tmp_path / f"{name}.yaml"
            outcomes: list[Done] = []
            for number in range(3):
                mine.write_text(text("alone", f"{name}{number}"))
                outcomes.append(await site.cli("deploy", mine, "-o", "json"))
            return outcomes

        authors = asyncio.gather(author("ada"), author("bob"))
        await asyncio.sleep(1)
        with WorkerProcess(site, tmp_path / "log") as worker:
            outcomes = [one for outcomes in await authors for one in outcomes]
            await worker.ready()
            assert await asyncio.wait_for(site.handle("alone-1").result(), 20) == 0
            revisions: list[int] = []
            for done in outcomes:
                assert done.code == 0 and "Traceback" not in done.err, done
                # What is asked of a command that is about to end must not be lost: the server
                # would give it to another one after ten seconds only.
                assert done.seconds < 9, done
                [one] = done.json()["deployed"]
                assert one["new"] and one["moved"], done
                revisions.append(one["revision"])
            assert sorted(revisions) == [2, 3, 4, 5, 6, 7]
            # Each author's own are in their order; the last one is live.
            assert revisions[:3] == sorted(revisions[:3])
            assert revisions[3:] == sorted(revisions[3:])
            done = await site.cli("definitions", "history", "alone", "-o", "json")
            history = done.json()
            assert history["aliases"]["live"]["revision"] == 7
            published = [d["what"] for d in history["history"] if "published" in d["what"]]
            assert published == [f"revision {n} published" for n in range(1, 8)]
        await site.replay()


async def test_many_definitions(site: Site, tmp_path: Path) -> None:
    """Under half a minute where nothing else runs; other tests may."""
    count = int(os.environ.get("MANY_DEFINITIONS", "120"))
    for number in range(count):
        lines = [f"dsl: 1\nname: many-{number}\ninput: {{properties: {{a: {{type: number}}}}}}"]
        lines.append("vars: {total: 0}\nsteps:")
        for step in range(100):
            lines.append(f"  - id: step_{step}\n    if: input.a > {step}")
            lines.append(f"    value: ${{ vars.total + {step} * {number} }}")
        (tmp_path / f"many-{number}.yaml").write_text("\n".join(lines) + "\n")
    env = {"TEMPORAL_ADDRESS": site.address}
    done = await asyncio.to_thread(cli, "deploy", tmp_path, "-t", "nobody", env=env, timeout=120)
    print(f"{count} definitions of 100 steps: {done.seconds:.1f} s, {done.cpu:.1f} s of the CPU")
    assert done.code == 0, done.err[-2000:]
    assert len(done.out.splitlines()) == count
    assert "many-0  live -> revision 1\n" in done.out
    assert done.cpu < 40 * count / 300, done.cpu
    assert done.seconds < 110 * count / 300, done.seconds
    steps = [int(n) for n in re.findall(rf"^checked (\d+) of {count}$", done.err, re.M)]
    steps += [int(n) for n in re.findall(rf"^published (\d+) of {count}$", done.err, re.M)]
    assert steps, "no progress was shown"
    assert len(steps) < 2 * done.seconds + 2, "one a second at most"
