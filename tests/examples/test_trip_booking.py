"""trip-booking: before the point of no return all is undone, after it all is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.end_to_end.support import eventually
from tests.examples.support import EXAMPLES, Ended, Example, example, lose_answers, module, rows
from tests.support.conformance import Runner

KINDS = ("car", "flight", "hotel")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example, in real time."""
    async with example(server, "trip-booking", "trip-booking") as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def virtual(runner: Runner) -> AsyncIterator[Example]:
    """The example in virtual time: nobody waits for the next attempt."""
    async with example(runner.server, "trip-booking", "trip-booking-virtual") as stage:
        yield stage


@pytest.fixture(autouse=True)
def book(db: Path) -> Path:
    """A book with what there is to sell, and nothing sold."""
    with module("trip-booking").opened():
        pass
    return db


def acts(book: Path) -> list[str]:
    """The acts that were done, in order."""
    query = "SELECT key FROM acts WHERE activity <> 'forestalled' ORDER BY number"
    return [key.split("/", 1)[1] for (key,) in rows(book, query)]


def bookings(book: Path) -> list[tuple[str, str]]:
    """The kind and the state of each booking, sorted; with what is left it comes to what was."""
    left = rows(book, "SELECT kind, sum(available) FROM stock GROUP BY kind")
    taken = dict(
        rows(book, "SELECT kind, count(*) FROM bookings WHERE state = 'booked' GROUP BY kind")
    )
    there = {kind: number + taken.get(kind, 0) for kind, number in left}
    assert there == {"car": 100, "flight": 200, "hotel": 200}
    return sorted(rows(book, "SELECT kind, state FROM bookings"))


def states(book: Path, table: str) -> list[str]:
    return [state for (state,) in rows(book, f"SELECT state FROM {table} ORDER BY number")]


def check_done(book: Path) -> None:
    """One trip was booked, each act once, and what comes after the tickets too."""
    done = acts(book)
    assert sorted(done[:3]) == list(KINDS) and done[3:5] == ["pay", "ticket"]
    assert sorted(done[5:]) == ["documents", "miles"]
    assert bookings(book) == [(kind, "booked") for kind in KINDS]
    assert (states(book, "payments"), states(book, "tickets")) == (["charged"], ["issued"])
    for table in ("mails", "miles"):
        assert rows(book, f"SELECT count(*) FROM {table}") == [(1,)]


def check_undone(book: Path, done: set[str]) -> None:
    """Of one trip these acts were done, each once, then all were undone, the last first."""
    steps = acts(book)
    assert set(steps[: len(done)]) == done, steps
    undone = [step.removesuffix("!undo") for step in steps[len(done) :]]
    assert sorted(undone) == sorted(done) and steps[len(done)].endswith("!undo"), steps
    assert [step for step in undone if step not in KINDS] == [
        step for step in ("ticket", "pay") if step in done
    ]
    assert bookings(book) == [(kind, "cancelled") for kind in KINDS if kind in done]
    assert set(states(book, "payments")) <= {"refunded"}
    assert set(states(book, "tickets")) <= {"void"}
    for table in ("mails", "miles"):
        assert rows(book, f"SELECT count(*) FROM {table}") == [(0,)]


async def finished(stage: Example, name: str = "input", /, **changes: Any) -> Ended:
    return await stage.ended(await stage.start(stage.input(name, **changes)))


async def test_a_trip(stage: Example, book: Path) -> None:
    ended = await finished(stage)
    assert (ended.status, ended.error, ended.output["ticket"]) == ("completed", None, 1)
    check_done(book)
    paid = rows(book, "SELECT cents FROM payments")
    assert paid == [(18000 + 42000 + 9500,)]


async def test_no_car(stage: Example, book: Path) -> None:
    """The car is refused at once; nothing is undone before the others have settled."""
    ended = await finished(stage, "no-car")
    assert ended.status == "compensated"
    assert ended.error == ("SoldOut", "there is no car left in venice")
    assert acts(book)[:2] == ["flight", "hotel"]
    check_undone(book, {"flight", "hotel"})


async def test_a_city_that_nobody_knows(stage: Example, book: Path) -> None:
    ended = await finished(stage, city="atlantis")
    # The flight and the hotel were refused too when they settled, and hold nothing.
    assert (ended.status, ended.undone) == ("failed", [])
    assert ended.error == ("SoldOut", "there is no car left in atlantis")
    assert acts(book) == []


async def test_a_card_that_is_declined(stage: Example, book: Path) -> None:
    ended = await finished(stage, "card-declined")
    assert ended.status == "compensated"
    assert ended.error == ("CardDeclined", "the card that ends in 0002 was declined")
    check_undone(book, set(KINDS))


async def test_tickets_that_are_refused(stage: Example, book: Path) -> None:
    ended = await finished(stage, "bad-name")
    assert (ended.status, ended.error) == (
        "compensated",
        ("BadName", "R2D2 is no name in a passport"),
    )
    check_undone(book, {*KINDS, "pay"})
    assert ended.undone[0] == "pay" and set(ended.undone[1:]) == set(KINDS)


async def test_a_mail_server_that_is_down(stage: Example, book: Path) -> None:
    ended = await finished(stage, "mail-down")
    assert ended.status == "completed" and ended.seconds > 4
    check_done(book)
    assert acts(book)[-1] == "documents"


async def test_after_the_tickets_it_is_tried_without_end(
    virtual: Example, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More often than `defaults` allows."""
    agency = module("trip-booking")
    real: Callable[..., Any] = agency.once
    failures = dict.fromkeys(("documents.send", "miles.credit"), 0)

    def once(do: Callable[..., Any]) -> Any:
        name = agency.activity.info().activity_type
        if failures.get(name, 6) < 6:
            failures[name] += 1
            raise ConnectionError("nobody is there")
        return real(do)

    monkeypatch.setattr(agency, "once", once)
    ended = await virtual.run(virtual.input())
    assert ended.status == "completed" and set(failures.values()) == {6}
    check_done(book)


async def test_before_the_tickets_there_is_an_end(
    virtual: Example, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The airline never answers, though it may have issued them: they are made void."""
    agency = module("trip-booking")
    real: Callable[..., Any] = agency.once
    tries: list[int] = []

    def once(do: Callable[..., Any]) -> Any:
        result = real(do)
        if agency.activity.info().activity_type == "tickets.issue":
            tries.append(result["ticket"])
            raise ConnectionError("the answer was lost")
        return result

    monkeypatch.setattr(agency, "once", once)
    ended = await virtual.run(virtual.input())
    assert ended.status == "compensated" and ended.undone[:2] == ["ticket", "pay"]
    assert tries == [1] * 5
    check_undone(book, {*KINDS, "pay", "ticket"})


@pytest.mark.parametrize("step", ["flight", "pay"])
async def test_cancelled(
    stage: Example, book: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """While a step is at work: all that is at work settles, then it is undone."""
    monkeypatch.setenv("TRIP_DELAY", "1")
    handle = await stage.start(stage.input())
    await eventually(step, lambda: acts(book)[-1:] == [step])
    await handle.cancel()
    ended = await stage.ended(handle)
    assert ended.status == "cancelled"
    check_undone(book, {*KINDS} if step == "flight" else {*KINDS, "pay"})


async def test_cancelled_after_the_tickets(stage: Example, book: Path) -> None:
    """There is no way back: what was sold is sold. What was still to do is not done."""
    handle = await stage.start(stage.input("mail-down"))
    await eventually("miles", lambda: "miles" in acts(book))
    await handle.cancel()
    ended = await stage.ended(handle)
    assert (ended.status, ended.undone) == ("cancelled", [])
    assert bookings(book) == [(kind, "booked") for kind in KINDS]
    assert (states(book, "payments"), states(book, "tickets")) == (["charged"], ["issued"])
    assert rows(book, "SELECT * FROM mails") == []


async def test_answers_are_lost(
    virtual: Example, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every act is tried again after it was done: it is done once."""
    lost = lose_answers(monkeypatch, "trip-booking", "once")
    ended = await virtual.run(virtual.input())
    assert ended.status == "completed" and len(lost) == 7
    check_done(book)


async def test_answers_are_lost_while_undoing(
    virtual: Example, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lose_answers(monkeypatch, "trip-booking", "once")
    ended = await virtual.run(virtual.input("bad-name"))
    assert ended.status == "compensated" and len(lost) == 8
    check_undone(book, {*KINDS, "pay"})


async def test_an_act_that_comes_after_its_undoing(
    server: WorkflowEnvironment, book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A booking of which no answer came has no number; a request that comes late books nothing."""
    text = (EXAMPLES / "trip-booking" / "workflow.yaml").read_text()
    text = text.replace("maximum_attempts: 5", "maximum_attempts: 1")
    file = tmp_path / "workflow.yaml"
    file.write_text(text.replace("start_to_close_timeout: 10s", "start_to_close_timeout: 2s"))
    agency = module("trip-booking")
    real: Callable[..., Any] = agency.once
    all_ended = threading.Event()
    late: list[Any] = []

    def once(do: Callable[..., Any]) -> Any:
        match agency.activity.info().activity_type:
            case "flights.book":  # does it, and the answer comes too late
                result = real(do)
                all_ended.wait(30)
            case "hotels.book":  # does it too late
                all_ended.wait(30)
                result = real(do)
                late.append(result)
            case _:
                result = real(do)
        return result

    monkeypatch.setattr(agency, "once", once)
    async with example(server, "trip-booking", "trip-booking-late", file) as stage:
        try:
            ended = await finished(stage)
        finally:
            all_ended.set()
        await eventually("the late act", lambda: late)
    assert ended.error is not None and ended.error[0] == "Timeout"
    assert set(ended.undone) == set(KINDS)
    assert late == [None]
    done = acts(book)
    assert sorted(done) == ["car", "car!undo", "flight", "flight!undo", "hotel!undo"]
    assert bookings(book) == [("car", "cancelled"), ("flight", "cancelled")]


async def test_the_last_car(stage: Example, book: Path) -> None:
    """Many trips at the same time: there are no more cars given away than there are."""
    with module("trip-booking").opened() as db:
        db.execute("UPDATE stock SET available = 2 WHERE kind = 'car' AND city = 'venice'")
    handles = await asyncio.gather(*(stage.start(stage.input("no-car")) for _ in range(6)))
    await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    ends = [(await stage.ended(handle)).status for handle in handles]
    assert sorted(ends) == ["compensated"] * 4 + ["completed"] * 2
    booked = rows(book, "SELECT kind, count(*) FROM bookings WHERE state = 'booked' GROUP BY kind")
    assert sorted(booked) == [(kind, 2) for kind in KINDS]
    left = rows(book, "SELECT kind, available FROM stock WHERE city = 'venice' ORDER BY kind")
    assert left == [("car", 0), ("flight", 98), ("hotel", 98)]
