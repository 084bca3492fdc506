"""What the steps of workflow.yaml do. Everything is written into one SQLite file.

    python examples/shopping-cart/activities.py

prints what is in it. CART_DB names the file; default: shopping-cart.sqlite in the working
directory.

Each act is one transaction together with its idempotency key: when Temporal repeats an activity
whose answer was lost, `once` finds the key and gives the recorded answer, and nothing is done.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

PRICES = {"book": 2490, "lamp": 4900, "mug": 1200}
"""Cents. What a client says of prices counts for nothing."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, activity TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, customer TEXT NOT NULL, card TEXT NOT NULL, items TEXT NOT NULL,
    cents INTEGER NOT NULL, run TEXT NOT NULL, refunded INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS mails (
    number INTEGER PRIMARY KEY, customer TEXT NOT NULL, subject TEXT NOT NULL
);
"""


@contextmanager
def opened() -> Generator[sqlite3.Connection]:
    """The file, with its tables, in a transaction of its own."""
    file = os.environ.get("CART_DB") or "shopping-cart.sqlite"
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
        row = (key, activity.info().activity_type, json.dumps(result))
        db.execute("INSERT INTO acts (key, activity, result) VALUES (?, ?, ?)", row)
    return result


def run() -> str:
    """The run, which stays the same when it goes on as a new one."""
    return idempotency_key().partition("/")[0]


@activity.defn(name="cart.charge")
def charge(customer: str, card: str, items: dict[str, int]) -> dict[str, int]:
    """Take the money for what is in a cart; the bank declines cards that begin with `declined-`."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        unknown = [sku for sku in items if sku not in PRICES]
        # No other attempt would mend either of these.
        if unknown:
            message = f"we do not sell {', '.join(unknown)}"
            raise ApplicationError(message, type="NotSold", non_retryable=True)
        if card.startswith("declined-"):
            message = f"the card {card} was declined"
            raise ApplicationError(message, type="CardDeclined", non_retryable=True)
        cents = sum(PRICES[sku] * quantity for sku, quantity in items.items())
        (number,) = db.execute(
            "INSERT INTO orders (customer, card, items, cents, run) VALUES (?, ?, ?, ?, ?)"
            " RETURNING number",
            (customer, card, json.dumps(items), cents, run()),
        ).fetchone()
        return {"order": number, "cents": cents}

    return once(do)


@activity.defn(name="cart.refund")
def refund(customer: str) -> dict[str, int]:
    """Give back whatever a customer paid for this cart; gives how many orders that were."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        refunded = db.execute(
            "UPDATE orders SET refunded = 1 WHERE customer = ? AND run = ? AND NOT refunded",
            (customer, run()),
        ).rowcount
        return {"refunded": refunded}

    return once(do)


@activity.defn(name="cart.remind")
def remind(customer: str, items: dict[str, int]) -> None:
    """Tell a customer what still lies in the cart."""

    def do(db: sqlite3.Connection) -> None:
        lines = [f"{quantity} x {sku}" for sku, quantity in sorted(items.items())]
        subject = f"Still in your cart: {', '.join(lines)}"
        db.execute("INSERT INTO mails (customer, subject) VALUES (?, ?)", (customer, subject))

    once(do)


def main() -> None:
    """Print all tables."""
    with opened() as db:
        for table in ("acts", "orders", "mails"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
