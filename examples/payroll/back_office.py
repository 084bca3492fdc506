"""Our account at the bank, the ledger, and the payslips: one SQLite file, and a look into it.

    python back_office.py [FILE]

prints all three and whether they agree, and exits with 1 if they do not (with 2 if there is no
such file). FILE is by default the environment's PAYROLL_DB, else payroll.sqlite in the working
directory.

Two rules hold in the database itself, whoever writes to it:

* An idempotency key is there once.
* An employee has one salary a month, unless the one before was recalled.

Money is whole cents.
"""

import os
import sqlite3
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

__all__ = ["Refused", "database", "opened", "pay", "payslip", "post", "report", "undo"]

ACCOUNT = 1_000_000_00
"""What is on our account in the beginning."""
CLOSED = "2024-12"
"""The last month whose books are closed."""

SCHEMA = """
CREATE TABLE transfers (
    number   INTEGER PRIMARY KEY,
    key      TEXT NOT NULL UNIQUE,   -- the idempotency key
    month    TEXT NOT NULL,
    employee TEXT NOT NULL,
    iban     TEXT NOT NULL,
    cents    INTEGER NOT NULL CHECK (cents > 0),
    undone   TEXT UNIQUE             -- the key of its recall
);
CREATE UNIQUE INDEX one_salary_a_month ON transfers (month, employee) WHERE undone IS NULL;
CREATE TABLE ledger (
    number INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE,
    month  TEXT NOT NULL,
    cents  INTEGER NOT NULL CHECK (cents > 0),
    undone TEXT UNIQUE
);
CREATE TABLE payslips (
    transfer INTEGER PRIMARY KEY REFERENCES transfers (number),
    state    TEXT NOT NULL CHECK (state IN ('sent', 'void', 'sent, then void')),
    gross    INTEGER,
    tax      INTEGER
);
CREATE TABLE voids (key TEXT PRIMARY KEY);   -- of acts that were undone before they came
"""


class Refused(Exception):
    """What is not done, however often it is asked.

    Args:
        kind: Why, in one word.
        message: Why, in a sentence.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def database() -> Path:
    """The file: PAYROLL_DB, else `payroll.sqlite` in the working directory."""
    return Path(os.environ.get("PAYROLL_DB") or "payroll.sqlite")


@contextmanager
def opened(file: Path | None = None, *, create: bool = True) -> Generator[sqlite3.Connection]:
    """The file, in a transaction: all that is done with it, or nothing.

    Args:
        file: The file; default: `database()`.
        create: Whether to begin anew in a file that is empty.

    Raises:
        sqlite3.DatabaseError: It is no database, or is empty and `create` is false.
    """
    with closing(sqlite3.connect(file or database(), timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")  # waits for other writers, so that what is read stays true
        if db.execute("PRAGMA user_version").fetchone() != (1,):
            if not create:
                raise sqlite3.DatabaseError("there are no books in it")
            for statement in SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute("PRAGMA user_version = 1")
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def pay(db: sqlite3.Connection, key: str, month: str, employee: str, iban: str, cents: int) -> int:
    """Transfer a salary, once.

    Args:
        db: The books, in a transaction.
        key: The idempotency key of the act.
        month: The month that it is for.
        employee: Whose it is.
        iban: Where it goes.
        cents: How much.

    Returns:
        The number of the transfer; for a key that is there already, that of its transfer.

    Raises:
        Refused: `WrongIban`, `AlreadyPaid` (in another act), `InsufficientFunds`, or `Voided`: the
            act was undone before it came.
    """
    if (number := _done(db, "transfers", key)) is not None:
        return number
    if not is_iban(iban):
        raise Refused("WrongIban", f"{iban} is no IBAN")
    paid = "SELECT number FROM transfers WHERE month = ? AND employee = ? AND undone IS NULL"
    if row := db.execute(paid, (month, employee)).fetchone():
        raise Refused("AlreadyPaid", f"{employee} was paid for {month} by transfer {row[0]}")
    if _account(db) < cents:
        raise Refused("InsufficientFunds", f"there are {money(_account(db))}, not {money(cents)}")
    row = (key, month, employee, iban, cents)
    made = db.execute(
        "INSERT INTO transfers (key, month, employee, iban, cents) VALUES (?, ?, ?, ?, ?)"
        " RETURNING number",
        row,
    )
    return made.fetchone()[0]


def post(db: sqlite3.Connection, key: str, month: str, cents: int) -> int:
    """Enter into the ledger what a month has cost, once; gives the number of the entry.

    Raises:
        Refused: `MonthClosed`, or `Voided`: the act was undone before it came.
    """
    if (number := _done(db, "ledger", key)) is not None:
        return number
    if month <= CLOSED:
        raise Refused("MonthClosed", f"the books of {month} are closed")
    entry = "INSERT INTO ledger (key, month, cents) VALUES (?, ?, ?) RETURNING number"
    return db.execute(entry, (key, month, cents)).fetchone()[0]


def undo(db: sqlite3.Connection, table: Literal["transfers", "ledger"], key: str) -> int | None:
    """Recall a transfer, or strike an entry, once; gives its number.

    Where there is nothing to undo, the act is voided: its request may still be on its way here.

    Args:
        db: The books, in a transaction.
        table: Where it is.
        key: The key of the undoing: that of the act with `!undo` behind it.

    Returns:
        The number of what was undone; None if there was nothing to undo.
    """
    act = key.removesuffix("!undo")
    db.execute(f"UPDATE {table} SET undone = ? WHERE key = ? AND undone IS NULL", (key, act))
    if row := db.execute(f"SELECT number FROM {table} WHERE key = ?", (act,)).fetchone():
        return row[0]
    db.execute("INSERT INTO voids VALUES (?) ON CONFLICT DO NOTHING", (act,))
    return None


def payslip(
    db: sqlite3.Connection,
    transfer: int,
    state: Literal["sent", "void"],
    gross: int | None = None,
    tax: int | None = None,
) -> str:
    """Send a payslip or declare it void, in whichever order they come; gives its state then."""
    row = db.execute("SELECT state FROM payslips WHERE transfer = ?", (transfer,)).fetchone()
    if row is None:
        db.execute("INSERT INTO payslips VALUES (?, ?, ?, ?)", (transfer, state, gross, tax))
    elif (row[0], state) == ("sent", "void"):
        db.execute("UPDATE payslips SET state = 'sent, then void' WHERE transfer = ?", (transfer,))
    return db.execute("SELECT state FROM payslips WHERE transfer = ?", (transfer,)).fetchone()[0]


def is_iban(text: str) -> bool:
    """Whether the check digits of an IBAN are right."""
    if not (15 <= len(text) <= 34 and text.isascii() and text.isalnum()):
        return False
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def money(cents: int) -> str:
    """Cents as people write them: 5990 is 59.90."""
    return f"{cents // 100}.{cents % 100:02d}"


def _done(db: sqlite3.Connection, table: str, key: str) -> int | None:
    """The number of what an act has done already."""
    if row := db.execute(f"SELECT number FROM {table} WHERE key = ?", (key,)).fetchone():
        return row[0]
    if db.execute("SELECT 1 FROM voids WHERE key = ?", (key,)).fetchone():
        raise Refused("Voided", "this was undone before it came")
    return None


def _account(db: sqlite3.Connection) -> int:
    spent = "SELECT coalesce(sum(cents), 0) FROM transfers WHERE undone IS NULL"
    return ACCOUNT - db.execute(spent).fetchone()[0]


# --- for those who look


def report(file: Path) -> tuple[str, bool]:
    """All of it as text, and whether the ledger agrees with the bank."""
    parts = {
        "TRANSFERS": (
            "SELECT number, month, employee, iban, printf('%.2f', cents / 100.0),"
            " iif(undone IS NULL, '', 'recalled') FROM transfers ORDER BY number"
        ),
        "PAYSLIPS": (
            "SELECT transfer, month, employee, state FROM payslips"
            " JOIN transfers ON number = transfer ORDER BY number"
        ),
        "LEDGER": (
            "SELECT number, month, printf('%.2f', cents / 100.0),"
            " iif(undone IS NULL, '', 'struck') FROM ledger ORDER BY number"
        ),
    }
    lines: list[str] = []
    with opened(file, create=False) as db:
        for head, query in parts.items():
            rows = ("  ".join(map(str, row)) for row in db.execute(query))
            lines += [head, *(f"  {row}".rstrip() for row in rows), ""]
        live = "SELECT month, sum(cents) FROM {} WHERE undone IS NULL GROUP BY month"
        paid, posted = (dict(db.execute(live.format(name))) for name in ("transfers", "ledger"))
        lines.append(f"ON THE ACCOUNT {money(_account(db))}")
    lines.append("The ledger agrees." if paid == posted else "THE LEDGER DOES NOT AGREE.")
    return "\n".join(lines), paid == posted


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit code."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print("usage: python back_office.py [FILE]", file=sys.stderr)
        return 0 if arguments[0] in ("-h", "--help") else 2
    file = Path(arguments[0]) if arguments else database()
    if not file.is_file():
        print(f"there are no books yet: {file} does not exist", file=sys.stderr)
        return 2
    try:
        text, right = report(file)
    except sqlite3.DatabaseError as error:
        print(f"{file} cannot be read as books: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
