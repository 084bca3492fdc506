"""What the steps of workflow.yaml do: five firms that rent generators, in one SQLite file.

    python examples/quorum/activities.py

prints what is in it. QUORUM_DB names the file; default: quorum.sqlite in the working directory.

Each act is one transaction together with its idempotency key: when Temporal repeats an activity
whose answer was lost, `once` finds the key and gives the recorded answer, and nothing is done.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import heartbeat, idempotency_key


@dataclass(frozen=True)
class Firm:
    """A firm: its price in euros a day, how long it takes to confirm, and what it rents."""

    price: int
    seconds: float
    sizes: tuple[str, ...] = ("small",)


FIRMS = {
    "acorn": Firm(110, 0.3, ("small", "large")),
    "birch": Firm(90, 0.6),
    "cedar": Firm(120, 1.2),
    "dogwood": Firm(80, 30, ("small", "large")),
    "elm": Firm(70, 60),
}

SCHEMA = """
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, activity TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS reservations (
    number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, firm TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS contracts (
    number INTEGER PRIMARY KEY, event_id TEXT NOT NULL, firms TEXT NOT NULL, price INTEGER NOT NULL
);
"""


@contextmanager
def opened() -> Generator[sqlite3.Connection]:
    """The file, with its tables, in a transaction of its own."""
    file = os.environ.get("QUORUM_DB") or "quorum.sqlite"
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # waits for other writers
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def once(part: str, do: Callable[[sqlite3.Connection], Any]) -> Any:
    """Do a part of this activity exactly once under its key; gives what came of it."""
    key = idempotency_key() + part
    with opened() as db:
        done = db.execute("SELECT result FROM acts WHERE key = ?", (key,)).fetchone()
        if done is not None:
            return json.loads(done[0])
        result = do(db)
        name = activity.info().activity_type
        row = (key, name, json.dumps(result))
        db.execute("INSERT INTO acts (key, activity, result) VALUES (?, ?, ?)", row)
    return result


@activity.defn(name="firms.reserve")
def reserve(event_id: str, firm: str, size: str) -> dict[str, Any]:
    """Reserve a generator: the firm holds one at once, and confirms it when it finds the time.

    Cancelled while it waits, it leaves a generator held: that is what `release` is for.
    """
    known = FIRMS[firm]
    if size not in known.sizes:
        message = f"{firm} has no {size} generator left"
        raise ApplicationError(message, type="BookedOut", non_retryable=True)

    def hold(db: sqlite3.Connection) -> int:
        row = (event_id, firm, "held")
        return db.execute(
            "INSERT INTO reservations (event_id, firm, state) VALUES (?, ?, ?) RETURNING number",
            row,
        ).fetchone()[0]

    number = once("#hold", hold)
    end = time.monotonic() + known.seconds
    while time.monotonic() < end:
        heartbeat()
        time.sleep(0.05)

    def confirm(db: sqlite3.Connection) -> dict[str, Any]:
        db.execute("UPDATE reservations SET state = 'confirmed' WHERE number = ?", (number,))
        return {"firm": firm, "reservation": number, "price": known.price}

    return once("#confirm", confirm)


@activity.defn(name="firms.release")
def release(event_id: str, firm: str) -> dict[str, int]:
    """Give back what a firm keeps for an event; gives how many generators that were."""

    def do(db: sqlite3.Connection) -> dict[str, int]:
        released = db.execute(
            "UPDATE reservations SET state = 'released'"
            " WHERE event_id = ? AND firm = ? AND state <> 'released'",
            (event_id, firm),
        ).rowcount
        return {"released": released}

    return once("", do)


@activity.defn(name="contracts.sign")
def sign(event_id: str, firms: list[str], price: int, budget: int) -> dict[str, int]:
    """Sign a contract with the firms, if there is the money for it."""
    if price > budget:
        message = f"{price} euros are over the budget of {budget}"
        raise ApplicationError(message, type="OverBudget", non_retryable=True)

    def do(db: sqlite3.Connection) -> dict[str, int]:
        row = (event_id, ", ".join(firms), price)
        db.execute("INSERT INTO contracts (event_id, firms, price) VALUES (?, ?, ?)", row)
        return {"price": price}

    return once("", do)


def main() -> None:
    """Print all tables."""
    with opened() as db:
        for table in ("acts", "reservations", "contracts"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
