"""What the steps of workflow.yaml do. Everything is written into one SQLite file.

    python examples/expense-approval/activities.py

prints what is in it. EXPENSE_DB names the file; default: expense-approval.sqlite in the working
directory.

Each act is one transaction together with its idempotency key: when Temporal repeats an activity
whose answer was lost, `once` finds the key and gives the recorded answer, and nothing is done.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

SCHEMA = """
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, activity TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY, "to" TEXT NOT NULL, subject TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entries (              -- never changed: a mistake gets another entry
    number INTEGER PRIMARY KEY, expense_id TEXT NOT NULL, text TEXT NOT NULL,
    debit TEXT NOT NULL, credit TEXT NOT NULL, cents INTEGER NOT NULL CHECK (cents > 0)
);
CREATE TABLE IF NOT EXISTS transfers (            -- the bank's own
    number INTEGER PRIMARY KEY, expense_id TEXT NOT NULL, account TEXT NOT NULL,
    cents INTEGER NOT NULL, recalled INTEGER NOT NULL DEFAULT 0
);
"""


@contextmanager
def opened() -> Generator[sqlite3.Connection]:
    """The file, with its tables, in a transaction of its own."""
    file = os.environ.get("EXPENSE_DB") or "expense-approval.sqlite"
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # waits for other writers
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def once(do: Callable[[sqlite3.Connection], Any]) -> Any:
    """Do something exactly once under this activity's key; gives what came of it."""
    key = idempotency_key()
    with opened() as db:
        done = db.execute("SELECT result FROM acts WHERE key = ?", (key,)).fetchone()
        if done is not None:
            return json.loads(done[0])
        result = do(db)
        name = activity.info().activity_type
        row = (key, name, json.dumps(result))
        db.execute("INSERT INTO acts (key, activity, result) VALUES (?, ?, ?)", row)
    return result


def cents(amount: float) -> int:
    """Whole cents; by way of the number's text, for 84.5 is exact and 84.1 is not."""
    return int((Decimal(str(amount)) * 100).to_integral_value())


def enter(db: sqlite3.Connection, expense_id: str, text: str, accounts: str, amount: int) -> int:
    """Write an entry, from `debit > credit`; gives its number."""
    debit, credit = accounts.split(" > ")
    row = db.execute(
        "INSERT INTO entries (expense_id, text, debit, credit, cents) VALUES (?, ?, ?, ?, ?)"
        " RETURNING number",
        (expense_id, text, debit, credit, amount),
    ).fetchone()
    return int(row[0])


@activity.defn(name="outbox.send")
def send(to: str, subject: str) -> None:
    """Put a mail into the outbox."""

    def do(db: sqlite3.Connection) -> None:
        db.execute('INSERT INTO outbox ("to", subject) VALUES (?, ?)', (to, subject))

    once(do)


@activity.defn(name="books.book")
def book(expense_id: str, amount: float) -> dict[str, int]:
    """Enter an expense into the books."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        text = f"expense {expense_id}"
        return {"entry": enter(db, expense_id, text, "travel > owed to staff", cents(amount))}

    return once(do)


@activity.defn(name="books.reverse")
def reverse(expense_id: str) -> dict[str, int]:
    """Reverse what is booked for an expense, by another entry; gives how much that was."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        (booked,) = db.execute(
            "SELECT coalesce(sum(CASE debit WHEN 'travel' THEN cents ELSE -cents END), 0)"
            " FROM entries WHERE expense_id = ?",
            (expense_id,),
        ).fetchone()
        if booked > 0:
            enter(db, expense_id, f"reversal of {expense_id}", "owed to staff > travel", booked)
        return {"reversed": booked}

    return once(do)


@activity.defn(name="bank.pay")
def pay(expense_id: str, account: str, amount: float) -> dict[str, int]:
    """Pay; the bank knows that accounts beginning with `closed-` are closed."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        if account.startswith("closed-"):
            # No other attempt would mend it.
            message = f"the account {account} is closed"
            raise ApplicationError(message, type="AccountClosed", non_retryable=True)
        row = db.execute(
            "INSERT INTO transfers (expense_id, account, cents) VALUES (?, ?, ?) RETURNING number",
            (expense_id, account, cents(amount)),
        ).fetchone()
        return {"transfer": row[0]}

    return once(do)


@activity.defn(name="bank.recall")
def recall(expense_id: str) -> dict[str, int]:
    """Call back what was paid for an expense; gives how many transfers that were."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        recalled = db.execute(
            "UPDATE transfers SET recalled = 1 WHERE expense_id = ? AND NOT recalled", (expense_id,)
        ).rowcount
        return {"recalled": recalled}

    return once(do)


def main() -> None:
    """Print all tables."""
    with opened() as db:
        for table in ("acts", "outbox", "entries", "transfers"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
