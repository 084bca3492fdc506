"""What the steps of workflow.yaml do, in `branches.sqlite` or what BRANCHES_DB names.

    python examples/embedded-worker/activities.py

prints what was done.
"""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

TABLE = "CREATE TABLE IF NOT EXISTS acts (key TEXT PRIMARY KEY, what TEXT, branch TEXT, cents INT)"


class Deposit(BaseModel):
    """What the bank says."""

    branch: str
    cents: int
    at: datetime


def open_books() -> sqlite3.Connection:
    """The books; they are made where there are none."""
    db = sqlite3.connect(os.environ.get("BRANCHES_DB", "branches.sqlite"), timeout=30)
    db.execute(TABLE)
    return db


def note(what: str, branch: str, cents: int) -> None:
    """Notes an act; one that was noted already is not noted again."""
    with closing(open_books()) as db, db:
        act = (idempotency_key(), what, branch, cents)
        db.execute("INSERT OR IGNORE INTO acts VALUES (?, ?, ?, ?)", act)


@activity.defn(name="till.count")
def count(branch: str) -> int:
    """Counts the till of a branch, in cents."""
    return 1000 * len(branch)


@activity.defn(name="books.enter")
def enter(branch: str, cents: int) -> None:
    """Enters what a branch took."""
    note("entered", branch, cents)


@activity.defn(name="books.strike")
def strike(branch: str) -> None:
    """Strikes what was entered for a branch."""
    note("struck", branch, 0)


@activity.defn(name="bank.deposit")
def deposit(branch: str, cents: int) -> Deposit:
    """Brings money to the bank."""
    if branch.startswith("remote"):
        raise ApplicationError(f"there is no bank near {branch}", type="NoBank", non_retryable=True)
    note("deposited", branch, cents)
    return Deposit(branch=branch, cents=cents, at=datetime.now(UTC))


if __name__ == "__main__":
    with closing(open_books()) as books:
        print("acts: key, what, branch, cents")
        for row in books.execute("SELECT * FROM acts ORDER BY rowid"):
            print(" ", *row, sep="  ")
