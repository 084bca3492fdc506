"""What the steps of workflow.yaml do: plain Python functions, each of them done exactly once.

`idempotency_key()` is what makes that possible. Temporal repeats an activity whose worker died or
whose answer was lost; the key is the same every time, and `ledger.act` keeps it in one transaction
with the act itself, so a repetition finds the recorded answer and does nothing.

The functions show each form an activity may have: synchronous (runs in a thread), asynchronous,
and a method of an instance (`Payments`; the list `activities` at the end names those).

Settings, all from the environment: ORDER_DB is the SQLite file (order-fulfilment.sqlite),
CARRIER_URL a carrier to use instead of the one that is started here, and ORDER_DELAY makes each
act take that many seconds, half of them before and half of them after it: time to kill a worker.
"""

import asyncio
import functools
import os
import sqlite3
import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import carrier
import httpx
import ledger
from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

FREIGHT = 490  # cents a parcel

T = TypeVar("T")


class Item(BaseModel):
    """So many of one thing."""

    sku: str
    quantity: Annotated[int, Field(gt=0)] = 1


def refusal(kind: str, message: str) -> ApplicationError:
    """An error that another attempt would not mend; `kind` is the type that `catch` sees."""
    return ApplicationError(message, type=kind, non_retryable=True)


def delay() -> float:
    """Half of ORDER_DELAY, in seconds."""
    return float(os.environ.get("ORDER_DELAY") or 0) / 2


def act(name: str, order_id: str, do: Callable[[sqlite3.Connection], tuple[str, Any]]) -> Any:
    """`ledger.act` under this activity's key, slowed by ORDER_DELAY."""
    time.sleep(delay())
    result = ledger.act(idempotency_key(), name, order_id, do)
    time.sleep(delay())
    return result


async def in_thread(call: Callable[[], T]) -> T:
    """Run blocking code beside the event loop, and wait for it even when cancelled.

    A thread cannot be stopped. If the activity ended before its thread, the workflow would begin
    to undo what is still being done.
    """
    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


# --- inventory: synchronous functions


@activity.defn(name="inventory.reserve")
def reserve(order_id: str, items: list[Item]) -> dict[str, int]:
    """Take the items of an order from the stock; answers how many of each."""

    def do(db: sqlite3.Connection) -> tuple[str, Any]:
        reserved: dict[str, int] = {}
        for item in items:
            row = db.execute("SELECT available FROM stock WHERE sku = ?", (item.sku,)).fetchone()
            if row is None:
                raise refusal("UnknownSku", f"there is no {item.sku} in the catalogue")
            if row[0] < item.quantity:
                raise refusal(
                    "OutOfStock", f"{item.quantity} x {item.sku} are wanted, {row[0]} are left"
                )
            db.execute(
                "UPDATE stock SET available = available - ? WHERE sku = ?",
                (item.quantity, item.sku),
            )
            db.execute(
                "INSERT INTO reservations VALUES (?, ?, ?)", (order_id, item.sku, item.quantity)
            )
            reserved[item.sku] = reserved.get(item.sku, 0) + item.quantity
        return f"reserved {_listed(reserved)}", reserved

    return act("inventory.reserve", order_id, do)


@activity.defn(name="inventory.release")
def release(order_id: str) -> dict[str, int]:
    """Put back what is reserved for an order; answers how many of each."""

    def do(db: sqlite3.Connection) -> tuple[str, Any]:
        released: dict[str, int] = dict(
            db.execute(
                "SELECT sku, sum(quantity) FROM reservations WHERE order_id = ? GROUP BY sku",
                (order_id,),
            ).fetchall()
        )
        for sku, quantity in released.items():
            db.execute("UPDATE stock SET available = available + ? WHERE sku = ?", (quantity, sku))
        db.execute("DELETE FROM reservations WHERE order_id = ?", (order_id,))
        return f"released {_listed(released)}", released

    return act("inventory.release", order_id, do)


def _listed(items: dict[str, int]) -> str:
    return ", ".join(f"{quantity} x {sku}" for sku, quantity in items.items()) or "nothing"


# --- payments: methods of an instance


class Payments:
    """Charges cards, but not the ones it is told to decline."""

    def __init__(self, declined: frozenset[str]) -> None:
        """A payment provider.

        Args:
            declined: The numbers of cards without funds.
        """
        self._declined = declined

    @activity.defn(name="payments.charge")
    def charge(
        self, order_id: str, amount: Annotated[float, Field(gt=0)], card: str
    ) -> dict[str, str]:
        """Charge a card for an order; answers the `charge_id`."""
        try:
            cents = ledger.cents(amount)
        except ValueError as error:
            raise refusal("InvalidAmount", str(error)) from None

        def do(db: sqlite3.Connection) -> tuple[str, Any]:
            if card in self._declined:
                raise refusal("CardDeclined", f"the card that ends in {card[-4:]} was declined")
            booked = {"card clearing": cents, "sales": -cents}
            number = ledger.post(db, idempotency_key(), order_id, "charged", booked)
            return f"charged {ledger.money(cents)}", {"charge_id": f"CH-{number:06d}"}

        return act("payments.charge", order_id, do)

    @activity.defn(name="payments.refund")
    def refund(self, order_id: str) -> dict[str, str]:
        """Pay back what was charged for an order, which may be nothing; answers `refunded`."""

        def do(db: sqlite3.Connection) -> tuple[str, Any]:
            cents: int = db.execute(
                "SELECT coalesce(sum(-cents), 0) FROM postings JOIN entries ON number = entry"
                " WHERE order_id = ? AND account = 'sales'",
                (order_id,),
            ).fetchone()[0]
            if cents:
                booked = {"sales": cents, "card clearing": -cents}
                ledger.post(db, idempotency_key(), order_id, "refunded", booked)
            return f"refunded {ledger.money(cents)}", {"refunded": ledger.money(cents)}

        return act("payments.refund", order_id, do)


# --- shipping: asynchronous functions that call a carrier over HTTP


@functools.cache
def own_carrier() -> str:
    """The address of the carrier that runs in this process, started on first use."""
    return carrier.serve()[1]


async def call_carrier(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """One request to the carrier.

    Raises:
        ApplicationError: `CarrierRefused`, which is final.
        httpx.HTTPError: The network or the carrier failed; Temporal tries again.
    """
    configured = os.environ.get("CARRIER_URL")
    async with httpx.AsyncClient(
        base_url=configured or own_carrier(), timeout=10, trust_env=configured is not None
    ) as http:
        response = await http.post(path, json=body, headers={"Idempotency-Key": idempotency_key()})
    if response.status_code == 422:
        raise refusal("CarrierRefused", response.json()["error"])
    return response.raise_for_status().json()


@activity.defn(name="shipping.ship")
async def ship(order_id: str, item: Item) -> dict[str, str]:
    """Send an item of an order; answers its `tracking` number."""
    # A worker killed between the carrier's answer and our record asks the carrier again: with the
    # same key, so it answers the same and sends nothing twice.
    if (done := await in_thread(functools.partial(ledger.recorded, idempotency_key()))) is not None:
        return done[0]
    body = {"order_id": order_id, **item.model_dump()}
    tracking: str = (await call_carrier("/shipments", body))["tracking"]

    def do(db: sqlite3.Connection) -> tuple[str, Any]:
        db.execute(
            "INSERT INTO shipments (tracking, order_id, sku) VALUES (?, ?, ?)",
            (tracking, order_id, item.sku),
        )
        booked = {"freight": FREIGHT, "carrier payable": -FREIGHT}
        ledger.post(db, idempotency_key(), order_id, f"freight of {tracking}", booked)
        return f"shipped {item.quantity} x {item.sku} as {tracking}", {"tracking": tracking}

    return await in_thread(lambda: act("shipping.ship", order_id, do))


@activity.defn(name="shipping.cancel")
async def cancel(order_id: str, sku: str) -> dict[str, list[str]]:
    """Call back what was sent of one thing, which may be nothing; answers what was `cancelled`."""
    body = {"order_id": order_id, "sku": sku}
    known: list[str] = (await call_carrier("/cancellations", body))["cancelled"]

    def do(db: sqlite3.Connection) -> tuple[str, Any]:
        cancelled: list[str] = []
        for tracking in known:
            if db.execute(
                "UPDATE shipments SET cancelled = 1 WHERE tracking = ? AND NOT cancelled",
                (tracking,),
            ).rowcount:
                booked = {"carrier payable": FREIGHT, "freight": -FREIGHT}
                ledger.post(db, idempotency_key(), order_id, f"no freight for {tracking}", booked)
                cancelled.append(tracking)
        return f"cancelled {', '.join(cancelled) or 'nothing'}", {"cancelled": cancelled}

    return await in_thread(lambda: act("shipping.cancel", order_id, do))


# --- mail


@activity.defn(name="mail.send")
async def send(to: str, subject: str) -> None:
    """Put a mail into the outbox."""

    def do(db: sqlite3.Connection) -> tuple[str, Any]:
        db.execute(
            'INSERT INTO outbox (at, "to", subject) VALUES (?, ?, ?)', (ledger.now(), to, subject)
        )
        return f"wrote to {to}: {subject}", None

    return await in_thread(lambda: act("mail.send", "", do))


payments = Payments(declined=frozenset({"4000-0000-0000-0002"}))

# Functions of this module are found by themselves; methods are named here, with their instance.
activities = [payments.charge, payments.refund]
