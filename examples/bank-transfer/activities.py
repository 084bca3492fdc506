"""What the steps of workflow.yaml do: postings in the bank's books, each of them exactly once.

Temporal repeats an activity whose worker died or whose answer was lost, with the same
`idempotency_key()`. It stands beside the posting, in a column where each key is there once: a
repetition finds its posting and gives the recorded answer.

`bank.reverse` is the undoing of all three. An undoing has the key of the act that it undoes, with
`!undo` behind it: so it knows its posting, also where no answer ever came.

BANK_DB names the SQLite file of the books (bank-transfer.sqlite). BANK_DELAY makes each act take
that many seconds, half of them before it and half of them after: time to kill a worker.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from typing import Annotated

import bank
from pydantic import Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

Cents = Annotated[int, Field(gt=0)]


def post(act: Callable[[sqlite3.Connection, str], int | None]) -> dict[str, int | None]:
    """Do something in the books under the key of this activity; gives the number of the posting."""
    half = float(os.environ.get("BANK_DELAY") or 0) / 2
    time.sleep(half)
    try:
        with bank.opened() as db:
            number = act(db, idempotency_key())
    except bank.Refused as refused:
        # Another attempt would not mend it.
        raise ApplicationError(str(refused), type=refused.kind, non_retryable=True) from None
    time.sleep(half)
    return {"posting": number}


@activity.defn(name="bank.debit")
def debit(transfer: str, account: str, cents: Cents) -> dict[str, int | None]:
    """Take money from an account: it is in transit then. Gives the number of the posting."""
    sides = {"giver": account, "to": bank.TRANSIT}
    return post(lambda db, key: bank.move(db, key, transfer, "debit", cents, **sides))


@activity.defn(name="bank.charge_fee")
def charge_fee(transfer: str, account: str, cents: Cents) -> dict[str, int | None]:
    """Take the bank's fee from an account. Gives the number of the posting."""
    sides = {"giver": account, "to": bank.FEES}
    return post(lambda db, key: bank.move(db, key, transfer, "fee", cents, **sides))


@activity.defn(name="bank.credit")
def credit(transfer: str, account: str, cents: Cents) -> dict[str, int | None]:
    """Give an account the money that is in transit. Gives the number of the posting."""
    sides = {"giver": bank.TRANSIT, "to": account}
    return post(lambda db, key: bank.move(db, key, transfer, "credit", cents, **sides))


@activity.defn(name="bank.reverse")
def reverse() -> dict[str, int | None]:
    """Reverse the posting of the step that this one undoes. Gives the number of the reversal."""
    return post(lambda db, key: bank.reverse(db, key, key.removesuffix("!undo")))
