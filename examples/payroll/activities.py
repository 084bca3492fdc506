"""What the steps of workflow.yaml do: at the bank, in the ledger and in the mail, each act once.

Temporal repeats an activity whose worker died or whose answer was lost, with the same
`idempotency_key()`. It stands beside each transfer and each entry, in a column where a key is
there once: a repetition finds what the first attempt did. An undoing has the key of the act that
it undoes, with `!undo` behind it: so it knows what to take back, also where no answer ever came.

A second run of the same month has other keys. There the bank has a rule of its own: one salary a
month for each employee, unless the one before was recalled.

PAYROLL_DB names the SQLite file (payroll.sqlite). PAYROLL_DELAY makes each act take that many
seconds, half of them before it and half of them after: time to kill a worker.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import back_office
from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

T = TypeVar("T")
Cents = Annotated[int, Field(gt=0)]


class Employee(BaseModel):
    """One whom we pay."""

    name: str
    iban: str
    gross: Cents


class Paid(BaseModel):
    """A transfer that was made."""

    transfer: int


def done(act: Callable[[sqlite3.Connection, str], T]) -> T:
    """Do something under the key of this activity; gives what came of it."""
    half = float(os.environ.get("PAYROLL_DELAY") or 0) / 2
    time.sleep(half)
    try:
        with back_office.opened() as db:
            result = act(db, idempotency_key())
    except back_office.Refused as refused:
        # Another attempt would not mend it.
        raise ApplicationError(str(refused), type=refused.kind, non_retryable=True) from None
    time.sleep(half)
    return result


@activity.defn(name="staff.load")
def load(name: str) -> list[Employee]:
    """The employees of one of the lists in the folder `staff`."""
    file = Path(__file__).parent / "staff" / f"{Path(name).name}.json"
    if not file.is_file():
        raise ApplicationError(f"there is no list {name}", type="NoStaff", non_retryable=True)
    return [Employee(**one) for one in json.loads(file.read_text("utf-8"))]


@activity.defn(name="salaries.pay")
def pay(month: str, employee: str, iban: str, cents: Cents) -> Paid:
    """Transfer a salary. Gives the number of the transfer."""
    number = done(lambda db, key: back_office.pay(db, key, month, employee, iban, cents))
    return Paid(transfer=number)


@activity.defn(name="salaries.recall")
def recall() -> int | None:
    """Recall the transfer of the step that this one undoes. Gives its number."""
    return done(lambda db, key: back_office.undo(db, "transfers", key))


@activity.defn(name="ledger.post")
def post(month: str, cents: Cents) -> int:
    """Enter what a month has cost. Gives the number of the entry."""
    return done(lambda db, key: back_office.post(db, key, month, cents))


@activity.defn(name="ledger.strike")
def strike() -> int | None:
    """Strike the entry of the step that this one undoes. Gives its number."""
    return done(lambda db, key: back_office.undo(db, "ledger", key))


@activity.defn(name="payslips.send")
def send(transfer: int, gross: Cents, tax: int) -> str:
    """Send the payslip of a transfer, unless it is void. Gives what became of it."""
    return done(lambda db, _: back_office.payslip(db, transfer, "sent", gross, tax))


@activity.defn(name="payslips.void")
def void(transfer: int) -> str:
    """Declare a payslip void: one that was sent is followed by a note, another is not sent."""
    return done(lambda db, _: back_office.payslip(db, transfer, "void"))
