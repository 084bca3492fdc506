"""Runs that live for months and years: the examples shopping-cart and subscription."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from calendar import monthrange
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.end_to_end.support import eventually
from tests.examples.support import EXAMPLES, module, rows
from tests.support.conformance import Runner
from tests.support.servers import fetch_chain, replay

SIGNALS = int(os.environ.get("CART_SIGNALS", "1000"))
CLIENTS = 8
REMOVES = 49
"""A client's every so-manieth signal takes what it added out of the cart."""
YEARS = 10
HOUR, DAY = 3600.0, 86400.0

Handle = WorkflowHandle[Any, Any]


@pytest.fixture(autouse=True)
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the examples, not there yet."""
    file = tmp_path / "entities.sqlite"
    monkeypatch.setenv("CART_DB", str(file))
    monkeypatch.setenv("SUBSCRIPTION_DB", str(file))
    return file


def definition(name: str) -> dict[str, Any]:
    """The definition of an example."""
    return yaml.safe_load((EXAMPLES / name / "workflow.yaml").read_text())


@asynccontextmanager
async def working(
    client: Client, given: dict[str, Any], queue: str, continue_after: int | None = None
) -> AsyncIterator[None]:
    """A worker with a definition and the activities of the example that it comes from."""
    registry = ActivityRegistry.load([str(EXAMPLES / given["name"] / "activities.py")])
    loaded = load_text(json.dumps(given), catalogue=registry.catalogue)
    assert not loaded.diagnostics, loaded.diagnostics
    store = MemoryStore(loaded.definitions)
    async with make_worker(
        client, store, registry, task_queue=queue, continue_after=continue_after
    ):
        yield


async def start(server: WorkflowEnvironment, name: str, queue: str, **given: Any) -> Handle:
    """Starts a run. In virtual time its clock stands still until it is driven."""
    id = f"{queue}-{name}"
    with server.with_time_skipping_disabled():
        return await server.client.start_workflow(name, given, id=id, task_queue=queue)


async def drive(server: WorkflowEnvironment, handle: Handle, seconds: float | None = None) -> None:
    """Lets time fly, to the run's end where it is not said how much."""
    try:
        await server.fast_forward(handle, seconds)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended already
            raise


async def refused(updating: Any) -> ApplicationError:
    """What an update fails with."""
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await updating
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


async def chain_of(client: Client, handle: Handle) -> list[WorkflowHistory]:
    """The histories of all runs of an entity, each of which is replayed from an empty cache."""
    chain = await fetch_chain(client, handle.id)
    await replay(*chain)
    return chain


# --- the subscription


def months_later(start: datetime, count: int) -> datetime:
    """What the calendar on the wall says: the same day, or the last of a shorter month."""
    year, month = start.year, start.month
    for _ in range(count):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def bills(db: Path) -> list[tuple[str, int, str, str]]:
    """The path, the month, the plan and the state of each bill."""
    found = rows(db, "SELECT key, month, plan, state FROM bills ORDER BY number")
    return [(key.split("/", 1)[1], month, plan, state) for key, month, plan, state in found]


def charged_at(chain: list[WorkflowHistory]) -> list[datetime]:
    """When each charge was sent."""
    return [
        event.event_time.ToDatetime(UTC)
        for history in chain
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "billing.charge"
    ]


async def test_ten_years_of_bills(runner: Runner, db: Path) -> None:
    """Each month is billed once and in time; upgraded in the middle, cancelled at the end."""
    server, total = runner.server, 12 * YEARS
    given = definition("subscription")
    async with asyncio.timeout(120), working(server.client, given, "years", continue_after=60):
        handle = await start(
            server, "subscription", "years", customer="ada", plan="basic", card="visa"
        )
        first = (await handle.describe()).start_time
        upgrade, cancel = months_later(first, 40), months_later(first, total - 1)
        await drive(server, handle, (upgrade - first).total_seconds() + 5 * DAY)
        answer = await handle.execute_update("upgrade", {"plan": "team"})
        assert answer["plan"] == "team"
        paid = datetime.fromisoformat(answer["from"])
        assert abs((paid - months_later(first, 41)).total_seconds()) < 60
        again = await refused(handle.execute_update("upgrade", {"plan": "team"}))
        assert (again.type, again.message) == ("Rejected", "the plan is team already")
        await drive(server, handle, (cancel - upgrade).total_seconds())
        await handle.signal("cancel")
        state = await handle.query("state")
        assert (state["cancelled"], state["paid"]["months"]) == (True, total)
        closed = await refused(handle.execute_update("upgrade", {"plan": "plus"}))
        assert closed.message == "the subscription is cancelled"
        await drive(server, handle)
        ended = await handle.result()
    assert (ended["status"], ended["paid"]["months"]) == ("cancelled", total)
    plans = ["basic"] * 41 + ["team"] * (total - 41)
    assert bills(db) == [(f"months[{n}].charge", n, plans[n], "paid") for n in range(total)]
    chain = await chain_of(server.client, handle)
    assert len(chain) > total / 10
    assert all(len(one.events) < 100 for one in chain)
    late = [(at - months_later(first, n)).total_seconds() for n, at in enumerate(charged_at(chain))]
    assert len(late) == total and all(-1 < one < 600 for one in late), late
    last = chain[-1].events[-1].event_time.ToDatetime(UTC)
    assert 0 <= (last - months_later(first, total)).total_seconds() < 600


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2027-01-31", ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2027-10-30", ["2027-11-30", "2027-12-30", "2028-01-30", "2028-02-29", "2028-03-30"]),
        ("2099-11-29", ["2099-12-29", "2100-01-29", "2100-02-28", "2100-03-29"]),
    ],
)
def test_the_days_of_the_bills(start: str, expected: list[str]) -> None:
    add = module("subscription").add
    began = datetime.fromisoformat(f"{start}T23:59:59.5+00:00")
    found = [add(began, n) for n in range(1, len(expected) + 1)]
    assert [f"{one:%Y-%m-%d}" for one in found] == expected
    assert {one.timetz() for one in found} == {began.timetz()}


async def test_a_card_that_stays_declined(runner: Runner, db: Path) -> None:
    """Asked four times, three days apart; then the subscription ends."""
    server = runner.server
    async with working(server.client, definition("subscription"), "unpaid", continue_after=20):
        handle = await start(
            server, "subscription", "unpaid", customer="bob", plan="plus", card="prepaid-2"
        )
        await drive(server, handle)
        ended = await handle.result()
    assert (ended["status"], ended["paid"]["months"]) == ("unpaid", 2)
    tries = ["months[2].charge", *(f"months[2].bill~{n}.charge" for n in (2, 3, 4))]
    assert bills(db) == [
        *((f"months[{n}].charge", n, "plus", "paid") for n in range(2)),
        *((path, 2, "plus", "declined") for path in tries),
    ]
    subject = "the card prepaid-2 was declined for month 3"
    assert rows(db, "SELECT customer, subject FROM mails") == [("bob", subject)] * 4
    at = charged_at(await chain_of(server.client, handle))[2:]
    gaps = [(after - before).total_seconds() for before, after in pairwise(at)]
    assert gaps == pytest.approx([3 * DAY] * 3, abs=60)


async def test_a_card_that_is_changed_in_time(runner: Runner, db: Path) -> None:
    """The next try is with the other card; the days of the bills stay what they were."""
    server = runner.server
    async with working(server.client, definition("subscription"), "changed", continue_after=20):
        handle = await start(
            server, "subscription", "changed", customer="eve", plan="plus", card="prepaid-1"
        )
        first = (await handle.describe()).start_time
        month = (months_later(first, 1) - first).total_seconds()
        await drive(server, handle, month + 4 * DAY)
        await handle.signal("change_card", {"card": "visa"})
        await drive(server, handle, 10 * DAY)
        state = await handle.query("state")
        paid = datetime.fromisoformat(state["paid"]["until"])
        assert abs((paid - months_later(first, 2)).total_seconds()) < 60
        await handle.signal("cancel")
        await drive(server, handle)
        assert (await handle.result())["paid"]["months"] == 2
    assert [(path, state) for path, _, _, state in bills(db)] == [
        ("months[0].charge", "paid"),
        ("months[1].charge", "declined"),
        ("months[1].bill~2.charge", "declined"),
        ("months[1].bill~3.charge", "paid"),
    ]
    await chain_of(server.client, handle)


async def test_cancelled_while_it_is_to_be_paid(runner: Runner, db: Path) -> None:
    """There is no paid month to wait for, and the card is not asked again."""
    server = runner.server
    async with working(server.client, definition("subscription"), "left", continue_after=20):
        handle = await start(
            server, "subscription", "left", customer="eve", plan="plus", card="prepaid-0"
        )
        await drive(server, handle, DAY)
        await handle.signal("cancel")
        await drive(server, handle)
        ended = await handle.result()
    assert (ended["status"], ended["paid"]["months"]) == ("cancelled", 0)
    assert [state for *_, state in bills(db)] == ["declined"]
    await chain_of(server.client, handle)


# --- the cart


def tracked() -> dict[str, Any]:
    """The cart, which also keeps a hash of all that was done to each item, in that order."""
    cart = definition("shopping-cart")
    for signal, what in (
        ("add_item", "str(default(payload.quantity, 1))"),
        ("remove_item", '"removed"'),
    ):
        before = 'default(vars.trail[payload.sku], "")'
        trail = f"merge(vars.trail, {{payload.sku: sha256({before} + {what})}})"
        cart["signals"][signal]["do"][-1]["set"]["trail"] = f"${{ {trail} }}"
    cart["vars"]["trail"] = {}
    cart["queries"]["trail"] = "${ vars.trail }"
    return cart


async def test_many_clients_fill_one_cart(
    server: WorkflowEnvironment, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each signal counts once, in its client's order, while the cart goes on as new."""
    each = SIGNALS // CLIENTS
    prices = module("shopping-cart").PRICES
    async with working(server.client, tracked(), "crowd", continue_after=200):
        handle = await start(server, "shopping-cart", "crowd", customer="all")
        items: dict[str, int] = {}
        trail: dict[str, str] = {}

        async def send(client: int) -> None:
            sku = f"item-{client}"
            monkeypatch.setitem(prices, sku, client + 1)
            for number in range(1, each + 1):
                if number % REMOVES == 0:
                    await handle.signal("remove_item", {"sku": sku})
                    items.pop(sku)
                    done = "removed"
                else:
                    await handle.signal("add_item", {"sku": sku, "quantity": number})
                    items[sku] = items.get(sku, 0) + number
                    done = str(number)
                text = trail.get(sku, "") + done
                trail[sku] = hashlib.sha256(text.encode()).hexdigest()

        await asyncio.gather(*map(send, range(CLIENTS)))
        paid = await handle.execute_update("checkout", {"card": "visa"})
        assert await handle.result() == {"status": "paid", "items": items}
        assert await handle.query("trail") == trail
    cents = sum((n + 1) * items.get(f"item-{n}", 0) for n in range(CLIENTS))
    assert paid == {"order": 1, "cents": cents}
    chain = await chain_of(server.client, handle)
    events = [event for one in chain for event in one.events]
    signalled = [e for e in events if e.HasField("workflow_execution_signaled_event_attributes")]
    assert len(signalled) == each * CLIENTS
    assert len(chain) > SIGNALS / 300
    assert all(len(one.events) < 400 for one in chain)


class Charging:
    """The charges of a cart, held until they may go on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        acts = module("shopping-cart")
        real = acts.once
        self.begun = threading.Event()
        self.may = threading.Event()

        def held(do: Any) -> Any:
            self.begun.set()
            assert self.may.wait(20)
            return real(do)

        patch.setattr(acts, "once", held)

    def again(self) -> None:
        """Holds the next one."""
        self.begun.clear()
        self.may.clear()


def mails(db: Path) -> list[str]:
    return [subject for (subject,) in rows(db, "SELECT subject FROM mails ORDER BY number")]


async def test_reminded_after_a_day_and_abandoned_after_thirty(runner: Runner, db: Path) -> None:
    """Both count from the last touch; the run goes on as new meanwhile."""
    server, cart = runner.server, definition("shopping-cart")
    async with working(server.client, cart, "forgotten", continue_after=10):
        handle = await start(server, "shopping-cart", "forgotten", customer="bob", items={"mug": 2})
        await drive(server, handle, DAY - HOUR)
        assert mails(db) == []
        await drive(server, handle, 2 * HOUR)
        assert mails(db) == ["Still in your cart: 2 x mug"]
        await drive(server, handle, 20 * DAY)
        await handle.signal("add_item", {"sku": "lamp"})
        await drive(server, handle, DAY - HOUR)
        assert len(mails(db)) == 1
        await drive(server, handle, 2 * HOUR)
        assert mails(db)[1:] == ["Still in your cart: 1 x lamp, 2 x mug"]
        await drive(server, handle)
        assert await handle.result() == {"status": "abandoned", "items": {"mug": 2, "lamp": 1}}
    chain = await chain_of(server.client, handle)
    assert len(chain) > 1
    first, last = (chain[place].events[place].event_time.ToDatetime() for place in (0, -1))
    expected = DAY - HOUR + 2 * HOUR + 20 * DAY + 30 * DAY
    assert (last - first).total_seconds() == pytest.approx(expected, abs=600)
    assert len(mails(db)) == 2 and rows(db, "SELECT * FROM orders") == []


async def test_an_empty_cart_is_not_checked_out_or_reminded_of(runner: Runner, db: Path) -> None:
    server = runner.server
    async with working(server.client, definition("shopping-cart"), "empty"):
        handle = await start(server, "shopping-cart", "empty", customer="eve", items={"mug": 1})
        with server.with_time_skipping_disabled():
            await handle.signal("remove_item", {"sku": "mug"})
            await eventually_contents(handle, {})
            before = len((await handle.fetch_history()).events)
            error = await refused(handle.execute_update("checkout", {"card": "visa"}))
            assert (error.type, error.message) == ("Rejected", "the cart is empty")
            error = await refused(handle.execute_update("checkout", {}))
            assert error.type == "InvalidPayload"
            assert len((await handle.fetch_history()).events) == before
        await drive(server, handle)
        assert await handle.result() == {"status": "abandoned", "items": {}}
    assert rows(db, "SELECT * FROM acts") == []
    await chain_of(server.client, handle)


async def eventually_contents(handle: Handle, contents: dict[str, int]) -> None:
    """Waits until so much is in a cart, whose run may not have begun."""
    found: Any = None
    async with asyncio.timeout(20):
        while found != contents:
            await asyncio.sleep(0.02)
            try:
                found = await handle.query("contents")
            except WorkflowQueryFailedError as error:
                assert str(error) == "the run has not begun yet"


async def test_what_is_being_paid_for_does_not_change(
    server: WorkflowEnvironment, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One checkout at a time; what comes meanwhile counts if the bank says no."""
    charging = Charging(monkeypatch)
    async with working(server.client, definition("shopping-cart"), "paying", continue_after=1):
        handle = await start(server, "shopping-cart", "paying", customer="ada", items={"mug": 2})
        declined = asyncio.create_task(
            handle.execute_update("checkout", {"card": "declined-1"}, id="first")
        )
        await eventually("the charge", charging.begun.is_set)
        await handle.signal("add_item", {"sku": "lamp"})
        await handle.signal("add_item", {"sku": "book", "quantity": 3})
        await handle.signal("remove_item", {"sku": "book"})
        error = await refused(handle.execute_update("checkout", {"card": "visa"}))
        assert (error.type, error.message) == ("Rejected", "the cart is paying")
        assert await handle.query("contents") == {"mug": 2}
        charging.may.set()
        error = await refused(declined)
        assert (error.type, error.message) == ("CardDeclined", "the card declined-1 was declined")
        await eventually_contents(handle, {"mug": 2, "lamp": 1})
        charging.again()
        paying = asyncio.create_task(handle.execute_update("checkout", {"card": "visa"}))
        await eventually("the charge", charging.begun.is_set)
        await handle.signal("add_item", {"sku": "mug", "quantity": 9})
        await handle.signal("remove_item", {"sku": "lamp"})
        charging.may.set()
        assert await paying == {"order": 1, "cents": 2 * 1200 + 4900}
        assert await handle.result() == {"status": "paid", "items": {"mug": 2, "lamp": 1}}
    orders = rows(db, "SELECT customer, card, cents, refunded FROM orders")
    assert orders == [("ada", "visa", 7300, 0)]
    await chain_of(server.client, handle)


async def test_cancelled_while_the_bank_is_asked(
    server: WorkflowEnvironment, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge ends first, and is then refunded."""
    charging = Charging(monkeypatch)
    async with working(server.client, definition("shopping-cart"), "cancelled", continue_after=1):
        handle = await start(server, "shopping-cart", "cancelled", customer="ada", items={"mug": 1})
        checkout = asyncio.create_task(handle.execute_update("checkout", {"card": "visa"}))
        await eventually("the charge", charging.begun.is_set)
        await handle.cancel()
        async with asyncio.timeout(20):
            while not any(
                event.HasField("activity_task_cancel_requested_event_attributes")
                for event in (await handle.fetch_history()).events
            ):
                await asyncio.sleep(0.02)
        charging.may.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        await asyncio.wait([checkout])
        assert (await handle.query("status"))["status"] == "cancelled"
    assert rows(db, "SELECT cents, refunded FROM orders") == [(1200, 1)]
    acts = [key.split("/", 1)[1] for (key,) in rows(db, "SELECT key FROM acts ORDER BY number")]
    assert acts == ["checkout#1.charge", "checkout#1.charge!undo"]
    await chain_of(server.client, handle)


async def test_two_checkouts_at_the_same_time(server: WorkflowEnvironment, db: Path) -> None:
    async with working(server.client, definition("shopping-cart"), "twice"):
        handle = await start(server, "shopping-cart", "twice", customer="ada", items={"mug": 1})
        both = [handle.execute_update("checkout", {"card": card}) for card in ("visa", "amex")]
        answers = await asyncio.gather(*both, return_exceptions=True)
        assert (await handle.result())["status"] == "paid"
    assert [one for one in answers if isinstance(one, dict)] == [{"order": 1, "cents": 1200}]
    assert len(rows(db, "SELECT * FROM orders")) == 1
    await chain_of(server.client, handle)
