"""`foreach` with `batch` at size: each item once, no long history, no dear item.

`FAN_OUT_ITEMS=10000` is the full size.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import tracemalloc
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.exceptions import ApplicationError

from benchmarks.fan_out import fan_out_rounds
from benchmarks.processes import process
from dsl.loader import load_text
from interpreter.activities import ActivityRegistry, idempotency_key
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.end_to_end.support import Site, WorkerProcess, eventually
from tests.support.fan_out import fan_out, grown, slices_of
from tests.support.servers import fetch_chain, replay

ITEMS = int(os.environ.get("FAN_OUT_ITEMS", "1000"))
BATCH = 500 if ITEMS >= 10_000 else ITEMS // 20
AT_ONCE = min(100, BATCH)
LONGEST = 6000
"""More events than any history may have."""
CONTINUE_AFTER = 60
"""After how many events the parent goes on as new, to show what it brings along."""
LARGEST_STATE = 100_000 * ITEMS // 10_000
"""More bytes than the parent may bring along."""
SECONDS = 60 + ITEMS // 50
PAGE = Path(__file__).parent.parent.parent / "docs" / "large-runs.md"


def _store(definition: dict[str, Any]) -> MemoryStore:
    loaded = load_text(json.dumps({"dsl": 1, **definition}))
    assert loaded.ok, loaded.diagnostics
    return MemoryStore(loaded.definitions)


def _notes(batch: int, at_once: int, **more: Any) -> dict[str, Any]:
    """A loop that notes each of `input.items` items."""
    note = {"id": "note", "activity": "note", "with": {"n": "${ item }"}, **more}
    return {
        "id": "all",
        "foreach": "range(input.items)",
        "batch": batch,
        "concurrency": at_once,
        "do": [note],
    }


END = {"id": "end", "value": "${ input.items }"}
"""A step after the loop: nothing reads what its items give."""


class Notes:
    """Activities that note what they were called for."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.undone: list[int] = []
        self.keys: list[str] = []

    def registry(self, *more: Callable[..., Any]) -> ActivityRegistry:
        @activity.defn(name="note")
        async def note(n: int) -> None:
            self.done.append(n)
            self.keys.append(idempotency_key())

        @activity.defn(name="forget")
        async def forget(n: int) -> None:
            self.undone.append(n)

        return ActivityRegistry([note, forget, *more])


async def _result(handle: WorkflowHandle[Any, Any]) -> Any:
    async with asyncio.timeout(SECONDS):
        return await handle.result()


def _given(history: WorkflowHistory) -> list[bytes]:
    """The arguments of a run."""
    started = history.events[0].workflow_execution_started_event_attributes
    return [payload.data for payload in started.input.payloads]


async def _replayed(site: Site, id: str) -> list[WorkflowHistory]:
    """The histories of a run and of its children, which replay from an empty cache."""
    chain = await fetch_chain(site.client, id, children=True)
    assert len(_split(chain, id)[1]) >= 1
    await replay(*chain)
    return chain


def _split(chain: list[WorkflowHistory], id: str) -> tuple[list[WorkflowHistory], ...]:
    """The runs of the parent, and those of its children."""
    parents = [one for one in chain if one.workflow_id == id]
    return parents, chain[len(parents) :]


def _states(parents: list[WorkflowHistory]) -> list[tuple[int, str]]:
    """What each run of the parent but the first brought along: its bytes, and the state in it."""
    found: list[tuple[int, str]] = []
    for history in parents[1:]:
        given = _given(history)[1]
        found.append((len(given), json.loads(given)["checkpoint"]["state"]))
    return found


def _events(history: WorkflowHistory) -> Counter[str]:
    """How many events of each type."""
    names = (EventType.Name(event.event_type) for event in history.events)
    return Counter(name.removeprefix("EVENT_TYPE_") for name in names)


async def test_each_item_once(site: Site) -> None:
    """The histories are as long as is calculated, and what is brought along is small."""
    notes = Notes()
    definition = {"name": "large", "steps": [_notes(BATCH, AT_ONCE), END]}
    worker = make_worker(
        site.client,
        _store(definition),
        notes.registry(),
        task_queue="large",
        continue_after=CONTINUE_AFTER,
    )
    async with worker:
        handle = await site.client.start_workflow(
            "large", {"items": ITEMS}, id="large", task_queue="large"
        )
        assert await _result(handle) == ITEMS
    chain = await _replayed(site, "large")
    parents, children = _split(chain, "large")
    root = parents[0].events[0].workflow_execution_started_event_attributes.first_execution_run_id
    assert sorted(notes.done) == list(range(ITEMS))
    assert sorted(notes.keys) == sorted(f"{root}/all[{n}].note" for n in range(ITEMS))

    plan = fan_out(ITEMS, BATCH, most=CONTINUE_AFTER)
    assert len({child.workflow_id for child in children}) == len(children) == plan.slices
    assert plan.items == ITEMS
    assert [len(one.events) for one in parents] == plan.parents
    assert max(len(one.events) for one in children) <= plan.child
    largest = max(len(one.events) for one in chain)
    assert largest < LONGEST
    for child in children:
        _check_child(child)

    states = _states(parents)
    assert len(states) >= 2
    sizes = [size for size, _ in states]
    assert max(sizes) < LARGEST_STATE
    print(f"\n{ITEMS} items: the largest history has {largest} events, the parent", end=" ")
    print(f"{[len(one.events) for one in parents]}, and brought along {sizes} bytes")


def _check_child(history: WorkflowHistory) -> None:
    """A child has its start, its end, its activities and its tasks, and no other event."""
    events = _events(history)
    done = events["ACTIVITY_TASK_COMPLETED"]
    tasks = events["WORKFLOW_TASK_SCHEDULED"]
    assert done == BATCH
    assert len(history.events) == 1 + 3 * tasks + 3 * done + 1, events


async def test_several_slices_at_the_same_time(site: Site) -> None:
    """Their parent goes on as new, too: it begins no more slices, and waits for those at work."""
    definition = {
        "name": "abreast",
        "steps": [{**_notes(1, 4), "do": [{"value": "${ item }"}]}, END],
    }
    worker = make_worker(
        site.client,
        _store(definition),
        ActivityRegistry([]),
        task_queue="abreast",
        continue_after=CONTINUE_AFTER,
    )
    async with worker:
        handle = await site.client.start_workflow(
            "abreast", {"items": 100}, id="abreast", task_queue="abreast"
        )
        assert await _result(handle) == 100
    parents, _ = _split(await _replayed(site, "abreast"), "abreast")
    lengths = [len(one.events) for one in parents]
    assert len(parents) >= 5 and max(lengths) < 3 * CONTINUE_AFTER, lengths


async def test_an_item_of_many_costs_no_more(site: Site) -> None:
    """CPU time of the worker, at a tenth of the size of `python -m benchmarks`."""
    async with process("activities", site.address):
        found = await fan_out_rounds(
            site.client, site.address, rounds=3, few=200, many=1000, batch=100
        )
    print(f"\nan item of 1,000 against 200: {found.ratio}; {found.large}, {found.small}")
    assert found.ratio.median < 1.4


ACTIVITIES = """\
import asyncio, os
from temporalio import activity

@activity.defn(name="note")
async def note(n: int) -> None:
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{n}\\n")
    await asyncio.sleep(0.2)
"""


@pytest.mark.waits
async def test_a_killed_worker(site: Site, tmp_path: Path) -> None:
    """What was done stays done; what was in flight is done again by the next worker."""
    items, batch, at_once = 200, 40, 20
    notes = tmp_path / "notes"
    notes.write_text("")
    (tmp_path / "activities.py").write_text(ACTIVITIES)
    (tmp_path / "definitions").mkdir()
    loop = _notes(batch, at_once, start_to_close_timeout="3s")
    definition = {"dsl": 1, "name": "killed", "steps": [loop, END]}
    (tmp_path / "definitions" / "killed.yaml").write_text(json.dumps(definition))
    arguments = ("--definitions", tmp_path / "definitions", "--task-queue", "fan-out-killed")

    def noted() -> list[int]:
        return [int(line) for line in notes.read_text().splitlines()]

    def worker(log: str) -> WorkerProcess:
        return WorkerProcess(site, tmp_path / log, *arguments, example=tmp_path, NOTES=str(notes))

    with worker("1.log") as first:
        await first.ready()
        handle = await site.client.start_workflow(
            "killed", {"items": items}, id="killed", task_queue="fan-out-killed"
        )
        await eventually("notes", lambda: len(noted()) >= batch + batch // 2)
        assert (await first.stopped(signal.SIGKILL))[0] == -signal.SIGKILL
    before = noted()
    assert len(before) < items
    with worker("2.log") as second:
        await second.ready()
        assert await _result(handle) == items
        assert (await second.stopped(signal.SIGTERM))[0] == 0
    times = Counter(noted())
    assert times.keys() == set(range(items))
    again = {n for n, count in times.items() if count > 1}
    assert again <= set(before[-2 * at_once :]) and len(again) <= at_once
    assert max(times.values()) <= 2
    # As the histories tell: no item is done more often than Temporal tried it.
    chain = await _replayed(site, "killed")
    for child in _split(chain, "killed")[1]:
        first_item = int(re.search(r"\[(\d+)-\d+\]$", child.workflow_id)[1])  # pyright: ignore
        scheduled = {}
        for event in child.events:
            started = event.activity_task_started_event_attributes
            match event.event_type:
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    scheduled[event.event_id] = first_item + len(scheduled)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                    assert times[scheduled[started.scheduled_event_id]] <= started.attempt
                case _:
                    pass


async def test_undoing_all_of_it(site: Site) -> None:
    """Each item once, slice by slice, the last first."""
    items, batch = 1000, 50
    notes = Notes()
    undo = {"activity": "forget", "with": {"n": "${ step.input.n }"}}
    definition = {
        "name": "undone",
        "steps": [_notes(batch, batch, compensate=undo), {"raise": "Enough"}],
    }
    worker = make_worker(
        site.client,
        _store(definition),
        notes.registry(),
        task_queue="undone",
        continue_after=100,
    )
    async with worker:
        handle = await site.client.start_workflow(
            "undone", {"items": items}, id="undone", task_queue="undone"
        )
        with pytest.raises(WorkflowFailureError):
            await _result(handle)
        state = await handle.query("status")
    assert state["status"] == "compensated"
    assert sorted(notes.done) == sorted(notes.undone) == list(range(items))
    slices = [n // batch for n in notes.undone]
    assert all(later <= earlier for earlier, later in pairwise(slices))
    chain = await _replayed(site, "undone")
    assert max(len(one.events) for one in chain) < LONGEST
    parents, _ = _split(chain, "undone")
    size = _states(parents)[-1][0]
    kept = items - len([one for one in parents[-1].events if _initiates(one)]) * batch
    print(f"\nto undo an item the parent brings along {size / max(batch, kept):.0f} bytes")


def _initiates(event: Any) -> bool:
    kind = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    attributes = event.start_child_workflow_execution_initiated_event_attributes
    return event.event_type == kind and "!undo" not in attributes.workflow_id


async def test_redriven_by_slices(site: Site) -> None:
    """Slices that completed stand, and of the one that failed the items that were done."""
    notes = Notes()
    checked: list[int] = []
    broken = True

    @activity.defn(name="check")
    async def check(n: int) -> None:
        checked.append(n)
        if broken and n == 7:
            raise ApplicationError("broken", type="Broken", non_retryable=True)

    loop = _notes(5, 1)
    loop["do"].append({"id": "check", "activity": "check", "with": {"n": "${ item }"}})
    store = _store({"name": "redriven", "steps": [loop, END]})
    registry = notes.registry(check)
    async with make_worker(site.client, store, registry, task_queue="redriven"):
        handle = await site.client.start_workflow(
            "redriven", {"items": 12}, id="redriven", task_queue="redriven"
        )
        with pytest.raises(WorkflowFailureError):
            await _result(handle)
        broken = False
        again = await site.client.start_workflow(
            "redriven",
            args=[{}, {"redrive": handle.first_execution_run_id}],
            id="redriven",
            task_queue="redriven",
        )
        assert await _result(again) == 12
    assert notes.done == list(range(12)) and checked == [*range(8), *range(7, 12)]
    root = handle.first_execution_run_id
    assert notes.keys == [f"{root}/all[{n}].note" for n in notes.done]
    await _replayed(site, "redriven")


async def test_children_get_no_more_than_they_need(site: Site) -> None:
    """Of a large list their slice; of the input the keys that their steps read."""
    items, batch = 5000, 500
    given = {
        "items": [{"sku": f"sku-{n}", "count": n % 7} for n in range(items)],
        "rate": 3,
        "unread": ["x" * 100] * 100,
    }
    definition = {
        "name": "list",
        "steps": [
            {
                "id": "all",
                "foreach": "input.items",
                "batch": batch,
                "do": [{"value": "${ item.count * input.rate }"}],
            }
        ],
    }
    worker = make_worker(site.client, _store(definition), ActivityRegistry([]), task_queue="list")
    async with worker:
        handle = await site.client.start_workflow("list", given, id="list", task_queue="list")
        assert await _result(handle) == [n % 7 * 3 for n in range(items)]
    chain = await _replayed(site, "list")
    _, children = _split(chain, "list")
    assert len(children) == items // batch
    whole = len(json.dumps(given))
    for number, child in enumerate(children):
        inputs, slice = _given(child)
        assert json.loads(inputs) == {"rate": 3}
        assert json.loads(slice)["slice"]["items"] == given["items"][number * batch :][:batch]
        assert len(slice) < whole // 7


async def test_a_range_is_never_made(site: Site) -> None:
    """A loop over a thousand million items fails at the third one, in little memory."""
    definition = {
        "name": "endless",
        "steps": [
            {
                "id": "all",
                "foreach": "range(input.items)",
                "batch": 10_000,
                "do": [{"raise": "Third", "if": "item == 2"}],
            },
            END,
        ],
    }
    worker = make_worker(
        site.client, _store(definition), ActivityRegistry([]), task_queue="endless"
    )
    async with worker:
        tracemalloc.start()
        try:
            handle = await site.client.start_workflow(
                "endless", {"items": 1_000_000_000}, id="endless", task_queue="endless"
            )
            with pytest.raises(WorkflowFailureError):
                await _result(handle)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 50_000_000
    await _replayed(site, "endless")


async def test_the_state_of_many_slices(site: Site) -> None:
    """What the parent brings along grows slowly: as is calculated, also for 2,000 slices."""
    definition = {
        "name": "slices",
        "steps": [{**_notes(1, 1), "do": [{"value": "${ item }"}]}, END],
    }
    worker = make_worker(
        site.client,
        _store(definition),
        ActivityRegistry([]),
        task_queue="slices",
        continue_after=400,
    )
    async with worker:
        handle = await site.client.start_workflow(
            "slices", {"items": 150}, id="slices", task_queue="slices"
        )
        assert await _result(handle) == 150
    states = _states(_split(await _replayed(site, "slices"), "slices")[0])
    (_, few), *_, (size, many) = states
    slices = slices_of(many, "all")
    assert slices > 2 * slices_of(few, "all")
    assert len(grown(few, "all", slices)) == pytest.approx(len(many), rel=0.1)
    # Of 2,000 slices, as they are in a run of 1,000,000 items.
    beside = size - len(many)
    print(f"\nwith 2,000 slices it brings along {beside + len(grown(many, 'all', 2000)):,} bytes")
    told = _calculation()["kB that the parent brings along, at most"]
    assert told / 2 < (beside + len(grown(many, "all", 2000))) / 1000 <= told


def _calculation() -> dict[str, int]:
    """The table of docs/large-runs.md."""
    rows = re.findall(r"^\| ([^|]+?) \| ([0-9,]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {what: int(number.replace(",", "")) for what, number in rows}


def test_the_calculation() -> None:
    """What docs/large-runs.md says of 1,000,000 items is what the walk of its slices gives."""
    told = _calculation()
    plan = fan_out(1_000_000, 500)
    assert plan.items == 1_000_000
    del told["kB that the parent brings along, at most"]  # see the test before
    assert told == {
        "children, one after the other": plan.slices,
        "events of a child, at most": plan.child,
        "events of all children, at most": plan.slices * plan.child,
        "runs of the parent": len(plan.parents),
        "events of the parent, all its runs": sum(plan.parents),
        "events of the longest history, at most": plan.largest,
    }
