"""The bank's books: one SQLite file, kept by double entry, and an audit of it.

    python bank.py [FILE]

prints the journal, the balances and the audit, and exits with 1 if something is wrong (with 2 if
there is no such file). FILE is by default the environment's BANK_DB, else bank-transfer.sqlite in
the working directory.

Three rules hold in the database itself, whoever writes to it:

* A posting has two legs that sum to zero: money moves, and is neither made nor lost.
* A posting has an idempotency key, and a key is there once. A posting is reversed once.
* Nothing written is ever changed or deleted: what was wrong is reversed by another posting.

Money is whole cents. A leg is positive where an account gets it, negative where it gives it.
"""

import os
import sqlite3
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["FEES", "TRANSIT", "Refused", "database", "move", "opened", "report", "reverse"]

CAPITAL, FEES, TRANSIT = "capital", "fees", "transit"
CUSTOMERS = {"alice": 1000_00, "bob": 500_00, "carol": 20_00, "dave": 300_00}
FROZEN = ("dave",)

SCHEMA = """
CREATE TABLE accounts (
    name   TEXT PRIMARY KEY,
    owner  TEXT NOT NULL CHECK (owner IN ('bank', 'customer')),
    frozen INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE legs (
    posting INTEGER NOT NULL REFERENCES postings (number) DEFERRABLE INITIALLY DEFERRED,
    account TEXT NOT NULL REFERENCES accounts (name),
    cents   INTEGER NOT NULL CHECK (typeof(cents) = 'integer' AND cents <> 0),
    PRIMARY KEY (posting, account)
);
CREATE INDEX legs_of_account ON legs (account);
CREATE TABLE postings (                      -- written after its legs, and closes them
    number   INTEGER PRIMARY KEY,
    key      TEXT NOT NULL UNIQUE,           -- the idempotency key
    transfer TEXT NOT NULL,
    what     TEXT NOT NULL,
    reverses INTEGER UNIQUE REFERENCES postings (number),
    at       TEXT NOT NULL                   -- UTC
);
CREATE TABLE voids (key TEXT PRIMARY KEY);   -- of acts that were undone before they came
CREATE TRIGGER two_legs BEFORE INSERT ON postings
    WHEN (SELECT count(*) <> 2 OR sum(cents) <> 0 FROM legs WHERE posting = NEW.number)
    BEGIN SELECT raise(ABORT, 'a posting has two legs that sum to zero'); END;
CREATE TRIGGER no_third_leg BEFORE INSERT ON legs
    WHEN EXISTS (SELECT 1 FROM postings WHERE number = NEW.posting)
    BEGIN SELECT raise(ABORT, 'this posting is closed'); END;
""" + "".join(
    f"""
CREATE TRIGGER no_{verb.lower()}_of_{table} BEFORE {verb} ON {table}
    BEGIN SELECT raise(ABORT, '{table} are never changed'); END;
"""
    for table in ("legs", "postings", "voids")
    for verb in ("UPDATE", "DELETE")
)


class Refused(Exception):
    """What the bank does not do, however often it is asked.

    Args:
        kind: Why, in one word.
        message: Why, in a sentence.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def database() -> Path:
    """The file of the books: BANK_DB, else `bank-transfer.sqlite` in the working directory."""
    return Path(os.environ.get("BANK_DB") or "bank-transfer.sqlite")


@contextmanager
def opened(file: Path | None = None, *, create: bool = True) -> Generator[sqlite3.Connection]:
    """The books, in a transaction: all that is done with them, or nothing.

    Args:
        file: The file; default: `database()`.
        create: Whether to open books in a file that has none.

    Raises:
        sqlite3.DatabaseError: The file is no database, or has no books and `create` is false.
    """
    with closing(sqlite3.connect(file or database(), timeout=30, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE")  # waits for other writers, so that what is read stays true
        if db.execute("PRAGMA user_version").fetchone() != (1,):
            if not create:
                raise sqlite3.DatabaseError("there are no books in it")
            _open_books(db)
            db.execute("COMMIT")
            db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def _open_books(db: sqlite3.Connection) -> None:
    statement = ""
    for line in SCHEMA.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    for name in (CAPITAL, FEES, TRANSIT):
        db.execute("INSERT INTO accounts VALUES (?, 'bank', 0)", (name,))
    for name, cents in CUSTOMERS.items():
        db.execute("INSERT INTO accounts VALUES (?, 'customer', ?)", (name, name in FROZEN))
        _post(db, f"opening/{name}", "opening", "opening", {CAPITAL: -cents, name: cents})
    db.execute("PRAGMA user_version = 1")


def move(
    db: sqlite3.Connection, key: str, transfer: str, what: str, cents: int, *, giver: str, to: str
) -> int:
    """Move money from an account to another, once.

    Args:
        db: The books, in a transaction.
        key: The idempotency key of the act.
        transfer: The transfer that it belongs to.
        what: What it is: debit, fee, credit.
        cents: How much, over 0.
        giver: The account that it is taken from.
        to: The account that gets it.

    Returns:
        The number of the posting; for a key that is there already, that of its posting.

    Raises:
        Refused: An account is not there, is frozen, or has not so much; or the act was undone
            before it came.
    """
    if (posted := _posted(db, key)) is not None:
        return posted
    if db.execute("SELECT 1 FROM voids WHERE key = ?", (key,)).fetchone():
        raise Refused("Voided", "this was undone before it came")
    for name in (giver, to):
        row = db.execute("SELECT frozen FROM accounts WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise Refused("UnknownAccount", f"there is no account {name}")
        if row[0]:
            raise Refused("AccountFrozen", f"the account {name} is frozen")
    has = _balance(db, giver)
    if has < cents:
        raise Refused("InsufficientFunds", f"{giver} has {money(has)}, not {money(cents)}")
    return _post(db, key, transfer, what, {giver: -cents, to: cents})


def reverse(db: sqlite3.Connection, key: str, of: str) -> int | None:
    """Reverse a posting by another with the same legs the other way round, once.

    Neither a frozen account nor an empty one is in its way. Where there is nothing to reverse,
    the act is voided: its request may still be on its way here.

    Args:
        db: The books, in a transaction.
        key: The idempotency key of the reversal.
        of: That of the posting that it reverses.

    Returns:
        The number of the reversal; None if there was nothing to reverse.
    """
    if (posted := _posted(db, key)) is not None:
        return posted
    original = db.execute("SELECT number, transfer, what FROM postings WHERE key = ?", (of,))
    if (row := original.fetchone()) is None:
        db.execute("INSERT INTO voids VALUES (?) ON CONFLICT DO NOTHING", (of,))
        return None
    number, transfer, what = row
    legs = dict(
        db.execute("SELECT account, -cents FROM legs WHERE posting = ? ORDER BY rowid", (number,))
    )
    return _post(db, key, transfer, f"undo {what}", legs, number)


def _posted(db: sqlite3.Connection, key: str) -> int | None:
    row = db.execute("SELECT number FROM postings WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def _balance(db: sqlite3.Connection, account: str) -> int:
    query = "SELECT coalesce(sum(cents), 0) FROM legs WHERE account = ?"
    return db.execute(query, (account,)).fetchone()[0]


def _post(
    db: sqlite3.Connection,
    key: str,
    transfer: str,
    what: str,
    legs: dict[str, int],
    reverses: int | None = None,
) -> int:
    (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM postings").fetchone()
    rows = [(number, account, cents) for account, cents in legs.items()]
    db.executemany("INSERT INTO legs VALUES (?, ?, ?)", rows)
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    row = (number, key, transfer, what, reverses, at)
    db.execute("INSERT INTO postings VALUES (?, ?, ?, ?, ?, ?)", row)
    return number


def money(cents: int) -> str:
    """Cents as people write them: 5990 is 59.90."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


# --- for the auditor


def report(file: Path) -> tuple[str, bool]:
    """The books and their audit as text, and whether all is right."""
    with opened(file, create=False) as db:
        findings, wrong = _audit(db)
        parts = {"JOURNAL": _journal(db), "BALANCES": _balances(db), "AUDIT": findings}
    lines = [line for head, part in parts.items() for line in (head, *part, "")]
    lines += [*wrong, "THE BOOKS ARE WRONG." if wrong else "The books are right."]
    return "\n".join(lines), not wrong


def _journal(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(
        "SELECT number, at, transfer, what, giver.account, taker.account, taker.cents FROM postings"
        " JOIN legs AS giver ON giver.posting = number AND giver.cents < 0"
        " JOIN legs AS taker ON taker.posting = number AND taker.cents > 0 ORDER BY number"
    )
    texts = [[*map(str, row[:-1]), money(row[-1])] for row in rows]
    return _table(("no", "time (UTC)", "transfer", "what", "from", "to", "amount"), texts)


def _balances(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(
        "SELECT name, owner, frozen, coalesce(sum(cents), 0) FROM accounts"
        " LEFT JOIN legs ON account = name GROUP BY name ORDER BY owner DESC, name"
    ).fetchall()
    texts = [
        [name, owner + (", frozen" if frozen else ""), money(cents)]
        for name, owner, frozen, cents in rows
    ]
    total = money(sum(cents for *_, cents in rows))
    return _table(("account", "of", "balance"), [*texts, ["", "together", total]])


def _audit(db: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """What the auditor found, and what of it is wrong."""
    count, total = db.execute("SELECT count(DISTINCT posting), sum(cents) FROM legs").fetchone()
    wrong = [f"All legs together are {money(total)}."] if total else []
    wrong += [
        f"Posting {number} has not two legs that sum to zero."
        for (number,) in db.execute(
            "SELECT number FROM postings LEFT JOIN legs ON posting = number GROUP BY number"
            " HAVING count(cents) <> 2 OR sum(cents) <> 0"
        )
    ]
    wrong += [
        f"Posting {number} took from {account} what it had not."
        for number, account in db.execute(
            "SELECT number, account FROM (SELECT number, account, cents, reverses,"
            " sum(cents) OVER (PARTITION BY account ORDER BY number) AS balance"
            " FROM legs JOIN postings ON number = posting)"
            " JOIN accounts ON name = account WHERE owner = 'customer'"
            " AND cents < 0 AND reverses IS NULL AND balance < 0"
        )
    ]
    states = {"whole": 0, "undone": 0, "under way": 0}
    for transfer, state in _states(db):
        if state in states:
            states[state] += 1
        else:
            wrong.append(f"The transfer {transfer} is wrong: {state}.")
    text = ", ".join(f"{number} {state}" for state, number in states.items())
    return [f"  {count} postings, together {money(total)}", f"  transfers: {text}"], wrong


def _states(db: sqlite3.Connection) -> Generator[tuple[str, str]]:
    """The name of each transfer, and what became of it."""
    runs: dict[str, list[tuple[str, str, bool, int]]] = {}
    for key, *posting in db.execute(
        "SELECT one.key, one.transfer, one.what, undo.number IS NOT NULL, coalesce(cents, 0)"
        " FROM postings AS one LEFT JOIN postings AS undo ON undo.reverses = one.number"
        " LEFT JOIN legs ON posting = one.number AND account = ?"
        " WHERE one.reverses IS NULL AND one.what <> 'opening' ORDER BY one.number",
        (TRANSIT,),
    ):
        runs.setdefault(key.partition("/")[0], []).append(tuple(posting))
    for postings in runs.values():
        done = [what for _, what, _, _ in postings]
        left = {what for _, what, undone, _ in postings if not undone}
        transit = sum(cents for _, _, undone, cents in postings if not undone)
        state = "under way"
        if twice := sorted({what for what in done if done.count(what) > 1}):
            state = f"{' and '.join(twice)} more than once"
        elif not left:
            state = "undone"
        elif left == {"debit", "fee", "credit"}:
            state = "whole" if transit == 0 else f"{money(transit)} of it stayed in transit"
        yield postings[0][0], state


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under heads; the last is of amounts."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    sides = "<" * (len(heads) - 1) + ">"
    return [
        "  " + "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()
        for cells in (zip(line, sides, widths, strict=True) for line in (heads, *rows))
    ]


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit code."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print("usage: python bank.py [FILE]", file=sys.stderr)
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
