"""quorum: three firms of five, and what became of the others' reservations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.examples.support import Example, example, lose_answers, rows


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quorum(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example, in real time: who is first is up to the firms."""
    async with example(server, "quorum", "quorum") as stage:
        yield stage


def reservations(db: Path) -> dict[str, str]:
    """The state of each firm's reservation; nobody may have two."""
    found = rows(db, "SELECT firm, state FROM reservations")
    assert len(found) == len(dict(found)), found
    return dict(found)


def acts(db: Path) -> list[str]:
    """The acts that were done, in order."""
    keys = rows(db, "SELECT key FROM acts ORDER BY number")
    return [key.split("/", 1)[1] for (key,) in keys]


def released(db: Path) -> list[str]:
    """The undoings, sorted; each has given back one generator."""
    found = rows(db, "SELECT key, result FROM acts WHERE activity = 'firms.release'")
    assert {result for _, result in found} <= {'{"released": 1}'}, found
    return sorted(key.split("/", 1)[1] for key, _ in found)


def path(firm: int) -> str:
    return f"reservations[{firm}].reserve"


async def test_three_of_five(quorum: Example, db: Path) -> None:
    ended = await quorum.ended(await quorum.start(quorum.input()))
    assert (ended.status, ended.error) == ("completed", None)
    assert ended.output == {"firms": ["acorn", "birch", "cedar"], "price": 320}
    # The other two held a generator when they were cancelled: each gave it back, once.
    held = dict.fromkeys(("acorn", "birch", "cedar"), "confirmed")
    assert reservations(db) == held | {"dogwood": "released", "elm": "released"}
    assert sorted(ended.undone) == [path(3), path(4)]
    assert released(db) == [f"{path(3)}!undo", f"{path(4)}!undo"]
    # They were undone before it went on: nothing is in flight when the contract is signed.
    assert acts(db)[-1] == "contract"
    signed = rows(db, "SELECT event_id, firms, price FROM contracts")
    assert signed == [("summer-festival", "acorn, birch, cedar", 320)]
    assert ended.seconds < 25, "it waited for the slow ones"


async def test_no_quorum(quorum: Example, db: Path) -> None:
    ended = await quorum.ended(await quorum.start(quorum.input("no-quorum")))
    assert ended.status == "compensated"
    assert ended.error is not None and ended.error[0] == "BookedOut"
    # Three said no and hold nothing; the one that held and the one that waited gave it back.
    assert reservations(db) == {"acorn": "released", "dogwood": "released"}
    assert sorted(ended.undone) == [path(0), path(3)]
    assert released(db) == [f"{path(0)}!undo", f"{path(3)}!undo"]
    assert rows(db, "SELECT * FROM contracts") == []
    assert ended.seconds < 25


async def test_over_budget(quorum: Example, db: Path) -> None:
    """The quorum is there, and a later step fails: the winners are undone too, the losers once."""
    ended = await quorum.ended(await quorum.start(quorum.input("over-budget")))
    assert ended.status == "compensated"
    assert ended.error == ("OverBudget", "320 euros are over the budget of 200")
    firms = ("acorn", "birch", "cedar", "dogwood", "elm")
    assert reservations(db) == dict.fromkeys(firms, "released")
    assert sorted(ended.undone) == [path(firm) for firm in range(5)]
    assert set(ended.undone[:2]) == {path(3), path(4)}, "the losers were undone first"
    assert released(db) == [f"{path(firm)}!undo" for firm in range(5)]
    assert rows(db, "SELECT * FROM contracts") == []


async def test_answers_are_lost(quorum: Example, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every act is tried again after it was done: it is recorded once."""
    lost = lose_answers(monkeypatch, "quorum", "once")
    firms = ["acorn", "birch", "cedar"]
    ended = await quorum.ended(await quorum.start(quorum.input(firms=firms, budget=200)))
    assert (ended.status, ended.error and ended.error[0]) == ("compensated", "OverBudget")
    assert reservations(db) == dict.fromkeys(firms, "released")
    assert released(db) == [f"{path(firm)}!undo" for firm in range(3)]
    assert len(lost) == 6  # three reservations and their undoings
