"""What is seen of a run while it goes on: failed attempts, the order of its steps, its time."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.support import PROGRAM, Done, cli, environment
from tests.end_to_end.support import Site, eventually

ACTS = """\
import os
import subprocess

from temporalio import activity

print("loaded")


@activity.defn(name="bank.pay")
async def pay() -> str:
    print("paying")
    subprocess.run(["echo", "a child"])
    return "paid"


@activity.defn(name="bank.charge")
async def charge() -> None:
    if not os.path.exists(os.environ.get("MENDED", "")):
        raise NameError("name 'nmae' is not defined\\nand more")
"""
CHARGE = """\
dsl: 1
name: charging
steps:
  - id: pay
    activity: bank.pay
    compensate: {activity: bank.pay}
  - id: charge
    activity: bank.charge
output: ${ steps.pay.output }
"""
UNDO = """\
dsl: 1
name: undoing
steps:
  - id: pay
    activity: bank.pay
    compensate: {activity: bank.charge}
  - raise: Boom
"""
NESTED = """\
dsl: 1
name: nested
steps:
  - id: outer
    do:
      - id: first
        activity: bank.pay
        compensate: {activity: bank.pay}
      - id: second
        activity: bank.pay
        compensate: {activity: bank.pay}
  - raise: Boom
"""
FAILED = r"bank\.charge  attempt \d+ after NameError: name 'nmae' is not defined\.\.\."


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with activities and definitions."""
    (tmp_path / "activities.py").write_text(ACTS)
    for name, text in (("charge", CHARGE), ("undo", UNDO), ("nested", NESTED)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "step"), [("charge", r"charge"), ("undo", r"pay!undo")], ids=["a step", "an undoing"]
)
async def test_attempts_that_fail_are_seen(here: Path, name: str, step: str) -> None:
    mended = here / "mended"
    log = here / "log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [PROGRAM, "run", f"{name}.yaml"],
            cwd=here,
            env=environment(MENDED=str(mended)),
            stdout=subprocess.PIPE,
            stderr=err,
        )
        pattern = re.compile(f"↻ {step}  {FAILED}")
        try:
            await eventually("two attempts", lambda: len(pattern.findall(log.read_text())) > 1)
            mended.touch()
            out, _ = await asyncio.to_thread(process.communicate, timeout=60)
        finally:
            process.kill()
    said = pattern.findall(log.read_text())
    assert len(said) == len(set(said)), said
    assert "and more" not in log.read_text()
    if name == "charge":
        assert (process.returncode, out) == (0, b'"paid"\n'), log.read_text()
    else:
        assert (process.returncode, out) == (1, b"")
        assert "undoing compensated at raise[1]: Boom" in log.read_text()
    for printed in ("loaded\n", "paying\n", "a child\n"):
        assert printed in log.read_text()


async def test_status_shows_them_and_how_long_it_took(site: Site, here: Path) -> None:
    mended = here / "mended"
    with (here / "log").open("wb") as err:
        arguments = ("worker", "--definitions", "charge.yaml", "--task-queue", "watched")
        process = subprocess.Popen(
            [PROGRAM, *arguments, "-o", "json"],
            cwd=here,
            env=environment(TEMPORAL_ADDRESS=site.address, MENDED=str(mended)),
            stdout=subprocess.PIPE,
            stderr=err,
        )
    try:
        handle = await site.client.start_workflow("charging", id="watched", task_queue="watched")
        site.handle("watched")
        done = await _shown(site)
        assert re.search(f"^  ↻ charge  {FAILED}", done.out, re.MULTILINE), done
        mended.touch()
        await handle.result()
        done = await site.cli("status", "watched", "--follow")
        said = re.search(r"charging completed in (\S+) s\n", done.err)
        assert said is not None and float(said[1]) >= 1, done
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert out.startswith(b"{"), "what its activities print is no result"


async def _shown(site: Site) -> Done:
    done = await site.cli("status", "watched")
    for _ in range(40):
        if "attempt" in done.out:
            break
        done = await site.cli("status", "watched")
    return done


async def test_interrupted_it_says_what_is_not_undone(here: Path) -> None:
    log = here / "log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [PROGRAM, "run", "charge.yaml"],
            cwd=here,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
        try:
            await eventually("an attempt", lambda: "↻ charge" in log.read_text())
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    said = "the run with it: what was done is not undone: pay\ninterrupted\n"
    assert log.read_text().endswith(said)


def test_undoing_is_shown_as_it_was_done(here: Path) -> None:
    done = cli("run", "nested.yaml", cwd=here)
    assert (done.code, done.out) == (1, ""), done
    assert "nested compensated at raise[1]: Boom: " in done.err
    assert done.err.endswith("undone: second, first\n"), done.err
    assert re.findall(r"↶ (\S+)  bank", done.err) == ["second", "first"]


def test_a_result_that_cannot_be_written(here: Path) -> None:
    (here / "value.yaml").write_text("dsl: 1\nname: v\nsteps:\n  - value: 1\noutput: 1\n")
    prefix = ("bash", "-c", 'exec "$0" "$@" >/dev/full')
    done = cli("run", "value.yaml", cwd=here, prefix=prefix)
    assert done.code == 1 and "Traceback" not in done.err
    assert done.err.endswith("error: standard output: No space left on device\n")
