"""payroll: everybody is paid once, or nobody; by the books of the bank, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from tests.end_to_end.support import Site, WorkerProcess, all_at_once, eventually
from tests.examples.support import EXAMPLES, Ended, Example, example, lose_answers, module, rows
from tests.support.servers import fetch_chain, real_server, replay

FOLDER = EXAMPLES / "payroll"
NET = {"ada": 246667, "bob": 196667, "carol": 306667, "dan": 220000, "eve": 163334}
EVERYBODY = [f"salaries[{index}].pay" for index in range(5)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example, in real time."""
    async with example(server, "payroll", "payroll") as stage:
        yield stage


@pytest.fixture(autouse=True)
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Books that are not there yet."""
    file = tmp_path / "payroll.sqlite"
    monkeypatch.setenv("PAYROLL_DB", str(file))
    monkeypatch.delenv("PAYROLL_DELAY", raising=False)
    return file


def transfers(books: Path) -> list[tuple[str, str, int]]:
    """Month, employee and cents of every transfer that was not recalled."""
    found = rows(books, "SELECT month, employee, cents FROM transfers WHERE undone IS NULL")
    return sorted(found)


def paid(month: str, *names: str) -> list[tuple[str, str, int]]:
    return [(month, name, NET[name]) for name in sorted(names or NET)]


def keys(books: Path) -> list[str]:
    """The steps of all transfers that were made or were to be, recalled or not."""
    found = rows(books, "SELECT key FROM transfers UNION SELECT key FROM voids")
    return sorted(key.split("/", 1)[1] for (key,) in found)


def ledger(books: Path) -> list[tuple[str, int]]:
    return rows(books, "SELECT month, cents FROM ledger WHERE undone IS NULL ORDER BY number")


def payslips(books: Path) -> dict[str, str]:
    """What became of the payslip of each transfer."""
    with_transfers = "FROM payslips JOIN transfers ON number = transfer"
    return dict(rows(books, f"SELECT month || employee || number, state {with_transfers}"))


def look(books: Path) -> tuple[int, str]:
    """The exit code of the look into the books, and what it printed."""
    command = [sys.executable, FOLDER / "back_office.py", books]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def finished(stage: Example, handle: WorkflowHandle[Any, Any], books: Path) -> Ended:
    """Waits for a run and for its payslips, and replays it and its children."""
    await asyncio.wait({asyncio.ensure_future(handle.result())})
    for month, name, number in rows(books, "SELECT month, employee, number FROM transfers"):
        payslip = stage.client.get_workflow_handle(f"payslip-{month}-{name}-{number}")
        with contextlib.suppress(RPCError):  # a payment that was stopped may have begun with none
            await asyncio.wait_for(payslip.result(), 20)
    ended = await stage.ended(handle)
    await replay(*await fetch_chain(stage.client, handle.id, children=True))
    return ended


async def run(stage: Example, books: Path, name: str = "input", /, **changes: Any) -> Ended:
    return await finished(stage, await stage.start(stage.input(name, **changes)), books)


def gives(ended: Ended) -> tuple[str, dict[str, int], list[str]]:
    """How a run ended that completed, the net of whom it paid, and whom it did not."""
    unpaid = [one["employee"] for one in ended.output["unpaid"]]
    return ended.status, {one["employee"]: one["net"] for one in ended.output["paid"]}, unpaid


async def sent(books: Path, count: int) -> None:
    """Waits until so many payslips were sent, and no other was declared void."""
    await eventually("payslips", lambda: list(payslips(books).values()) == ["sent"] * count)


async def test_a_month(stage: Example, books: Path) -> None:
    ended = await run(stage, books)
    assert gives(ended) == ("completed", NET, []) and ended.output["month"] == "2026-10"
    assert transfers(books) == paid("2026-10")
    assert ledger(books) == [("2026-10", sum(NET.values()))]
    assert keys(books) == [f"{step}/transfer" for step in EVERYBODY]
    await sent(books, 5)
    numbers = {one["employee"]: one["transfer"] for one in ended.output["paid"]}
    assert set(payslips(books)) == {f"2026-10{name}{number}" for name, number in numbers.items()}
    code, text = look(books)
    assert code == 0 and text.endswith("ON THE ACCOUNT 988666.65\nThe ledger agrees.\n"), text


async def test_the_month_of_the_start(stage: Example, books: Path) -> None:
    given = stage.input()
    del given["month"]
    handle = await stage.start(given)
    ended = await finished(stage, handle, books)
    month = (await handle.describe()).start_time.strftime("%Y-%m")
    assert ended.output["month"] == month and transfers(books) == paid(month)


async def test_a_second_run_of_the_month(stage: Example, books: Path) -> None:
    await run(stage, books)
    ended = await run(stage, books)
    assert gives(ended) == ("completed", {}, sorted(NET))
    assert ended.output["unpaid"][0]["unpaid"].startswith("ada was paid for 2026-10 by transfer ")
    assert transfers(books) == paid("2026-10") and ledger(books) == [("2026-10", sum(NET.values()))]
    await sent(books, 5)


async def test_two_runs_of_a_month_at_once(
    stage: Example, books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is being paid by the one is not begun with by the other."""
    monkeypatch.setenv("PAYROLL_DELAY", "0.4")
    handles = [await stage.start(stage.input()) for _ in range(2)]
    await asyncio.wait([asyncio.ensure_future(handle.result()) for handle in handles])
    both = [(await finished(stage, handle, books)).output for handle in handles]
    assert sorted(one["employee"] for output in both for one in output["paid"]) == sorted(NET)
    assert sorted(one["employee"] for output in both for one in output["unpaid"]) == sorted(NET)
    why = [one["unpaid"] for output in both for one in output["unpaid"]]
    assert any(reason.startswith("there is a workflow with the id pay-") for reason in why), why
    assert transfers(books) == paid("2026-10")
    assert sum(cents for _, cents in ledger(books)) == sum(NET.values())


async def test_a_wrong_iban(stage: Example, books: Path) -> None:
    """The others are paid. Once it is mended another run pays the one who was left."""
    ended = await run(stage, books, "wrong-iban")
    others = [name for name in NET if name != "carol"]
    assert gives(ended) == ("completed", {name: NET[name] for name in others}, ["carol"])
    assert ended.output["unpaid"][0]["unpaid"] == "AT601906502049881843 is no IBAN"
    assert transfers(books) == paid("2026-11", *others)
    child = await stage.client.get_workflow_handle("pay-2026-11-carol").describe()
    assert child.status is WorkflowExecutionStatus.FAILED
    await sent(books, 4)

    ended = await run(stage, books, "wrong-iban", staff="acme")
    assert gives(ended) == ("completed", {"carol": NET["carol"]}, others)
    assert transfers(books) == paid("2026-11")
    rest = sum(NET[name] for name in others)
    assert ledger(books) == [("2026-11", rest), ("2026-11", NET["carol"])]
    await sent(books, 5)


async def test_the_ledger_refuses(stage: Example, books: Path) -> None:
    ended = await run(stage, books, "closed-month")
    assert (ended.status, ended.error) == (
        "compensated",
        ("MonthClosed", "the books of 2024-12 are closed"),
    )
    assert ended.undone == EVERYBODY[::-1]
    assert transfers(books) == [] and ledger(books) == []
    assert keys(books) == [f"{step}/transfer" for step in EVERYBODY]
    states = payslips(books)
    assert len(states) == 5 and set(states.values()) <= {"void", "sent, then void"}
    assert look(books)[0] == 0


async def test_a_month_that_was_taken_back_is_paid_again(
    stage: Example, books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as closed:
        closed.setattr(module("payroll").back_office, "CLOSED", "2026-10")
        assert (await run(stage, books)).undone == EVERYBODY[::-1]
    assert gives(await run(stage, books)) == ("completed", NET, [])
    assert transfers(books) == paid("2026-10") and len(keys(books)) == 10
    assert look(books)[0] == 0


async def test_an_empty_account_undoes_the_month(
    stage: Example, books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong for all is not put up with: what was paid is recalled."""
    monkeypatch.setattr(module("payroll").back_office, "ACCOUNT", 8000_00)
    ended = await run(stage, books)
    assert (ended.status, ended.error and ended.error[0]) == ("compensated", "InsufficientFunds")
    assert transfers(books) == [] and ledger(books) == []
    assert rows(books, "SELECT count(*) FROM transfers")[0][0] >= 3


@pytest.mark.parametrize(
    ("name", "changes", "error"),
    [
        (
            "over-budget",
            {},
            ("OverBudget", "The salaries are 1450000 cents, the budget is 1000000"),
        ),
        ("input", {"staff": "nobody"}, ("NoStaff", "there is no list nobody")),
        ("input", {"month": "2026-13"}, None),
    ],
)
async def test_nothing_was_done(
    stage: Example,
    books: Path,
    name: str,
    changes: dict[str, Any],
    error: tuple[str, str] | None,
) -> None:
    ended = await run(stage, books, name, **changes)
    assert ended.status == "failed" and ended.error is not None
    assert ended.error == error or (error is None and ended.error[0] == "InvalidInput")
    assert not books.exists()


async def test_cancelled_in_the_middle(
    stage: Example, books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some were paid, some are being paid: all settles, and all of it is recalled."""
    monkeypatch.setenv("PAYROLL_DELAY", "0.6")
    handle = await stage.start(stage.input())
    await eventually("a fourth transfer", lambda: len(transfers(books)) >= 4)
    await handle.cancel()
    monkeypatch.delenv("PAYROLL_DELAY")
    ended = await finished(stage, handle, books)
    assert (ended.status, ended.error and ended.error[0]) == ("cancelled", "Cancelled")
    assert len(ended.undone) >= 3 and set(ended.undone) <= set(EVERYBODY)
    assert rows(books, "SELECT count(*) FROM transfers")[0][0] >= 4
    assert transfers(books) == [] and ledger(books) == []
    assert set(payslips(books).values()) <= {"void", "sent, then void"}


async def test_answers_are_lost(
    stage: Example, books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every act is tried again after it was done: it is in the books once."""
    lost = lose_answers(monkeypatch, "payroll", "done")
    ended = await run(stage, books)
    assert gives(ended) == ("completed", NET, [])
    assert len(lost) == 5 + 5 + 1  # transfers, payslips, the ledger
    assert rows(books, "SELECT count(*) FROM transfers") == [(5,)]
    assert ledger(books) == [("2026-10", sum(NET.values()))]
    await sent(books, 5)


MOMENTS = {
    # An act that was done, but whose answer never came: while paying, and while taking back.
    "paid, not told": ("2025-03", "SELECT 1 FROM transfers"),
    "recalled, not told": ("2024-12", "SELECT 1 FROM transfers WHERE undone IS NOT NULL"),
}


async def killed(site: Site, folder: Path, what: str) -> None:
    """Runs a month whose worker is killed at a moment, and goes on with another.

    By the books of the bank everybody is paid once, whichever worker did it; and taken back, where
    the month is closed.
    """
    month, moment = MOMENTS[what]
    folder.mkdir()
    books = folder / "books.sqlite"
    # The acts of the dead are given up soon, also those that undo.
    soon = "start_to_close_timeout: 1s"
    text = (FOLDER / "workflow.yaml").read_text().replace("start_to_close_timeout: 5s", soon)
    recall = "      activity: salaries.recall\n"
    assert text.count(soon) == 2 and text.count(recall) == 1
    text = text.replace(recall, f"{recall}      {soon}\n")
    (folder / "workflow.yaml").write_text(text)
    queue = f"killed-{folder.name}"

    def worker(number: int) -> WorkerProcess:
        where = ("--definitions", folder / "workflow.yaml", "--task-queue", queue)
        env = {"PAYROLL_DB": str(books), "PAYROLL_DELAY": "0.4" if number == 1 else ""}
        return WorkerProcess(site, folder / f"{number}.log", *where, example=FOLDER, **env)

    with worker(1) as first:
        await first.ready()
        given = {"staff": "acme", "budget": 2000000, "month": month}
        handle = await site.client.start_workflow("payroll", given, id=queue, task_queue=queue)
        site.handle(queue)
        await eventually(what, lambda: rows(books, moment), every=0.005)
        assert (await first.stopped(signal.SIGKILL))[0] == -signal.SIGKILL
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    with worker(2) as second:
        await second.ready()
        await asyncio.wait({asyncio.ensure_future(handle.result())}, timeout=40)
        state = await handle.query("status")
        made = rows(books, "SELECT number FROM transfers")
        assert len(made) == 5 and keys(books) == [f"{step}/transfer" for step in EVERYBODY]
        if month == "2025-03":
            assert state["status"] == "completed"
            assert transfers(books) == paid(month)
            assert ledger(books) == [(month, sum(NET.values()))]
            await sent(books, 5)
        else:
            assert state["status"] == "compensated"
            assert transfers(books) == [] and ledger(books) == []
        assert (await second.stopped(signal.SIGTERM))[0] == 0
    assert look(books)[0] == 0


async def scheduled(site: Site, tmp_path: Path) -> None:
    """Deployed and triggered by hand; then one definition is changed alone, then all of them."""
    tmp_path.mkdir()
    books, folder = tmp_path / "books.sqlite", tmp_path / "payroll"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "workflow.yaml"

    async def deploy(path: Path, *lines: str) -> None:
        done = await site.cli("deploy", path)
        assert (done.code, sorted(done.out.splitlines())) == (0, sorted(lines)), done

    async def start(month: str) -> int:
        """Pays a month; gives what Ada got."""
        given = json.dumps({"staff": "acme", "budget": 2000000, "month": month})
        done = await site.cli("start", "payroll", "--input", given, "--id", month)
        assert done.code == 0, done
        return (await site.handle(month).result())["paid"][0]["net"]

    with WorkerProcess(site, tmp_path / "log", example=folder, PAYROLL_DB=str(books)) as worker:
        await worker.ready()
        await deploy(
            folder,
            "pay-employee  live -> revision 1",
            "payroll  live -> revision 1",
            "payroll  schedule created",
            "send-payslip  live -> revision 1",
        )
        await site.temporal("schedule", "trigger", "--schedule-id", "dsl.schedule/payroll")
        run = await eventually_run(site)
        result = await site.handle(run.id).result()
        assert {one["employee"]: one["net"] for one in result["paid"]} == NET
        month = run.start_time.strftime("%Y-%m")
        assert result["month"] == month and transfers(books) == paid(month)
        await sent(books, 5)

        # It alone: the parent runs what was live when the parent was deployed.
        parts = file.read_text().split("\n---\n")
        alone = tmp_path / "pay-employee.yaml"
        alone.write_text(parts[1].replace("// 3", "// 4"))
        await deploy(alone, "pay-employee  live -> revision 2")
        assert await start("2025-01") == NET["ada"]

        # All of them: the parent becomes another revision, which runs the new one.
        file.write_text(file.read_text().replace("// 3", "// 4"))
        await deploy(
            folder,
            "pay-employee  live -> revision 2: unchanged",
            "payroll  live -> revision 2",
            "send-payslip  live -> revision 1: unchanged",
        )
        assert await start("2025-02") == 265000
        await sent(books, 15)
        assert (await worker.stopped(signal.SIGTERM))[0] == 0


async def eventually_run(site: Site) -> WorkflowExecution:
    """The run that the schedule started."""
    for _ in range(200):
        scheduled = "TemporalScheduledById = 'dsl.schedule/payroll'"
        async for run in site.client.list_workflows(scheduled):
            return run
        await asyncio.sleep(0.05)
    raise AssertionError("the schedule started nothing")


@pytest.mark.waits
async def test_worker_processes(tmp_path: Path) -> None:
    """What is killed goes on elsewhere; what is deployed is run, by hand and by the schedule."""
    async with real_server() as server:
        site = Site(server)
        # At the same time: most of it is waiting for what the dead had in hand to be given up.
        runs = {
            what: killed(site, tmp_path / str(number), what)
            for number, what in enumerate(MOMENTS, start=1)
        }
        await all_at_once(runs | {"scheduled": scheduled(site, tmp_path / "scheduled")})
        await site.replay()


# --- the books themselves


def test_what_the_database_refuses(books: Path) -> None:
    office = module("payroll").back_office
    iban = json.loads((FOLDER / "staff" / "acme.json").read_text())[0]["iban"]
    with office.opened() as db:
        assert office.pay(db, "a/transfer", "2026-10", "ada", iban, 5) == 1
        assert office.pay(db, "a/transfer", "2026-10", "ada", iban, 5) == 1
        row = "INSERT INTO transfers (key, month, employee, iban, cents) VALUES (?, ?, ?, ?, ?)"
        for wrong in (("a/transfer", "2026-11", "ada", iban, 5), ("b", "2026-10", "ada", iban, 5)):
            with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
                db.execute(row, wrong)
        # An act that comes after its undoing, and one that is undone again.
        assert office.undo(db, "transfers", "late!undo") is None
        with pytest.raises(office.Refused, match="undone before it came"):
            office.pay(db, "late", "2026-10", "bob", iban, 5)
        assert [office.undo(db, "transfers", "a/transfer!undo") for _ in range(2)] == [1, 1]
        assert office.pay(db, "b/transfer", "2026-10", "ada", iban, 5) == 2
    code, text = look(books)
    assert code == 1 and text.endswith("\nTHE LEDGER DOES NOT AGREE.\n")


def test_payslips_in_either_order(books: Path) -> None:
    office = module("payroll").back_office
    with office.opened() as db:
        assert [office.payslip(db, 1, state) for state in ("sent", "sent", "void", "sent")] == [
            *("sent", "sent", "sent, then void", "sent, then void")
        ]
        assert [office.payslip(db, 2, state) for state in ("void", "sent")] == ["void", "void"]


def test_ibans() -> None:
    office = module("payroll").back_office
    good = [one["iban"] for one in json.loads((FOLDER / "staff" / "acme.json").read_text())]
    assert all(map(office.is_iban, [*good, "GB82WEST12345698765432"]))
    assert not any(
        map(office.is_iban, ["", "AT601906502049881843", "AT61 1904", f"{good[0]}\u00b2"])
    )


def test_the_command(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert look(none) == (2, f"there are no books yet: {none} does not exist\n")
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute("CREATE TABLE other (x)")
    code, text = look(tmp_path / "other")
    assert code == 2 and text.endswith("other cannot be read as books: there are no books in it\n")


def test_the_inputs_fit() -> None:
    for file in FOLDER.glob("*.json"):
        assert set(json.loads(file.read_text())) == {"staff", "budget", "month"}
