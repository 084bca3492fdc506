"""expense-approval: whose word counts and when, and what was really done then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.examples.support import Ended, Example, example, lose_answers, rows
from tests.support.conformance import Runner

HOUR = 3600.0
GRACE, LINUS = "grace@example.com", "linus@example.com"
ASK = "ada@example.com asks for 184.50 for a train to Berlin"
REMIND = "Reminder: ada@example.com waits for your word"
PAID = ("ada@example.com", "Your 184.50 for a train to Berlin are on their way")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def expenses(runner: Runner) -> AsyncIterator[Example]:
    """The example in virtual time."""
    async with example(runner.server, "expense-approval", "expenses") as stage:
        yield stage


def yes(by: str) -> dict[str, Any]:
    return {"by": by, "approved": True}


def no(by: str, **more: Any) -> dict[str, Any]:
    return {"by": by, "approved": False, **more}


def rejected(reason: str) -> tuple[str, str]:
    return ("ada@example.com", f"Your expense was rejected: {reason}")


def slow(stage: Example, name: str = "input", **changes: Any) -> dict[str, Any]:
    """An input with the definition's own waits of a day."""
    given = stage.input(name, **changes)
    given.pop("wait", None)
    return given


def mails(db: Path) -> list[Any]:
    return rows(db, 'SELECT "to", subject FROM outbox ORDER BY number')


def steps(db: Path) -> list[str]:
    """The acts that were done, in order."""
    keys = rows(db, "SELECT key FROM acts ORDER BY number")
    return [key.split("/", 1)[1] for (key,) in keys]


def balance(db: Path) -> dict[str, int]:
    """Cents by account."""
    sql = "SELECT account, sum(cents) FROM (SELECT debit account, cents FROM entries UNION ALL"
    return dict(rows(db, f"{sql} SELECT credit, -cents FROM entries) GROUP BY account"))


def check_paid(ended: Ended, db: Path, by: str) -> None:
    assert (ended.status, ended.error) == ("completed", None)
    assert ended.output == {"status": "paid", "approved_by": by, "entry": 1, "transfer": 1}
    assert balance(db) == {"travel": 18450, "owed to staff": -18450}
    transfers = rows(db, "SELECT expense_id, account, cents, recalled FROM transfers")
    assert transfers == [("expense-1", "ada-4711", 18450, 0)]
    assert mails(db)[-1] == PAID


def check_rejected(ended: Ended, db: Path, reason: str) -> None:
    assert (ended.status, ended.error) == ("completed", None)
    assert ended.output == {"status": "rejected", "reason": reason}
    assert mails(db)[-1] == rejected(reason)
    assert balance(db) == {} and rows(db, "SELECT * FROM transfers") == []


# When whose word comes, in hours; who has approved; how long it took; the mails before the last.
APPROVALS = {
    "at once": ([(0, GRACE)], GRACE, 0, [(GRACE, ASK)]),
    "before the reminder": ([(23, GRACE)], GRACE, 23, [(GRACE, ASK)]),
    "reminded": ([(30, GRACE)], GRACE, 30, [(GRACE, ASK), (GRACE, REMIND)]),
    "escalated": ([(50, LINUS)], LINUS, 50, [(GRACE, ASK), (GRACE, REMIND), (LINUS, ASK)]),
    "late, after it was escalated": (
        [(73, GRACE)],
        GRACE,
        73,
        [(GRACE, ASK), (GRACE, REMIND), (LINUS, ASK), (LINUS, REMIND)],
    ),
    "the second, before he was asked": (
        [(1, LINUS)],
        LINUS,
        48,
        [(GRACE, ASK), (GRACE, REMIND), (LINUS, ASK)],
    ),
}


@pytest.mark.parametrize("name", APPROVALS)
async def test_approved(expenses: Example, db: Path, name: str) -> None:
    answers, by, hours, expected = APPROVALS[name]
    signals = [(hour * HOUR, yes(who)) for hour, who in answers]
    ended = await expenses.run(slow(expenses), signals)
    check_paid(ended, db, by)
    assert mails(db) == [*expected, PAID]
    assert ended.seconds == pytest.approx(hours * HOUR, abs=60)
    assert steps(db)[-3:] == ["book", "pay", "tell"]


async def test_rejected_by_the_second(expenses: Example, db: Path) -> None:
    answer = no(LINUS, reason="take the bus")
    ended = await expenses.run(slow(expenses), [(49 * HOUR, answer)])
    check_rejected(ended, db, "take the bus")
    assert [to for to, _ in mails(db)] == [GRACE, GRACE, LINUS, "ada@example.com"]


async def test_rejected_without_a_reason(expenses: Example, db: Path) -> None:
    ended = await expenses.run(slow(expenses), [(0, no(GRACE))])
    check_rejected(ended, db, "no reason was given")


async def test_nobody_answers(expenses: Example, db: Path) -> None:
    ended = await expenses.run(slow(expenses))
    check_rejected(ended, db, "nobody answered")
    asked = [(who, what) for who in (GRACE, LINUS) for what in (ASK, REMIND)]
    assert mails(db) == [*asked, rejected("nobody answered")]
    assert ended.seconds == pytest.approx(96 * HOUR, abs=60)
    assert ended.timers == [24 * HOUR] * 4


async def test_words_that_do_not_count(expenses: Example, db: Path) -> None:
    """Of somebody who was not asked, and what is no word at all."""
    signals = [
        (0, yes("mallory@example.com")),
        (0, {"by": GRACE, "approved": "yes"}),
        (0, {"approved": True}),
        (2 * HOUR, yes(GRACE)),
    ]
    ended = await expenses.run(slow(expenses), signals)
    check_paid(ended, db, GRACE)
    assert ended.state["signals"] == {
        "kept": {"approval": 1},
        "refused": {"approval": 2},
        "reasons": {"approval": "its payload is not what was declared"},
    }


async def test_three_approvers_and_waits_of_the_input(expenses: Example, db: Path) -> None:
    given = expenses.input(approvers=["a@x", "b@x", "c@x"], wait="10m")
    ended = await expenses.run(given, [(2500, yes("c@x"))])
    check_paid(ended, db, "c@x")
    assert [to for to, _ in mails(db)] == ["a@x", "a@x", "b@x", "b@x", "c@x", "ada@example.com"]


async def test_small_ones_need_nobody(expenses: Example, db: Path) -> None:
    ended = await expenses.run(slow(expenses, "small"))
    assert ended.output == {"status": "paid", "approved_by": None, "entry": 1, "transfer": 1}
    assert steps(db) == ["book", "pay", "tell"]
    assert balance(db) == {"travel": 1280, "owed to staff": -1280}


def check_reversed(ended: Ended, db: Path, account: str, cents: int) -> None:
    message = f"the account {account} is closed"
    assert (ended.status, ended.error) == ("compensated", ("AccountClosed", message))
    assert ended.undone == ["book"]
    assert steps(db)[-3:] == ["book", "book!undo", "!finally.apologise"]
    entries = rows(db, "SELECT debit, credit, cents FROM entries ORDER BY number")
    assert entries == [("travel", "owed to staff", cents), ("owed to staff", "travel", cents)]
    assert rows(db, "SELECT * FROM transfers") == []
    assert mails(db)[-1][1] == f"Your expense was not paid: {message}"


async def test_a_closed_account(expenses: Example, db: Path) -> None:
    ended = await expenses.run(slow(expenses, "closed-account"))
    check_reversed(ended, db, "closed-0815", 3100)
    assert len(mails(db)) == 1


async def test_a_closed_account_after_the_approval(expenses: Example, db: Path) -> None:
    given = slow(expenses, account="closed-1")
    ended = await expenses.run(given, [(5 * HOUR, yes(GRACE))])
    check_reversed(ended, db, "closed-1", 18450)


async def test_answers_are_lost(
    expenses: Example, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every act is done twice, and recorded once: the undoing too."""
    lost = lose_answers(monkeypatch, "expense-approval", "once")
    ended = await expenses.run(slow(expenses, "closed-account"))
    check_reversed(ended, db, "closed-0815", 3100)
    assert [key.split("/", 1)[1] for key in lost] == steps(db)
    assert len(mails(db)) == 1


async def test_in_real_time(server: WorkflowEnvironment, db: Path) -> None:
    """input.json as it is: the first does not answer within its three seconds, and then does."""
    async with example(server, "expense-approval", "expenses-real") as stage:
        handle = await stage.start(stage.input())
        for _ in range(200):
            if len(mails(db)) == 2:
                break
            await asyncio.sleep(0.05)
        assert mails(db) == [(GRACE, ASK), (GRACE, REMIND)]
        await handle.signal("approval", yes(GRACE))
        ended = await stage.ended(handle)
    check_paid(ended, db, GRACE)
    assert 3 <= ended.seconds < 11
