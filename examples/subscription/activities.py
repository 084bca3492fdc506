"""What the steps of workflow.yaml do. Everything is written into one SQLite file.

    python examples/subscription/activities.py

prints what is in it. SUBSCRIPTION_DB names the file; default: subscription.sqlite in the working
directory.

What was done stands there with its idempotency key: when Temporal repeats an activity whose answer
was lost, the row is found, and nothing is done.
"""

import calendar
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

PRICES = {"basic": 500, "plus": 1200, "team": 4900}
"""Cents a month."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS bills (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL,
    month INTEGER NOT NULL, plan TEXT NOT NULL, card TEXT NOT NULL, cents INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('paid', 'declined'))
);
CREATE TABLE IF NOT EXISTS mails (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, customer TEXT NOT NULL,
    subject TEXT NOT NULL
);
"""


@contextmanager
def opened() -> Generator[sqlite3.Connection]:
    """The file, with its tables, in a transaction of its own."""
    file = os.environ.get("SUBSCRIPTION_DB") or "subscription.sqlite"
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # waits for other writers
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def add(time: datetime, months: int) -> datetime:
    """A time so many months later: the same day, or the last one of a month that has it not."""
    years, month = divmod(time.month - 1 + months, 12)
    year = time.year + years
    day = min(time.day, calendar.monthrange(year, month + 1)[1])
    return time.replace(year=year, month=month + 1, day=day)


def bill(db: sqlite3.Connection, customer: str, month: int, plan: str, card: str) -> str:
    """Ask the bank for a month's money, once for each key; gives whether it paid.

    A card `prepaid-3` has the money for three bills.
    """
    key = idempotency_key()
    done = db.execute("SELECT state FROM bills WHERE key = ?", (key,)).fetchone()
    if done is not None:
        return done[0]
    kind, _, most = card.partition("-")
    used = "SELECT count(*) FROM bills WHERE customer = ? AND card = ? AND state = 'paid'"
    (count,) = db.execute(used, (customer, card)).fetchone()
    state = "declined" if kind == "prepaid" and count >= int(most) else "paid"
    db.execute(
        "INSERT INTO bills (key, customer, month, plan, card, cents, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key, customer, month, plan, card, PRICES[plan], state),
    )
    return state


@activity.defn(name="billing.charge")
def charge(
    customer: str,
    plan: Literal["basic", "plus", "team"],
    card: str,
    start: str,
    month: int,
    period: Literal["month", "second"],
) -> dict[str, Any]:
    """Bill a month, the first being 0; gives until when it is paid."""
    with opened() as db:
        state = bill(db, customer, month, plan, card)
    if state == "declined":
        message = f"the card {card} was declined for month {month + 1}"
        raise ApplicationError(message, type="CardDeclined", non_retryable=True)
    # From the start, not from the month before: 31 January, 28 February, 31 March.
    began = datetime.fromisoformat(start)
    later = timedelta(seconds=month + 1)
    until = add(began, month + 1) if period == "month" else began + later
    return {"paid_until": until.isoformat().replace("+00:00", "Z")}


@activity.defn(name="billing.tell")
def tell(customer: str, subject: str) -> None:
    """Send a customer a mail."""
    with opened() as db:
        row = (idempotency_key(), customer, subject)
        db.execute(
            "INSERT INTO mails (key, customer, subject) VALUES (?, ?, ?)"
            " ON CONFLICT (key) DO NOTHING",
            row,
        )


def main() -> None:
    """Print all tables."""
    with opened() as db:
        for table in ("bills", "mails"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
