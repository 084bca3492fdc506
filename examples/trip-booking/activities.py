"""What the steps of workflow.yaml do: the books of a travel agency, in one SQLite file.

    python examples/trip-booking/activities.py

prints what is in it. TRIP_DB names the file; default: trip-booking.sqlite in the working directory.
TRIP_DELAY makes each act take that many seconds, half of them before it and half of them after:
time to kill a worker.

Each act is one transaction together with its idempotency key: when Temporal repeats an activity
whose answer was lost, `once` finds the key and gives the recorded answer, and nothing is booked.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

STOCK = (
    # What there is, where, for how many cents, and how much of it.
    ("flight", "lisbon", 180_00, 100),
    ("hotel", "lisbon", 420_00, 100),
    ("car", "lisbon", 95_00, 100),
    ("flight", "venice", 210_00, 100),
    ("hotel", "venice", 650_00, 100),
    ("car", "venice", 120_00, 0),
)
SECONDS = {"flight": 0.3, "hotel": 0.6, "car": 0.1}
DECLINED = "4000-0000-0000-0002"
DOWN = {"down.example": 4.0}
"""For how many seconds a mail server is down, from the first mail to it on."""

SCHEMA = """
CREATE TABLE acts (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, activity TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE stock (
    kind TEXT NOT NULL, city TEXT NOT NULL, cents INTEGER NOT NULL,
    available INTEGER NOT NULL CHECK (available >= 0), PRIMARY KEY (kind, city)
);
CREATE TABLE bookings (
    number INTEGER PRIMARY KEY, trip TEXT NOT NULL, kind TEXT NOT NULL, city TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE TABLE payments (
    number INTEGER PRIMARY KEY, trip TEXT NOT NULL, cents INTEGER NOT NULL, state TEXT NOT NULL
);
CREATE TABLE tickets (
    number INTEGER PRIMARY KEY, trip TEXT NOT NULL, traveller TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE miles (number INTEGER PRIMARY KEY, trip TEXT NOT NULL, traveller TEXT NOT NULL);
CREATE TABLE mails (number INTEGER PRIMARY KEY, trip TEXT NOT NULL, "to" TEXT NOT NULL);
CREATE TABLE outages (host TEXT PRIMARY KEY, until REAL NOT NULL);
"""


@contextmanager
def opened() -> Generator[sqlite3.Connection]:
    """The file, with its tables, in a transaction of its own."""
    file = os.environ.get("TRIP_DB") or "trip-booking.sqlite"
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # waits for other writers
        if db.execute("PRAGMA user_version").fetchone() == (0,):
            for statement in SCHEMA.split(";\n"):
                db.execute(statement)
            db.executemany("INSERT INTO stock VALUES (?, ?, ?, ?)", STOCK)
            db.execute("PRAGMA user_version = 1")
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def once(do: Callable[[sqlite3.Connection], Any]) -> Any:
    """Do what this activity does exactly once under its key; gives what came of it."""
    half = float(os.environ.get("TRIP_DELAY") or 0) / 2
    key, name = idempotency_key(), activity.info().activity_type
    time.sleep(half)
    with opened() as db:
        done = db.execute("SELECT result FROM acts WHERE key = ?", (key,)).fetchone()
        if done is not None:
            result = json.loads(done[0])
        else:
            result = do(db)
            _record(db, key, name, result)
    time.sleep(half)
    return result


def _record(db: sqlite3.Connection, key: str, name: str, result: Any) -> None:
    row = (key, name, json.dumps(result))
    db.execute("INSERT INTO acts (key, activity, result) VALUES (?, ?, ?)", row)


def undo(do: Callable[[sqlite3.Connection], int]) -> dict[str, int]:
    """Undo, once; `do` says how much it undid.

    Where that is nothing, the act's request may still be on its way here, from a worker that was
    given up and lives. Its key is taken: the request will find it and do nothing.
    """

    def undo_or_forestall(db: sqlite3.Connection) -> dict[str, int]:
        undone = do(db)
        key = idempotency_key().removesuffix("!undo")
        if not db.execute("SELECT 1 FROM acts WHERE key = ?", (key,)).fetchone():
            _record(db, key, "forestalled", None)
        return {"undone": undone}

    return once(undo_or_forestall)


def refusal(kind: str, message: str) -> ApplicationError:
    """An error that another attempt would not mend; `kind` is the type that `catch` sees."""
    return ApplicationError(message, type=kind, non_retryable=True)


# --- before the point of no return: acts that can be undone


def book(kind: str, trip: str, city: str) -> dict[str, int]:
    """Book one thing; gives the number of the booking, and the price."""
    time.sleep(SECONDS[kind])

    def do(db: sqlite3.Connection) -> dict[str, int]:
        place = (kind, city)
        query = "SELECT cents, available FROM stock WHERE kind = ? AND city = ?"
        cents, available = db.execute(query, place).fetchone() or (0, 0)
        if not available:
            raise refusal("SoldOut", f"there is no {kind} left in {city}")
        taken = "UPDATE stock SET available = available - 1 WHERE kind = ? AND city = ?"
        db.execute(taken, place)
        insert = "INSERT INTO bookings (trip, kind, city, state) VALUES (?, ?, ?, 'booked')"
        number = db.execute(insert, (trip, kind, city)).lastrowid or 0
        return {"number": number, "cents": cents}

    return once(do)


def cancel(kind: str, trip: str, number: int | None) -> dict[str, int]:
    """Cancel a booking by its number, or what a trip has where the number is not known."""

    def do(db: sqlite3.Connection) -> int:
        cancelled = db.execute(
            "UPDATE bookings SET state = 'cancelled' WHERE state = 'booked' AND kind = ?"
            " AND trip = ? AND number = coalesce(?, number) RETURNING city",
            (kind, trip, number),
        ).fetchall()
        put_back = "UPDATE stock SET available = available + 1 WHERE kind = ? AND city = ?"
        db.executemany(put_back, [(kind, city) for (city,) in cancelled])
        return len(cancelled)

    return undo(do)


@activity.defn(name="flights.book")
def book_flight(trip: str, city: str) -> dict[str, int]:
    """Book a seat; gives the number of the booking, and the price."""
    return book("flight", trip, city)


@activity.defn(name="flights.cancel")
def cancel_flight(trip: str, number: int | None) -> dict[str, int]:
    """Cancel the seat of a trip; gives how many were `undone`."""
    return cancel("flight", trip, number)


@activity.defn(name="hotels.book")
def book_hotel(trip: str, city: str) -> dict[str, int]:
    """Book a room; gives the number of the booking, and the price."""
    return book("hotel", trip, city)


@activity.defn(name="hotels.cancel")
def cancel_hotel(trip: str, number: int | None) -> dict[str, int]:
    """Cancel the room of a trip; gives how many were `undone`."""
    return cancel("hotel", trip, number)


@activity.defn(name="cars.book")
def book_car(trip: str, city: str) -> dict[str, int]:
    """Book a car; gives the number of the booking, and the price."""
    return book("car", trip, city)


@activity.defn(name="cars.cancel")
def cancel_car(trip: str, number: int | None) -> dict[str, int]:
    """Cancel the car of a trip; gives how many were `undone`."""
    return cancel("car", trip, number)


@activity.defn(name="cards.charge")
def charge(trip: str, card: str, cents: int) -> dict[str, int]:
    """Charge a card for a trip; gives the number of the payment."""
    if card == DECLINED:
        raise refusal("CardDeclined", f"the card that ends in {card[-4:]} was declined")

    def do(db: sqlite3.Connection) -> dict[str, int]:
        insert = "INSERT INTO payments (trip, cents, state) VALUES (?, ?, 'charged')"
        return {"payment": db.execute(insert, (trip, cents)).lastrowid or 0}

    return once(do)


@activity.defn(name="cards.refund")
def refund(trip: str) -> dict[str, int]:
    """Pay back what was charged for a trip; gives how many payments were `undone`."""
    update = "UPDATE payments SET state = 'refunded' WHERE trip = ? AND state = 'charged'"
    return undo(lambda db: db.execute(update, (trip,)).rowcount)


# --- the point of no return


@activity.defn(name="tickets.issue")
def issue(trip: str, traveller: str) -> dict[str, int]:
    """Issue the tickets of a trip, in the name of a person; gives their number."""
    if not traveller.replace(" ", "").isalpha():
        raise refusal("BadName", f"{traveller} is no name in a passport")

    def do(db: sqlite3.Connection) -> dict[str, int]:
        insert = "INSERT INTO tickets (trip, traveller, state) VALUES (?, ?, 'issued')"
        return {"ticket": db.execute(insert, (trip, traveller)).lastrowid or 0}

    return once(do)


@activity.defn(name="tickets.void")
def void(trip: str) -> dict[str, int]:
    """Make tickets void of which nobody knows whether they were issued."""
    update = "UPDATE tickets SET state = 'void' WHERE trip = ? AND state = 'issued'"
    return undo(lambda db: db.execute(update, (trip,)).rowcount)


# --- after it: acts that are tried until they succeed


@activity.defn(name="documents.send")
def send(trip: str, to: str) -> None:
    """Mail the documents of a trip, if the mail server is up."""
    host = to.rpartition("@")[2]
    now = time.time()
    with opened() as db:
        row = (host, now + DOWN.get(host, 0))
        db.execute("INSERT INTO outages VALUES (?, ?) ON CONFLICT DO NOTHING", row)
        (until,) = db.execute("SELECT until FROM outages WHERE host = ?", (host,)).fetchone()
    if now < until:
        raise ConnectionError(f"the mail server of {host} does not answer")
    insert = 'INSERT INTO mails (trip, "to") VALUES (?, ?)'
    once(lambda db: db.execute(insert, (trip, to)).lastrowid)


@activity.defn(name="miles.credit")
def credit(trip: str, traveller: str) -> None:
    """Credit a traveller with the miles of a trip."""
    insert = "INSERT INTO miles (trip, traveller) VALUES (?, ?)"
    once(lambda db: db.execute(insert, (trip, traveller)).lastrowid)


def main() -> None:
    """Print all tables but those of the outside world."""
    with opened() as db:
        for table in ("acts", "bookings", "payments", "tickets", "miles", "mails"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
