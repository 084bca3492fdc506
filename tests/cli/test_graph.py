"""`graph`: what it writes where, what it refuses, and a picture of a run."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError

from dsl.graph import Format, draw
from dsl.loader import load_files
from tests.cli.support import EXAMPLE, cli
from tests.end_to_end.support import Site, WorkerProcess, order
from tests.support.servers import real_server

WORKFLOW = EXAMPLE / "workflow.yaml"
TWO = """\
dsl: 1
name: first
steps: [{id: one, value: 1}]
---
dsl: 1
name: second
steps: [{id: two, value: 2}]
"""


def drawn(path: Path, format: Format, index: int = 0) -> str:
    return draw(load_files([path]).definitions[index], format)


@pytest.mark.parametrize("format", ["mermaid", "svg", "html"])
def test_a_picture_on_standard_output(format: str) -> None:
    done = cli("graph", WORKFLOW, "--format", format)
    assert (done.code, done.err) == (0, "")
    assert done.out == drawn(WORKFLOW, Format(format))
    document = cli("graph", WORKFLOW, "--format", format, "-o", "json")
    assert (document.code, document.err) == (0, "")
    assert document.json() == {"name": "order-fulfilment", "format": format, "graph": done.out}


def test_mermaid_is_what_it_writes_by_default() -> None:
    assert cli("graph", WORKFLOW).out == drawn(WORKFLOW, Format.MERMAID)


@pytest.mark.parametrize(
    "name, format", [("a.svg", "svg"), ("a.html", "html"), ("a.HTM", "html"), ("a.mmd", "mermaid")]
)
def test_a_picture_in_a_file(tmp_path: Path, name: str, format: str) -> None:
    file = tmp_path / name
    done = cli("graph", WORKFLOW, "--output-file", file)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"order-fulfilment drawn to {file}\n"
    assert file.read_bytes().decode() == drawn(WORKFLOW, Format(format))
    document = cli("graph", WORKFLOW, "--format", "svg", "--output-file", file, "-o", "json")
    assert document.json() == {"name": "order-fulfilment", "format": "svg", "file": str(file)}
    assert file.read_bytes().decode() == drawn(WORKFLOW, Format.SVG)


def test_one_of_several_definitions(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(TWO)
    assert cli("graph", file).out == drawn(file, Format.MERMAID, 0)
    assert cli("graph", file, "--name", "second").out == drawn(file, Format.MERMAID, 1)
    done = cli("graph", file, "--name", "third")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: {file} has no definition named third\n  hint: it has: first, second\n"
    )


def test_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("dsl: 1\nname: broken\nsteps: [{id: one, activty: x}]\n")
    done = cli("graph", broken)
    assert (done.code, done.out) == (2, "")
    assert f"{broken}:3:9: error DSL103" in done.err
    assert f"error: {broken} cannot run: 1 error\n" in done.err
    assert cli("graph", broken, "-o", "json").json()["diagnostics"][0]["code"] == "DSL103"

    for arguments, error in {
        (tmp_path,): f"{tmp_path} is a folder: name a file",
        (WORKFLOW, "--format", "png"): "--format png: it must be mermaid, svg or html",
        (WORKFLOW, "--output-file", tmp_path): f"{tmp_path}: is a directory",
    }.items():
        done = cli("graph", *arguments)
        assert (done.code, done.out, done.err) == (2, "", f"error: {error}\n")


@pytest.mark.parametrize("format", ["mermaid", "svg", "html"])
def test_a_thousand_steps(tmp_path: Path, format: str) -> None:
    file = tmp_path / "large.yaml"
    steps = (f"  - {{id: s{n}, description: The step {n}, activity: a.b}}" for n in range(1000))
    file.write_text("\n".join(["dsl: 1", "name: large", "steps:", *steps]))
    done = cli("graph", file, "--format", format)
    assert done.code == 0 and done.out.count("a.b") >= 1000
    assert done.cpu < 3  # it is 1.4 where nothing else goes on


def test_a_run_without_a_server() -> None:
    done = cli("graph", WORKFLOW, "--run", "x", "--address", "localhost:1")
    assert (done.code, done.out) == (4, "")
    assert "no Temporal server answers at localhost:1" in done.err


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server with the example deployed, and its worker."""
    here = tmp_path_factory.mktemp("graph")
    async with real_server() as server:
        site = Site(server)
        with WorkerProcess(site, here / "log", ORDER_DB=str(here / "books.sqlite")) as worker:
            await worker.ready()
            done = await site.cli("deploy", WORKFLOW)
            assert done.code == 0, done
            yield site
        await site.replay()


def statuses(svg: str) -> dict[str, str]:
    """The status in the tooltip of each step, by the step's key."""
    found: dict[str, str] = {}
    for title in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title"):
        lines = (title.text or "").split("\n")
        if len(lines) > 1 and lines[-2].startswith("step "):
            found[lines[-2].removeprefix("step ")] = lines[-1]
    return found


async def test_a_run_that_completed(site: Site) -> None:
    await site.cli("start", "order-fulfilment", "--id", "good", "--input", order())
    await site.handle("good").result()
    done = await site.cli("graph", WORKFLOW, "--run", "good", "--format", "svg")
    assert (done.code, done.err) == (0, "")
    assert "Run good: completed" in done.out
    assert statuses(done.out) == {
        "reserve": "completed",
        "approval": "skipped",
        "escalate": "skipped",
        "do[1].raise[1]": "skipped",
        "charge": "completed",
        "ship_all": "completed 3 rounds",
        "ship_all[].ship": "completed 3/3",
    }


async def test_a_run_that_was_undone(site: Site) -> None:
    failing = ("--input", f"@{EXAMPLE / 'payment-fails.json'}")
    await site.cli("start", "order-fulfilment", "--id", "bad", *failing)
    with pytest.raises(WorkflowFailureError):
        await site.handle("bad").result()
    done = await site.cli("graph", WORKFLOW, "--run", "bad", "--format", "svg")
    assert (done.code, done.err) == (0, "")
    assert statuses(done.out) == {
        "reserve": "compensated",
        "reserve!undo": "compensated",
        "approval": "skipped",
        "escalate": "skipped",
        "do[1].raise[1]": "skipped",
        "charge": "failed",
        "charge!undo": "skipped",
        "ship_all": "pending",
        "ship_all[].ship": "pending",
    }
    mermaid = await site.cli("graph", WORKFLOW, "--run", "bad")
    assert 'Undo<br/>inventory.release<br/>compensated"):::look_is-compensated' in mermaid.out
    page = await site.cli("graph", WORKFLOW, "--run", "bad", "--format", "html")
    assert "Run bad: compensated" in page.out


async def test_a_run_that_waits(site: Site) -> None:
    dear = order(amount=5000, order_id="dear")
    await site.cli("start", "order-fulfilment", "--id", "waits", "--input", dear)
    found: dict[str, str] = {}
    async with asyncio.timeout(60):
        while found.get("approval") != "waiting":
            done = await site.cli("graph", WORKFLOW, "--run", "waits", "--format", "svg")
            found = statuses(done.out)
    assert found == {
        "reserve": "completed",
        "approval": "waiting",
        "escalate": "pending",
        "do[1].raise[1]": "pending",
        "charge": "pending",
        "ship_all": "pending",
        "ship_all[].ship": "pending",
    }
    await site.cli("signal", "waits", "approval", "--payload", '{"approved": true}')
    await site.handle("waits").result()


async def test_a_run_of_something_else(site: Site, tmp_path: Path) -> None:
    await site.cli("start", "order-fulfilment", "--id", "other", "--input", order(order_id="other"))
    await site.handle("other").result()
    two = tmp_path / "two.yaml"
    two.write_text(TWO)
    done = await site.cli("graph", two, "--run", "other")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: other is a run of order-fulfilment, not of first\n"
        "  hint: name its definition with --name, or another file\n"
    )
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        WORKFLOW.read_text().replace("id: charge", "id: pay").replace("steps.charge.", "steps.pay.")
    )
    done = await site.cli("graph", changed, "--run", "other", "--format", "svg")
    assert done.code == 0
    assert done.err == (
        "other runs another revision of order-fulfilment: "
        "steps it does not have stand as not begun\n"
    )
    assert statuses(done.out)["pay"] == "pending"
    assert statuses(done.out)["ship_all"] == "completed 3 rounds"
    missing = await site.cli("graph", WORKFLOW, "--run", "nobody")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith("error: nobody cannot be asked: ")
