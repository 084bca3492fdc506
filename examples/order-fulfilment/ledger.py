"""The shop's books: one SQLite file, and what an auditor reads in it.

    python ledger.py [FILE]

prints the journal, the balances and every act in order, says whether the books balance, and exits
with 1 if they do not (with 2 if there is no such file). FILE is by default the environment's
ORDER_DB, else order-fulfilment.sqlite in the working directory.

Two rules hold in the database itself, whoever writes to it:

* An act has an idempotency key, and a key is there once. The act, its result and its bookings are
  one transaction, so a process that is killed has either done all of it or nothing.
* An entry of the journal is two or more postings that sum to zero, and belongs to an act. `entries`
  refers to `seals` by a key that is checked at the commit, and a seal is refused while the postings
  do not balance: such an entry cannot be committed. Nothing written is ever changed or deleted.

Money is whole cents. A posting is positive for a debit and negative for a credit.
"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

__all__ = ["act", "cents", "database", "money", "opened", "post", "recorded", "report"]

SCHEMA = """
CREATE TABLE acts (
    number   INTEGER PRIMARY KEY,
    key      TEXT NOT NULL UNIQUE,           -- the idempotency key
    activity TEXT NOT NULL,
    order_id TEXT NOT NULL,
    at       TEXT NOT NULL,                  -- UTC
    did      TEXT NOT NULL,
    result   TEXT NOT NULL                   -- JSON; the answer to every repetition
);
CREATE TABLE accounts (name TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE entries (
    number   INTEGER PRIMARY KEY,
    act      TEXT NOT NULL REFERENCES acts (key) DEFERRABLE INITIALLY DEFERRED,
    at       TEXT NOT NULL,
    order_id TEXT NOT NULL,
    text     TEXT NOT NULL,
    FOREIGN KEY (number) REFERENCES seals (entry) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE postings (
    entry   INTEGER NOT NULL REFERENCES entries (number),
    account TEXT NOT NULL REFERENCES accounts (name),
    cents   INTEGER NOT NULL CHECK (typeof(cents) = 'integer' AND cents <> 0)
);
CREATE TABLE seals (entry INTEGER PRIMARY KEY REFERENCES entries (number));
CREATE TRIGGER seals_only_what_balances BEFORE INSERT ON seals
    WHEN (SELECT count(*) < 2 OR sum(cents) <> 0 FROM postings WHERE entry = NEW.entry)
    BEGIN SELECT raise(ABORT, 'the postings of this entry do not sum to zero'); END;
CREATE TRIGGER sealed_entries_stay BEFORE INSERT ON postings
    WHEN EXISTS (SELECT 1 FROM seals WHERE entry = NEW.entry)
    BEGIN SELECT raise(ABORT, 'this entry is closed'); END;

CREATE TABLE stock (sku TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0));
CREATE TABLE reservations (
    order_id TEXT NOT NULL,
    sku      TEXT NOT NULL REFERENCES stock (sku),
    quantity INTEGER NOT NULL CHECK (quantity > 0)
);
CREATE TABLE shipments (                     -- as the shop knows them; the carrier has its own list
    tracking  TEXT PRIMARY KEY,
    order_id  TEXT NOT NULL,
    sku       TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE outbox (
    number  INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    "to"    TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE TABLE carrier_shipments (             -- the carrier's own
    number    INTEGER PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,          -- the Idempotency-Key of the request
    order_id  TEXT NOT NULL,
    sku       TEXT NOT NULL,
    quantity  INTEGER NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
);
""" + "".join(
    f"""
CREATE TRIGGER no_{verb.lower()}_of_{table} BEFORE {verb} ON {table}
    BEGIN SELECT raise(ABORT, '{table} are never changed'); END;
"""
    for table in ("acts", "entries", "postings", "seals")
    for verb in ("UPDATE", "DELETE")
)

ACCOUNTS = {
    "card clearing": "asset",
    "carrier payable": "liability",
    "freight": "expense",
    "sales": "revenue",
}
STOCK = {"book": 1000, "fragile-vase": 1000, "lamp": 1000, "mug": 1000}


def database() -> Path:
    """The file of the books: ORDER_DB, else `order-fulfilment.sqlite` in the working directory."""
    return Path(os.environ.get("ORDER_DB") or "order-fulfilment.sqlite")


@contextmanager
def opened(file: Path | None = None, *, create: bool = True) -> Generator[sqlite3.Connection]:
    """A connection to the books, closed at the end; statements outside a transaction commit.

    Args:
        file: The file; default: `database()`.
        create: Whether to make the books in a file that has none.

    Raises:
        sqlite3.DatabaseError: The file is no database, or has no books and `create` is false.
    """
    db = sqlite3.connect(file or database(), timeout=30, isolation_level=None)
    with closing(db):
        db.execute("PRAGMA foreign_keys = ON")
        if db.execute("PRAGMA user_version").fetchone() != (1,):
            if not create:
                raise sqlite3.DatabaseError("there are no books in it")
            _create(db)
        yield db


def _create(db: sqlite3.Connection) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            # Changing the mode asks for the whole file and does not wait for it.
            db.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    with transaction(db):
        if db.execute("PRAGMA user_version").fetchone() == (1,):
            return  # another process was quicker
        statement = ""
        for line in SCHEMA.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                db.execute(statement)
                statement = ""
        db.executemany("INSERT INTO accounts VALUES (?, ?)", ACCOUNTS.items())
        db.executemany("INSERT INTO stock VALUES (?, ?)", STOCK.items())
        db.execute("PRAGMA user_version = 1")


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """All or nothing. Waits for other writers first, so that what is read in it stays true."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def now() -> str:
    """The time as the books write it: UTC, to the millisecond."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def act(
    key: str, activity: str, order_id: str, do: Callable[[sqlite3.Connection], tuple[str, Any]]
) -> Any:
    """Do something exactly once.

    Args:
        key: The idempotency key of the act.
        activity: Its name, for the auditor.
        order_id: The order it belongs to.
        do: Does it, with the connection it is given and inside its transaction; returns what it
            did, in words, and the result, which JSON can hold.

    Returns:
        The result: `do`'s, or, for a key that is there already, the one that was recorded. Then
        `do` is not called.
    """
    with opened() as db, transaction(db):
        if (row := _recorded(db, key)) is not None:
            return row[0]
        did, result = do(db)
        db.execute(
            "INSERT INTO acts (key, activity, order_id, at, did, result) VALUES (?, ?, ?, ?, ?, ?)",
            (key, activity, order_id, now(), did, json.dumps(result)),
        )
        return result


def recorded(key: str) -> tuple[Any] | None:
    """The recorded result of an act, in a tuple; None if it has not been done."""
    with opened() as db:
        return _recorded(db, key)


def _recorded(db: sqlite3.Connection, key: str) -> tuple[Any] | None:
    row = db.execute("SELECT result FROM acts WHERE key = ?", (key,)).fetchone()
    return (json.loads(row[0]),) if row else None


def post(
    db: sqlite3.Connection, key: str, order_id: str, text: str, postings: dict[str, int]
) -> int:
    """Write one entry of the journal, and answer its number.

    Args:
        db: The connection, in the transaction of the act that the entry belongs to.
        key: The idempotency key of that act. There is no booking without an act.
        order_id: The order.
        text: What happened.
        postings: Cents by account, positive for a debit, negative for a credit; they sum to zero.

    Raises:
        sqlite3.IntegrityError: They do not, or there is no such account.
    """
    entry = db.execute(
        "INSERT INTO entries (act, at, order_id, text) VALUES (?, ?, ?, ?)",
        (key, now(), order_id, text),
    ).lastrowid
    assert entry is not None
    db.executemany(
        "INSERT INTO postings VALUES (?, ?, ?)",
        [(entry, account, amount) for account, amount in postings.items()],
    )
    db.execute("INSERT INTO seals VALUES (?)", (entry,))
    return entry


def cents(amount: float | Decimal) -> int:
    """Whole cents of an amount: 59.9 is 5990, exactly.

    Raises:
        ValueError: The amount has fractions of a cent.
    """
    # By way of its text: the float 59.9 itself is 59.89999999999999857...
    exact = Decimal(str(amount)) * 100
    if exact != exact.to_integral_value():
        raise ValueError(f"{amount} has fractions of a cent")
    return int(exact)


def money(amount: int) -> str:
    """Cents as people write them: 5990 is 59.90."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d}"


# --- for the auditor


def report(file: Path) -> tuple[str, bool]:
    """The books as text, and whether they balance."""
    with opened(file, create=False) as db:
        db.execute("BEGIN")  # all tables as of one moment
        lines = [
            "JOURNAL",
            *_journal(db),
            "",
            "BALANCES",
            *_balances(db),
            "",
            "ACTS, IN ORDER",
            *_acts(db),
            "",
        ]
        wrong = db.execute(
            "SELECT number, coalesce(sum(cents), 0) FROM entries"
            " LEFT JOIN postings ON entry = number GROUP BY number"
            " HAVING count(cents) < 2 OR sum(cents) <> 0 ORDER BY number"
        ).fetchall()
    if wrong:
        lines += [f"Entry {number} is out of balance by {money(sum_)}." for number, sum_ in wrong]
        lines.append("THE BOOKS DO NOT BALANCE.")
    else:
        lines.append("The books balance.")
    return "\n".join(lines), not wrong


def _journal(db: sqlite3.Connection) -> list[str]:
    rows: list[Sequence[str]] = []
    last = None
    for number, act_number, at, order_id, text, account, amount in db.execute(
        "SELECT entries.number, acts.number, entries.at, entries.order_id, text, account, cents"
        " FROM entries LEFT JOIN acts ON key = act LEFT JOIN postings ON entry = entries.number"
        " ORDER BY entries.number, postings.rowid"
    ):
        entry = (str(number), str(act_number), at, order_id, text)
        debit = money(amount) if (amount or 0) > 0 else ""
        credit = money(-amount) if (amount or 0) < 0 else ""
        rows.append((*(entry if number != last else [""] * 5), account or "", debit, credit))
        last = number
    heads = ("no", "act", "time (UTC)", "order", "text", "account", "debit", "credit")
    return _table(heads, rows, "<<<<<<>>")


def _balances(db: sqlite3.Connection) -> list[str]:
    rows: list[Sequence[str]] = []
    total = [0, 0]
    for name, kind, debit, credit in db.execute(
        "SELECT name, kind, coalesce(sum(max(cents, 0)), 0), coalesce(sum(max(-cents, 0)), 0)"
        " FROM accounts LEFT JOIN postings ON account = name GROUP BY name ORDER BY name"
    ):
        total = [total[0] + debit, total[1] + credit]
        rows.append((name, kind, money(debit), money(credit), money(debit - credit)))
    rows.append(("", "total", money(total[0]), money(total[1]), money(total[0] - total[1])))
    return _table(("account", "kind", "debit", "credit", "balance"), rows, "<<>>>")


def _acts(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(
        "SELECT number, at, order_id, activity, did, key FROM acts ORDER BY number"
    ).fetchall()
    texts = [[str(value) for value in row] for row in rows]
    return _table(("no", "time (UTC)", "order", "activity", "did", "key"), texts, "<<<<<<")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> list[str]:
    if not rows:
        return ["  (nothing)"]
    widths = [max(len(each) for each in column) for column in zip(heads, *rows, strict=True)]
    lines = [heads, ["-" * width for width in widths], *rows]
    return [
        "  " + "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()
        for cells in (zip(line, align, widths, strict=True) for line in lines)
    ]


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit code."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print("usage: python ledger.py [FILE]", file=sys.stderr)
        return 0 if arguments[0] in ("-h", "--help") else 2
    file = Path(arguments[0]) if arguments else database()
    if not file.is_file():
        print(f"there are no books yet: {file} does not exist", file=sys.stderr)
        return 2
    try:
        text, balanced = report(file)
    except sqlite3.DatabaseError as error:
        print(f"{file} cannot be read as books: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0 if balanced else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
