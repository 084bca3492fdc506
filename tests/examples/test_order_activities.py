"""The acts of the order example on their own: exactly once, whatever kills them."""

import asyncio
import dataclasses
import importlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from interpreter.activities import ActivityRegistry

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "order-fulfilment"

# The example's modules are plain files beside its definition, as `temporal-dsl run` loads them.
REGISTRY = ActivityRegistry.load([str(EXAMPLE / "activities.py")])
acts: Any = next(
    module
    for module in list(sys.modules.values())
    if getattr(module, "__file__", None) == str(EXAMPLE / "activities.py")
)
ledger: Any = importlib.import_module("ledger")
carrier: Any = importlib.import_module("carrier")


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    file = tmp_path / "books.sqlite"
    monkeypatch.setenv("ORDER_DB", str(file))
    monkeypatch.delenv("CARRIER_URL", raising=False)
    monkeypatch.delenv("ORDER_DELAY", raising=False)
    yield file
    if file.exists():
        text, balanced = ledger.report(file)
        assert balanced, text


def do(step: str, fn: Any, *args: Any) -> Any:
    """Run an activity as the step of this name; the step is its idempotency key."""
    env = ActivityEnvironment()
    env.info = dataclasses.replace(env.info, activity_id=step)
    result = env.run(fn, *args)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def rows(file: Path, sql: str) -> list[Any]:
    db = sqlite3.connect(file)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def balances(file: Path) -> dict[str, int]:
    return dict(rows(file, "SELECT account, sum(cents) FROM postings GROUP BY account"))


def items(*skus: str) -> list[Any]:
    return [acts.Item(sku=sku, quantity=2) for sku in skus]


def test_the_catalogue() -> None:
    assert list(REGISTRY.catalogue) == [
        "inventory.release",
        "inventory.reserve",
        "mail.send",
        "payments.charge",
        "payments.refund",
        "shipping.cancel",
        "shipping.ship",
    ]
    charge = REGISTRY.catalogue["payments.charge"].arguments
    assert charge["required"] == ["order_id", "amount", "card"]
    assert list(REGISTRY.catalogue["shipping.ship"].arguments["properties"]) == ["order_id", "item"]
    assert all(each.description for each in REGISTRY.catalogue.values())


@pytest.mark.parametrize(
    ("name", "args", "result", "counted"),
    [
        ("reserve", ["o", "ITEMS"], {"book": 2, "mug": 2}, "SELECT count(*) / 2 FROM reservations"),
        ("release", ["o"], {}, "SELECT 1"),
        ("charge", ["o", 59.9, "42"], {"charge_id": "CH-000001"}, "SELECT count(*) FROM entries"),
        ("refund", ["o"], {"refunded": "0.00"}, "SELECT 1 + count(*) FROM entries"),
        ("ship", ["o", "ITEM"], {"tracking": "TRK-000001"}, "SELECT count(*) FROM entries"),
        ("cancel", ["o", "book"], {"cancelled": []}, "SELECT 1 + count(*) FROM entries"),
        ("send", ["boss", "hello"], None, "SELECT count(*) FROM outbox"),
    ],
)
def test_each_act_twice_with_one_key_is_done_once(
    books: Path, name: str, args: list[Any], result: Any, counted: str
) -> None:
    fn = getattr(acts, name, None) or getattr(acts.payments, name)
    known = {"ITEMS": items("book", "mug"), "ITEM": acts.Item(sku="book")}
    args = [known.get(arg, arg) if isinstance(arg, str) else arg for arg in args]
    assert do("step", fn, *args) == result
    assert do("step", fn, *args) == result
    assert rows(books, "SELECT count(*) FROM acts") == [(1,)]
    assert rows(books, counted) == [(1,)]
    assert rows(books, "SELECT count(*) FROM carrier_shipments WHERE key LIKE '%step'") == [
        (1 if name == "ship" else 0,)
    ]


def test_an_order_and_its_undoing(books: Path) -> None:
    do("reserve", acts.reserve, "o", items("book", "mug"))
    assert rows(books, "SELECT available FROM stock WHERE sku = 'book'") == [(998,)]
    do("charge", acts.payments.charge, "o", 59.9, "42")
    do("ship", acts.ship, "o", acts.Item(sku="book"))
    assert balances(books) == {
        "card clearing": 5990,
        "sales": -5990,
        "freight": 490,
        "carrier payable": -490,
    }
    cancelled = do("ship!undo", acts.cancel, "o", "book")
    assert cancelled == {"cancelled": ["TRK-000001"]}
    assert do("charge!undo", acts.payments.refund, "o") == {"refunded": "59.90"}
    assert do("reserve!undo", acts.release, "o") == {"book": 2, "mug": 2}
    assert set(balances(books).values()) == {0}
    assert rows(books, "SELECT DISTINCT available FROM stock") == [(1000,)]
    assert rows(books, "SELECT count(*) FROM carrier_shipments WHERE NOT cancelled") == [(0,)]


@pytest.mark.parametrize(
    ("kind", "name", "args"),
    [
        ("CardDeclined", "charge", ["o", 59.9, "4000-0000-0000-0002"]),
        ("InvalidAmount", "charge", ["o", 0.001, "42"]),
        ("OutOfStock", "reserve", ["o", [("book", 1), ("mug", 1001)]]),
        ("UnknownSku", "reserve", ["o", [("book", 1), ("moon", 1)]]),
        ("CarrierRefused", "ship", ["o", ("fragile-vase", 1)]),
    ],
)
def test_a_refusal_is_final_and_leaves_nothing(
    books: Path, kind: str, name: str, args: list[Any]
) -> None:
    def item(pair: tuple[str, int]) -> Any:
        return acts.Item(sku=pair[0], quantity=pair[1])

    order, what, *rest = args
    if isinstance(what, list):
        what = [item(each) for each in what]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    elif isinstance(what, tuple):
        what = item(what)  # pyright: ignore[reportUnknownArgumentType]
    fn = getattr(acts, name, None) or getattr(acts.payments, name)
    with pytest.raises(ApplicationError) as caught:
        do("step", fn, order, what, *rest)
    assert (caught.value.type, caught.value.non_retryable) == (kind, True)
    do("mail", acts.send, "auditor", "look")  # makes the books where the act did not come so far
    assert rows(books, "SELECT activity FROM acts") == [("mail.send",)]
    assert rows(books, "SELECT count(*) FROM entries") == [(0,)]
    assert rows(books, "SELECT DISTINCT available FROM stock") == [(1000,)]


@pytest.mark.parametrize(
    ("amount", "cents"), [(59.9, 5990), (0.1 + 0.2 - 0.2, 10), (1.1, 110), (1e3, 100000), (4, 400)]
)
def test_cents(amount: float, cents: int) -> None:
    assert ledger.cents(round(amount, 2)) == cents


def test_money() -> None:
    assert [ledger.money(each) for each in (5990, -5, 0, -12345)] == [
        "59.90",
        "-0.05",
        "0.00",
        "-123.45",
    ]


# --- the carrier


def test_a_lost_answer_of_the_carrier_sends_nothing_twice(
    books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies after the carrier took the parcel and before our record."""

    def die(*_: Any) -> Any:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "act", die)
        with pytest.raises(OSError, match="killed"):
            do("ship", acts.ship, "o", acts.Item(sku="book"))
    assert rows(books, "SELECT count(*) FROM carrier_shipments") == [(1,)]
    assert do("ship", acts.ship, "o", acts.Item(sku="book")) == {"tracking": "TRK-000001"}
    assert rows(books, "SELECT count(*) FROM carrier_shipments") == [(1,)]
    assert balances(books)["freight"] == 490


def test_a_carrier_of_ones_own_and_one_that_is_away(
    books: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, address = carrier.serve()
    monkeypatch.setenv("CARRIER_URL", address)
    do("ship", acts.ship, "o", acts.Item(sku="book"))
    server.shutdown()
    server.server_close()
    with pytest.raises(httpx.ConnectError):  # no ApplicationError: Temporal tries again
        do("again", acts.ship, "o", acts.Item(sku="book"))


def test_the_carrier_refuses_bad_requests(books: Path) -> None:
    server, address = carrier.serve()
    with httpx.Client(base_url=address, trust_env=False) as http:
        assert http.post("/shipments", json={}).status_code == 400
        body = {"order_id": "o", "sku": "book", "quantity": 1}
        assert http.post("/shipments", json=body).json() == {
            "error": "the header Idempotency-Key is missing"
        }
        assert http.post("/elsewhere", json=body).status_code == 404
    server.shutdown()
    server.server_close()


def test_cancelling_waits_for_the_thread(books: Path) -> None:
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def blocking() -> None:
        started.set()
        go.wait(10)
        ended.set()

    async def main() -> None:
        task = asyncio.ensure_future(acts.in_thread(blocking))
        await asyncio.to_thread(started.wait)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())


# --- the books defend themselves


def test_no_entry_that_is_out_of_balance_can_be_written(books: Path) -> None:
    def one_sided(db: sqlite3.Connection) -> tuple[str, Any]:
        return "booked", ledger.post(db, "k", "o", "x", {"sales": 1})

    with pytest.raises(sqlite3.IntegrityError, match="do not sum to zero"):
        ledger.act("k", "x", "o", one_sided)
    with ledger.opened() as db:
        # Without the seal the commit itself fails.
        db.execute("BEGIN")
        db.execute("INSERT INTO acts VALUES (1, 'k', 'x', 'o', 'now', 'x', 'null')")
        db.execute("INSERT INTO entries VALUES (1, 'k', 'now', 'o', 'x')")
        db.execute("INSERT INTO postings VALUES (1, 'sales', 1)")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            db.execute("COMMIT")
        db.execute("ROLLBACK")
    assert rows(books, "SELECT count(*) FROM entries") == [(0,)]


def test_no_booking_without_an_act(books: Path) -> None:
    with ledger.opened() as db, pytest.raises(sqlite3.IntegrityError), ledger.transaction(db):
        ledger.post(db, "no such act", "o", "x", {"sales": 1, "freight": -1})
    assert rows(books, "SELECT count(*) FROM entries") == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE postings SET cents = cents + 1",
        "DELETE FROM postings",
        "DELETE FROM acts",
        "UPDATE acts SET result = '1'",
        "DELETE FROM seals",
        "INSERT INTO postings VALUES (1, 'sales', 5)",
    ],
)
def test_what_is_written_stays(books: Path, sql: str) -> None:
    do("charge", acts.payments.charge, "o", 1, "42")
    with ledger.opened() as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(sql)


# --- what the auditor sees


def audit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "ledger.py"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_report(books: Path, tmp_path: Path) -> None:
    do("charge", acts.payments.charge, "o", 59.9, "42")
    done = audit(cwd=tmp_path)  # ORDER_DB names the file
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "card clearing asset 59.90 0.00 59.90" in lines
    assert "total 59.90 59.90 0.00" in lines
    assert any(line.endswith("o payments.charge charged 59.90 test-run/charge") for line in lines)
    assert lines[-1] == "The books balance."


def test_the_report_of_books_that_were_forged(books: Path, tmp_path: Path) -> None:
    do("charge", acts.payments.charge, "o", 59.9, "42")
    forged = tmp_path / "forged.sqlite"
    with sqlite3.connect(books) as source, sqlite3.connect(forged) as target:
        source.backup(target)
        target.execute("DROP TRIGGER sealed_entries_stay")
        target.execute("INSERT INTO postings VALUES (1, 'sales', 100)")
        target.commit()
    source.close()
    target.close()
    done = audit(str(forged), cwd=tmp_path)
    assert done.returncode == 1
    assert "Entry 1 is out of balance by 1.00." in done.stdout
    assert done.stdout.endswith("THE BOOKS DO NOT BALANCE.\n")


def test_no_books(books: Path, tmp_path: Path) -> None:
    assert audit(cwd=tmp_path).returncode == 2
    assert not books.exists()
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no database, but long enough to look like one" * 40)
    for name in ("empty", "text"):
        done = audit(name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "cannot be read as books" in done.stderr
    assert (tmp_path / "empty").stat().st_size == 0


# --- processes that are killed

WORKER = """
import asyncio, dataclasses, os, signal, sys
sys.path += [{root!r}, {example!r}]
import activities, ledger
from temporalio.testing import ActivityEnvironment

def do(step, fn, *args):
    env = ActivityEnvironment()
    env.info = dataclasses.replace(env.info, activity_id=step)
    result = env.run(fn, *args)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result

{body}
"""


def process(body: str) -> subprocess.Popen[str]:
    program = WORKER.format(root=str(ROOT), example=str(EXAMPLE), body=body)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


DIE_INSIDE = """
post = ledger.post
def dying_post(*args):
    post(*args)
    os.kill(os.getpid(), signal.SIGKILL)     # booked, and not yet committed
ledger.post = dying_post
do("charge", activities.payments.charge, "o", 59.9, "42")
"""
DIE_AFTER = """
do("charge", activities.payments.charge, "o", 59.9, "42")
os.kill(os.getpid(), signal.SIGKILL)         # committed, and the answer is lost
"""


@pytest.mark.parametrize(("body", "done"), [(DIE_INSIDE, 0), (DIE_AFTER, 1)])
def test_killed_at_the_worst_moment(books: Path, body: str, done: int) -> None:
    with process(body) as killed:
        assert killed.wait(30) == -signal.SIGKILL
    assert rows(books, "SELECT count(*) FROM acts") == [(done,)]
    assert rows(books, "SELECT count(*) FROM entries") == [(done,)]
    assert do("charge", acts.payments.charge, "o", 59.9, "42") == {"charge_id": "CH-000001"}
    assert balances(books) == {"card clearing": 5990, "sales": -5990}
    assert rows(books, "SELECT count(*) FROM acts") == [(1,)]


MANY = """
print("started", flush=True)
for number in range({count}):
    step = str(number)
    do("reserve" + step, activities.reserve, step, [activities.Item(sku="book")])
    do("charge" + step, activities.payments.charge, step, 0.1, "42")
    do("ship" + step, activities.ship, step, activities.Item(sku="mug"))
    print(step, flush=True)
"""


def test_two_processes_do_the_same_acts_and_one_is_killed(books: Path) -> None:
    count = 25
    with process(MANY.format(count=count)) as one, process(MANY.format(count=count)) as other:
        assert one.stdout is not None
        for line in one.stdout:
            if line.strip() == "5":
                break
        os.kill(one.pid, signal.SIGKILL)
        assert other.wait(60) == 0
        assert one.wait(30) == -signal.SIGKILL
        assert other.stdout is not None
        other.stdout.read()
    assert rows(books, "SELECT activity, count(*) FROM acts GROUP BY activity ORDER BY 1") == [
        ("inventory.reserve", count),
        ("payments.charge", count),
        ("shipping.ship", count),
    ]
    assert rows(books, "SELECT count(*) FROM carrier_shipments") == [(count,)]
    assert rows(books, "SELECT available FROM stock WHERE sku = 'book'") == [(1000 - count,)]
    assert balances(books) == {
        "card clearing": 10 * count,
        "sales": -10 * count,
        "freight": 490 * count,
        "carrier payable": -490 * count,
    }


def test_many_processes_may_make_the_books_at_once(books: Path) -> None:
    body = 'do("mail", activities.send, "boss", "hello")'
    running = [process(body) for _ in range(4)]
    for each in running:
        with each:
            assert each.wait(60) == 0
    assert rows(books, "SELECT count(*) FROM outbox") == [(1,)]
