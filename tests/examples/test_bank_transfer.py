"""bank-transfer: whole or wholly undone, whatever is refused, lost, late or cancelled."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.end_to_end.support import eventually
from tests.examples.support import EXAMPLES, Ended, Example, example, lose_answers, module, rows
from tests.support.conformance import Runner

OPENING = {"alice": 1000_00, "bob": 500_00, "carol": 20_00, "dave": 300_00, "capital": -1820_00}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example, in real time."""
    async with example(server, "bank-transfer", "bank-transfer") as stage:
        yield stage


@pytest.fixture(autouse=True)
def books(db: Path) -> Path:
    """Books that are not there yet."""
    return db


@pytest.fixture
def open_books(books: Path) -> Path:
    with module("bank-transfer").bank.opened():
        pass
    return books


def acts(books: Path) -> list[str]:
    """The steps whose postings are there, in order."""
    keys = rows(books, "SELECT key FROM postings WHERE what <> 'opening' ORDER BY number")
    return [key.split("/", 1)[1] for (key,) in keys]


def moved(books: Path) -> dict[str, int]:
    """What each account has more than at the opening; only where that is not nothing."""
    found = dict(rows(books, "SELECT account, sum(cents) FROM legs GROUP BY account"))
    changes = {name: cents - OPENING.get(name, 0) for name, cents in found.items()}
    return {name: cents for name, cents in changes.items() if cents}


def audit(books: Path) -> tuple[int, str]:
    """The exit code of the audit, and what it printed."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "bank-transfer" / "bank.py", books],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check_audit(books: Path, states: str) -> None:
    code, text = audit(books)
    assert code == 0 and text.endswith("\nThe books are right.\n"), text
    assert f"  transfers: {states}\n" in text


async def finished(stage: Example, name: str = "input", /, **changes: Any) -> Ended:
    return await stage.ended(await stage.start(stage.input(name, **changes)))


async def test_a_transfer(stage: Example, books: Path) -> None:
    ended = await finished(stage)
    assert (ended.status, ended.error) == ("completed", None)
    assert ended.output["debited"] == 5 and ended.output["credited"] == 7
    assert acts(books) == ["debit", "fee", "credit"]
    assert moved(books) == {"alice": -12550 - 62, "bob": 12550, "fees": 62}
    check_audit(books, "1 whole, 0 undone, 0 under way")


@pytest.mark.parametrize(
    ("cents", "fee"), [(1, 50), (10_199, 50), (10_200, 51), (50_000, 250), (99_502, 497)]
)
async def test_the_fee(stage: Example, books: Path, cents: int, fee: int) -> None:
    await finished(stage, amount=cents)
    assert moved(books) == {"alice": -cents - fee, "bob": cents, "fees": fee}


REFUSED = {
    "short-of-the-fee": (
        ("InsufficientFunds", "carol has 0.20, not 0.50"),
        ["debit", "debit!undo"],
    ),
    "unknown-account": (
        ("UnknownAccount", "there is no account nobody"),
        ["debit", "fee", "fee!undo", "debit!undo"],
    ),
    "frozen-account": (
        ("AccountFrozen", "the account dave is frozen"),
        ["debit", "fee", "fee!undo", "debit!undo"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_is_undone(stage: Example, books: Path, name: str) -> None:
    error, postings = REFUSED[name]
    ended = await finished(stage, name)
    assert (ended.status, ended.error) == ("compensated", error)
    assert acts(books) == postings and moved(books) == {}
    assert [f"{step}!undo" for step in ended.undone] == postings[len(postings) // 2 :]
    check_audit(books, "0 whole, 1 undone, 0 under way")


@pytest.mark.parametrize(
    ("giver", "amount", "kind"),
    [
        ("carol", 2001, "InsufficientFunds"),
        ("nobody", 1, "UnknownAccount"),
        ("dave", 1, "AccountFrozen"),
    ],
)
async def test_nothing_was_done(
    stage: Example, books: Path, giver: str, amount: int, kind: str
) -> None:
    """The debit itself is refused: there is nothing to undo, and nobody tries."""
    ended = await finished(stage, "input", **{"from": giver, "amount": amount})
    assert ended.status == "failed" and ended.undone == []
    assert ended.error is not None and ended.error[0] == kind
    assert acts(books) == [] and rows(books, "SELECT * FROM voids") == []


async def test_input_that_is_wrong(stage: Example, books: Path) -> None:
    for wrong in ({"amount": 0}, {"amount": -5}, {"amount": 1.5}, {"amount": "5"}, {"from": 7}):
        ended = await finished(stage, **wrong)
        assert ended.error is not None and ended.error[0] == "InvalidInput"
    assert not books.exists()


async def test_to_oneself(stage: Example, books: Path) -> None:
    await finished(stage, to="alice")
    assert moved(books) == {"alice": -62, "fees": 62}
    check_audit(books, "1 whole, 0 undone, 0 under way")


async def test_at_the_same_time(stage: Example, books: Path) -> None:
    """What one has can be spent once, and money that goes to and fro stays as much."""
    spent = [stage.input(**{"from": "carol", "amount": 1500}) for _ in range(5)]
    to_and_fro = [
        stage.input(**{"from": giver, "to": to, "amount": 100 + n})
        for n in range(5)
        for giver, to in (("alice", "bob"), ("bob", "alice"))
    ]
    handles = await asyncio.gather(*map(stage.start, spent + to_and_fro))
    await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    ends = [(await stage.ended(handle)).status for handle in handles]
    assert ends[5:] == ["completed"] * 10
    # While one has not paid the fee another may have come: then both are undone.
    won = ends[:5].count("completed")
    assert won <= 1 and set(ends[:5]) <= {"completed", "failed", "compensated"}
    # Among alice and bob it goes to and fro; each of them pays five fees.
    assert moved(books) == {
        key: cents
        for key, cents in {
            "alice": -250,
            "bob": -250 + 1500 * won,
            "carol": -1550 * won,
            "fees": 500 + 50 * won,
        }.items()
        if cents
    }
    undone = ends.count("compensated")
    check_audit(books, f"{10 + won} whole, {undone} undone, 0 under way")


@pytest.mark.parametrize("done", [["debit"], ["debit", "fee"]])
async def test_cancelled(
    stage: Example, open_books: Path, monkeypatch: pytest.MonkeyPatch, done: list[str]
) -> None:
    """While a step is at work: it settles, then all is undone."""
    monkeypatch.setenv("BANK_DELAY", "1")
    handle = await stage.start(stage.input())
    await eventually("a step", lambda: acts(open_books) == done)
    await handle.cancel()
    ended = await stage.ended(handle)
    assert (ended.status, ended.undone) == ("cancelled", done[::-1])
    assert acts(open_books) == done + [f"{one}!undo" for one in reversed(done)]
    assert moved(open_books) == {}
    check_audit(open_books, "0 whole, 1 undone, 0 under way")


async def test_a_transfer_that_takes_too_long(
    server: WorkflowEnvironment, books: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last step was done meanwhile: it is undone like the others."""
    text = (EXAMPLES / "bank-transfer" / "workflow.yaml").read_text()
    file = tmp_path / "workflow.yaml"
    file.write_text(text.replace("timeout: 1h", "timeout: 2s"))
    monkeypatch.setenv("BANK_DELAY", "0.9")
    async with example(server, "bank-transfer", "bank-transfer-slow", file) as stage:
        ended = await finished(stage)
    assert ended.status == "compensated"
    assert ended.error is not None and ended.error[0] == "Timeout"
    steps = acts(books)
    assert steps == ["debit", "fee", "credit", "credit!undo", "fee!undo", "debit!undo"]
    assert moved(books) == {}


async def test_answers_are_lost(
    runner: Runner, books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every act is tried again after it was done: it is in the books once."""
    lost = lose_answers(monkeypatch, "bank-transfer", "post")
    async with example(runner.server, "bank-transfer", "bank-transfer-virtual") as virtual:
        ended = await virtual.run(virtual.input())
        assert ended.status == "completed" and len(lost) == 3
        ended = await virtual.run(virtual.input("unknown-account"))
    assert ended.status == "compensated" and len(lost) == 3 + 4
    postings = ["debit", "fee", "credit", "debit", "fee", "fee!undo", "debit!undo"]
    assert acts(books) == postings
    assert moved(books) == {"alice": -12550 - 62, "bob": 12550, "fees": 62}


async def test_an_act_that_comes_after_its_undoing(
    server: WorkflowEnvironment, books: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that was given up, but lives: it finds its act voided."""
    text = (EXAMPLES / "bank-transfer" / "workflow.yaml").read_text()
    file = tmp_path / "workflow.yaml"
    text = text.replace("start_to_close_timeout: 5s", "start_to_close_timeout: 1s")
    file.write_text(text.replace("retry: {", "retry: {maximum_attempts: 1, "))
    bank = module("bank-transfer").bank
    real: Callable[..., int] = bank.move
    ended_first = threading.Event()
    late: list[Any] = []

    def late_move(db: sqlite3.Connection, *args: Any, **named: Any) -> int:
        db.execute("COMMIT")  # what waits holds up nobody
        ended_first.wait(30)
        db.execute("BEGIN IMMEDIATE")
        try:
            return real(db, *args, **named)
        except bank.Refused as refused:
            late.append(refused.kind)
            raise

    monkeypatch.setattr(bank, "move", late_move)
    async with example(server, "bank-transfer", "bank-transfer-late", file) as stage:
        try:
            ended = await finished(stage)
        finally:
            ended_first.set()
        await eventually("the late act", lambda: late)
    assert ended.error is not None and ended.error[0] == "Timeout"
    assert ended.undone == ["debit"]
    assert late == ["Voided"] and acts(books) == [] and moved(books) == {}
    assert len(rows(books, "SELECT * FROM voids")) == 1


# --- the books themselves


def write(books: Path, *statements: str) -> None:
    """Statements in a transaction of their own, with the rules that SQLite has to be told."""
    with closing(sqlite3.connect(books, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN")
        for statement in statements:
            db.execute(statement)
        db.execute("COMMIT")


def legs(number: int, **cents: int) -> list[str]:
    return [f"INSERT INTO legs VALUES ({number}, '{a}', {c})" for a, c in cents.items()]


def posting(number: int, key: str, what: str = "debit", reverses: str = "NULL") -> str:
    row = f"{number}, '{key}', 'one', '{what}', {reverses}, 'today'"
    return f"INSERT INTO postings VALUES ({row})"


def test_what_the_database_refuses(open_books: Path) -> None:
    one = [*legs(5, alice=-10, transit=10), posting(5, "run/debit")]
    two_legs, unchanged = "two legs that sum to zero", "are never changed"
    for statements, message in [
        ([*legs(5, alice=-10, transit=11), posting(5, "k")], two_legs),
        ([*legs(5, alice=10), posting(5, "k")], two_legs),
        ([posting(5, "k")], two_legs),
        ([*legs(5, alice=-10, bob=5, transit=5), posting(5, "k")], two_legs),
        ([*legs(5, alice=0, transit=0), posting(5, "k")], "CHECK"),
        (["INSERT INTO legs VALUES (5, 'alice', 0.5)"], "CHECK"),
        ([*legs(5, alice=-10, alicia=10), posting(5, "k")], "FOREIGN KEY"),
        (legs(5, alice=-10, transit=10), "FOREIGN KEY"),
        ([*one, *legs(5, bob=1)], "this posting is closed"),
        ([*one, *legs(6, alice=-10, transit=10), posting(6, "run/debit")], "UNIQUE"),
        (
            [
                *one,
                *legs(6, alice=10, transit=-10),
                posting(6, "k", reverses="5"),
                *legs(7, alice=10, transit=-10),
                posting(7, "l", reverses="5"),
            ],
            "UNIQUE",
        ),
        (["UPDATE legs SET cents = 1"], unchanged),
        (["DELETE FROM legs"], unchanged),
        (["UPDATE postings SET transfer = 'x'"], unchanged),
        (["DELETE FROM postings"], unchanged),
        (["INSERT INTO voids VALUES ('k')", "DELETE FROM voids"], unchanged),
    ]:
        with pytest.raises(sqlite3.IntegrityError, match=message):
            write(open_books, *statements)
    assert rows(open_books, "SELECT count(*) FROM postings") == [(4,)]
    write(open_books, *one)
    assert audit(open_books)[0] == 0


def test_what_the_audit_finds(open_books: Path, tmp_path: Path) -> None:
    """In books whose rules somebody took away."""
    free = "DROP TRIGGER two_legs", "DROP TRIGGER no_third_leg"
    debit = [*legs(5, alice=-10, transit=10), posting(5, "run/debit")]
    fee = [*legs(6, alice=-1, fees=1), posting(6, "run/fee", "fee")]
    for statements, finding in [
        ([*legs(5, alice=10), posting(5, "run/debit")], "All legs together are 0.10."),
        ([*legs(5, alice=10), posting(5, "run/debit")], "Posting 5 has not two legs that sum"),
        (
            [*debit, *legs(6, alice=-10, transit=10), posting(6, "run/again")],
            "debit more than once",
        ),
        (
            [*debit, *fee, *legs(7, transit=-9, bob=9), posting(7, "run/credit", "credit")],
            "The transfer one is wrong: 0.01 of it stayed in transit.",
        ),
        ([*legs(5, carol=-2001, transit=2001), posting(5, "run/debit")], "took from carol what"),
    ]:
        wrong = tmp_path / "wrong.sqlite"
        wrong.write_bytes(open_books.read_bytes())
        write(wrong, *free, *statements)
        code, text = audit(wrong)
        assert code == 1 and finding in text and text.endswith("\nTHE BOOKS ARE WRONG.\n"), text


def test_a_transfer_under_way(open_books: Path) -> None:
    write(open_books, *legs(5, alice=-10, transit=10), posting(5, "run/debit"))
    check_audit(open_books, "0 whole, 0 undone, 1 under way")


def test_the_command(tmp_path: Path, books: Path) -> None:
    assert audit(tmp_path / "none") == (
        2,
        f"there are no books yet: {tmp_path / 'none'} does not exist\n",
    )
    junk = tmp_path / "junk"
    junk.write_text("{}" * 500)
    code, text = audit(junk)
    assert code == 2 and text == f"{junk} cannot be read as books: file is not a database\n"
    sqlite3.connect(tmp_path / "other").close()
    code, text = audit(tmp_path / "other")
    assert code == 2 and text.endswith("other cannot be read as books: there are no books in it\n")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "bank-transfer" / "bank.py", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "usage: python bank.py [FILE]\n")


def test_the_inputs_fit() -> None:
    for file in (EXAMPLES / "bank-transfer").glob("*.json"):
        assert set(json.loads(file.read_text())) == {"from", "to", "amount"}
