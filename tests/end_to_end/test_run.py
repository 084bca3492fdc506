"""`temporal-dsl run`: a definition, watched from its start to its end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.support import EXAMPLE, PROGRAM, cli, environment
from tests.end_to_end.support import Books, Site, eventually, order

WORKFLOW = EXAMPLE / "workflow.yaml"
SLEEPS = "dsl: 1\nname: sleeps\nsteps:\n  - id: nap\n    sleep: 1h\n"
ECHO = "dsl: 1\nname: echo\nsteps:\n  - value: 1\noutput: ${ input }\n"
FAULTY = """\
dsl: 1
name: faulty
steps:
  - id: half
    value: ${ 1 / input.by }
output: ${ steps.half.output }
"""


def test_an_order(books: Books) -> None:
    done = cli(
        "run", WORKFLOW, "--input", f"@{EXAMPLE}/input.json", env={"ORDER_DB": str(books.file)}
    )
    assert done.code == 0, done
    result = done.json()
    assert list(result) == ["charge", "tracking"] and len(result["tracking"]) == 3
    assert "order-fulfilment completed in" in done.err
    books.check_shipped()


def test_a_declined_card(books: Books) -> None:
    given = f"@{EXAMPLE}/payment-fails.json"
    done = cli("run", WORKFLOW, "--input", given, env={"ORDER_DB": str(books.file)})
    assert (done.code, done.out) == (1, ""), done
    assert (
        "order-fulfilment compensated at charge: CardDeclined: the card that ends in 0002"
        in done.err
    )
    assert done.err.endswith("undone: reserve\n")
    assert books.acts() == [
        ("reserve", "inventory.reserve"),
        ("reserve!undo", "inventory.release"),
    ]
    assert books.rows("SELECT count(*) FROM entries") == [(0,)]
    assert books.rows("SELECT DISTINCT available FROM stock") == [(1000,)]
    books.audit()


def test_a_carrier_that_refuses(books: Books) -> None:
    given = f"@{EXAMPLE}/carrier-fails.json"
    done = cli("run", WORKFLOW, "--input", given, "-o", "json", env={"ORDER_DB": str(books.file)})
    assert done.code == 1, done
    report = done.json()
    assert report["status"] == "compensated"
    assert report["failure"]["type"] == "CarrierRefused"
    ships = [f"ship_all[{n}].ship" for n in (2, 1, 0)]
    assert [entry["step"] for entry in report["compensations"]] == [*ships, "charge", "reserve"]
    assert f"undone: {', '.join(ships)}, charge, reserve\n" in done.err
    books.check_undone()


def test_input_from_standard_input_and_with_a_bom(books: Books, tmp_path: Path) -> None:
    (tmp_path / "value.yaml").write_text(
        "dsl: 1\nname: echo\nsteps:\n  - value: 1\noutput: ${ input }\n"
    )
    done = cli(
        "run", tmp_path / "value.yaml", "--input", "@-", stdin='\ufeff{"ä": [1, "ü"]}'.encode()
    )
    assert (done.code, done.json()) == (0, {"ä": [1, "ü"]}), done


async def test_it_uses_the_server_that_is_configured(site: Site, books: Books) -> None:
    arguments = ("run", WORKFLOW, "--input", order(), "--id", "configured")
    done = await site.cli(*arguments, ORDER_DB=str(books.file))
    assert done.code == 0, done
    assert await site.handle("configured").result() == done.json()
    books.check_shipped()


async def test_it_says_so_when_the_id_is_taken_or_the_namespace_is_none(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "sleeps.yaml").write_text(SLEEPS)
    handle = await site.client.start_workflow("sleeps", id="taken", task_queue="nobody")
    done = await site.cli("run", tmp_path / "sleeps.yaml", "--id", "taken")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("error: a run with the id taken is open already\n")
    await handle.terminate()
    done = await site.cli("run", tmp_path / "sleeps.yaml", "--namespace", "nowhere")
    assert (done.code, done.out) == (2, ""), done
    # The worker or the start is the first to see it.
    assert re.search("\nerror: .*Namespace nowhere (is|was) not found.*\n$", done.err), done.err


async def test_a_run_that_is_terminated(site: Site, tmp_path: Path) -> None:
    (tmp_path / "sleeps.yaml").write_text(SLEEPS)
    running = asyncio.ensure_future(site.cli("run", tmp_path / "sleeps.yaml", "--id", "terminated"))
    handle = site.handle("terminated")
    await _until_status(handle, "waiting")
    await handle.terminate()
    done = await running
    assert (done.code, done.out) == (1, "")
    assert "sleeps failed: Terminated: the run was terminated: nothing was undone\n" in done.err


async def _until_status(handle: object, status: str) -> None:
    from temporalio.client import WorkflowHandle
    from temporalio.service import RPCError

    assert isinstance(handle, WorkflowHandle)
    for _ in range(500):
        try:
            state = await handle.query("status")
        except RPCError:
            state = {}
        if state.get("status") == status or any(
            step["status"] == status for step in state.get("steps", [])
        ):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never {status}")


# --- suspended


def test_a_run_that_is_suspended(tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text(FAULTY)
    done = cli("run", tmp_path / "faulty.yaml", "--input", '{"by": 0}')
    assert (done.code, done.out) == (3, ""), done
    assert "suspended at half: ExpressionFailed: " in done.err
    assert "mend it and run it again" in done.err
    done = cli("run", tmp_path / "faulty.yaml", "--input", '{"by": 0}', "-o", "json")
    assert done.code == 3
    assert done.json()["suspended"][0]["step"] == "half"


async def test_a_run_that_is_suspended_on_a_server_stays_there(site: Site, tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text(FAULTY)
    arguments = ("run", tmp_path / "faulty.yaml", "--input", '{"by": 0}', "--id", "suspended")
    done = await site.cli(*arguments)
    assert (done.code, done.out) == (3, ""), done
    assert "suspended at half: ExpressionFailed: " in done.err
    assert "suspended stays open, and nobody works on it now" in done.err
    assert re.search(r"--task-queue dsl-run-\w{8}\n", done.err)
    description = await site.handle("suspended").describe()
    assert description.status is not None and description.status.name == "RUNNING"


# --- interrupted


def children(group: int) -> list[str]:
    """The commands of the processes of a group that still run."""
    found = subprocess.run(["ps", "-eo", "pgid=,args="], capture_output=True, text=True, check=True)
    lines = [line.split(None, 1) for line in found.stdout.splitlines()]
    return [args for pgid, args in lines if pgid == str(group) and "<defunct>" not in args]


@pytest.mark.parametrize(
    ("number", "whole_group", "when"),
    [
        (signal.SIGINT, False, "working"),
        (signal.SIGINT, True, "working"),
        (signal.SIGTERM, False, "working"),
        (signal.SIGINT, False, "starting"),
    ],
)
async def test_interrupted(
    books: Books, tmp_path: Path, number: signal.Signals, whole_group: bool, when: str
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [PROGRAM, "run", WORKFLOW, "--input", order()],
            env=environment(ORDER_DB=str(books.file), ORDER_DELAY="60"),
            stdout=subprocess.PIPE,
            stderr=err,
            start_new_session=True,
        )
        try:
            if when == "working":
                await eventually("it works", lambda: "order-fulfilment-" in log.read_text())
                # The activity sleeps in a thread, which nobody can stop.
                await asyncio.sleep(0.5)
            else:
                servers = lambda: any("start-dev" in one for one in children(process.pid))  # noqa: E731
                await eventually("a server", servers)
            began = time.monotonic()
            (os.killpg if whole_group else os.kill)(process.pid, number)
            out, _ = await asyncio.to_thread(process.communicate, timeout=30)
            assert time.monotonic() - began < 10
            assert (process.returncode, out) == (130, b""), log.read_text()
            assert log.read_text().endswith("interrupted\n"), log.read_text()
            assert "Traceback" not in log.read_text()
            await eventually("nothing runs", lambda: not children(process.pid), seconds=5)
        finally:
            for one in children(process.pid):
                print("left:", one)
            if children(process.pid):
                os.killpg(process.pid, signal.SIGKILL)


async def test_interrupted_on_a_server_it_says_how_to_go_on(site: Site, tmp_path: Path) -> None:
    (tmp_path / "sleeps.yaml").write_text(SLEEPS)
    process = subprocess.Popen(
        [PROGRAM, "run", str(tmp_path / "sleeps.yaml"), "--id", "interrupted", "-o", "json"],
        env=environment(TEMPORAL_ADDRESS=site.address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    await _until_status(site.handle("interrupted"), "waiting")
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 130
    assert "interrupted stays open, and nobody works on it now" in err.decode()
    assert json.loads(out)["error"]["exit_code"] == 130


def test_what_is_detached_is_waited_for_a_while(tmp_path: Path) -> None:
    """Its worker, and the embedded server, end with the command."""
    file = tmp_path / "free.yaml"
    file.write_text("""
dsl: 1
name: lets-go
steps: [{id: free, workflow: free, detached: true}]
---
dsl: 1
name: free
steps: [{sleep: 1s}]
---
dsl: 1
name: leaves
steps: [{id: stays, workflow: stays, detached: true}]
---
dsl: 1
name: stays
steps: [{wait_condition: "false"}]
""")
    done = cli("run", file)
    assert done.code == 0 and "waiting for what is detached" in done.err, done
    assert "still open" not in done.err
    done = cli("run", file, "--name", "leaves", "--id", "run-1")
    assert done.code == 0, done
    assert "still open, and ends with the embedded server: run-1/stays" in done.err
