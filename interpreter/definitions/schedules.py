"""The schedules of definitions: Schedules of Temporal that follow what is live.

A Schedule is made of the revision that `live` points to, and starts the name: what it starts is
resolved at that moment. Whoever moves `live` settles it afterwards. To settle it twice, or by two
at once, gives the same: each looks again at what is live once it has written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import Priority
from temporalio.service import RPCError, RPCStatusCode

from dsl.model.definition import Definition
from dsl.model.schedule import Cron, Range, read_cron, seconds_of
from dsl.model.schedule import Schedule as Wanted
from interpreter.definitions.entity import LIVE
from interpreter.definitions.registry import Head, Registry
from interpreter.errors import Fault
from interpreter.payloads import value_of, written

__all__ = [
    "DEFAULT_QUEUE",
    "Change",
    "ScheduleError",
    "Settled",
    "foresee",
    "id_of_schedule",
    "settle",
]

DEFAULT_QUEUE = "dsl"
"""The task queue of runs where nobody says another one."""
_PREFIX = "dsl.schedule/"
_MEMO = "dsl.schedule"
"""Says in the memo of a Schedule whose it is, and in that of its action what it was made of."""
_BY_DEFINITION = "paused by its definition"
_YEAR = timedelta(days=365)
_ROUNDS = 10
"""How often it is tried again where others change the same Schedule."""


class Change(StrEnum):
    """What became of a Schedule."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done with the Schedule of a definition, or would be.

    Args:
        id: Its id.
        change: What became of it; None where it was as it should be.
        keys: What was changed in it: keys of `schedule`, and `task queue`.
        there: Whether there is one now.
    """

    id: str
    change: Change | None
    keys: tuple[str, ...] = ()
    there: bool = True


class ScheduleError(Exception):
    """A Schedule cannot be made: its input is too large, or somebody else's is in its place."""


def id_of_schedule(name: str) -> str:
    """The id of the Schedule of a definition."""
    return _PREFIX + name


async def foresee(client: Client, definition: Definition, queue: str) -> Settled:
    """What would become of the Schedule if a definition were live.

    Raises:
        ScheduleError: if it cannot be made.
        RPCError: if the server does not say what there is.
    """
    plain = _plain(client)
    found = await _found(plain, definition.name)
    return _outcome(definition.name, definition.schedule, found, queue)


async def settle(
    client: Client,
    registry: Registry,
    name: str,
    queue: str | None = None,
    known: Definition | None = None,
    known_digest: str | None = None,
) -> Settled:
    """Makes the Schedule of a definition what its live revision says.

    Args:
        client: A client in the namespace of the runs.
        registry: Where the revisions are.
        name: The definition's name.
        queue: The task queue of the runs; without it that of the Schedule that there is.
        known: A revision that is at hand, probably the live one.
        known_digest: Its digest.

    Raises:
        ScheduleError: if it cannot be made.
        RPCError: if the server does not do it.
        UnknownDefinitionError: if the registry has lost it.
        ValueError: if the revision is of another version of the language's model.
    """
    plain = _plain(client)
    done: Settled | None = None
    for _ in range(_ROUNDS):
        live = _live(await registry.head(name))
        if live is None:
            wanted = None
        elif known is not None and live[1] == known_digest:
            wanted = known.schedule
        else:
            wanted = (await registry.stored(name, live[0])).definition.schedule
        outcome = await _write(plain, name, wanted, queue)
        if outcome is None:
            continue  # somebody else was quicker
        done = outcome if done is None or outcome.change is not None else done
        if outcome.change is None or _live(await registry.head(name)) == live:
            return done
    raise RPCError("others keep changing it", RPCStatusCode.ABORTED, b"")


def _live(head: Head | None) -> tuple[int, str] | None:
    """The number and the digest of the revision that starts take; None where none are taken."""
    if head is None or head.retired or LIVE not in head.aliases:
        return None
    return head.aliases[LIVE], head.digests[LIVE]


def _plain(client: Client) -> Client:
    """The same client without external storage: what a Schedule holds is read by the server."""
    return Client(client.service_client, namespace=client.namespace)


async def _found(client: Client, name: str) -> ScheduleDescription | None:
    try:
        return await client.get_schedule_handle(id_of_schedule(name)).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise


def _is_ours(found: ScheduleDescription, name: str) -> bool:
    return _json(found.raw_description.memo.fields.get(_MEMO)) == name


def _outcome(
    name: str, wanted: Wanted | None, found: ScheduleDescription | None, queue: str | None
) -> Settled:
    """What is to be done.

    Raises:
        ScheduleError: if it cannot be done.
    """
    id = id_of_schedule(name)
    if found is not None and not _is_ours(found, name):
        if wanted is not None:
            raise ScheduleError(
                f"there is a schedule {id} already, which was not made by temporal-dsl: "
                "delete it, or give the definition another name"
            )
        return Settled(id, None, there=False)
    if wanted is None:
        return Settled(id, None if found is None else Change.REMOVED, there=False)
    there = found.schedule if found is not None else None
    new = _schedule(name, wanted, queue, there)
    if there is None:
        return Settled(id, Change.CREATED)
    facts, were = _facts(new), _facts(there)
    keys = tuple(key for key in facts if facts[key] != were[key])
    return Settled(id, Change.CHANGED if keys else None, keys)


async def _write(
    client: Client, name: str, wanted: Wanted | None, queue: str | None
) -> Settled | None:
    """Does what is to be done; None where somebody else changed it meanwhile."""
    handle = client.get_schedule_handle(id_of_schedule(name))
    outcome = _outcome(name, wanted, await _found(client, name), queue)
    try:
        match outcome.change:
            case Change.REMOVED:
                await handle.delete()
            case Change.CREATED:
                assert wanted is not None
                schedule = _schedule(name, wanted, queue, None)
                await client.create_schedule(outcome.id, schedule, memo={_MEMO: name})
            case Change.CHANGED:
                assert wanted is not None
                await handle.update(_updater(name, wanted, queue))
            case None:
                pass
    except ScheduleAlreadyRunningError:
        return None
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    return outcome


def _updater(
    name: str, wanted: Wanted, queue: str | None
) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    def update(given: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(_schedule(name, wanted, queue, given.description.schedule))

    return update


# What is wanted, as Temporal has it.


def _schedule(name: str, wanted: Wanted, queue: str | None, there: Schedule | None) -> Schedule:
    """The Schedule of a definition.

    Args:
        name: The definition's name.
        wanted: What the definition says.
        queue: The task queue of the runs; without it that of the Schedule that there is.
        there: The one that there is: its state belongs to the operators.
    """
    paused = bool(wanted.paused)
    try:
        input = written(wanted.given, f"the input of the schedule of {name}").payload
    except Fault as fault:
        raise ScheduleError(fault.message) from None
    return Schedule(
        action=ScheduleActionStartWorkflow(
            name,
            args=[input],
            id=name,
            task_queue=queue or _queue_of(there),
            memo={_MEMO: {"id": id_of_schedule(name), "paused": paused}},
        ),
        spec=_spec(wanted),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy[(wanted.overlap or "skip").upper()],
            catchup_window=_duration(wanted.catchup) or _YEAR,
        ),
        state=_state(paused, there),
    )


def _state(paused: bool, there: Schedule | None) -> ScheduleState:
    """Paused as operators left it, until the definition says something else than before."""
    note = _BY_DEFINITION if paused else None
    if there is None:
        return ScheduleState(paused=paused, note=note)
    said = _said(there)
    if said is None or said == paused:
        return there.state
    return ScheduleState(
        paused=paused,
        note=note,
        limited_actions=there.state.limited_actions,
        remaining_actions=there.state.remaining_actions,
    )


def _spec(wanted: Wanted) -> ScheduleSpec:
    calendars = [_calendar(read_cron(text), text) for text in wanted.crons]
    intervals: list[ScheduleIntervalSpec] = []
    every = _duration(wanted.every)
    if every is not None:
        intervals.append(ScheduleIntervalSpec(every, _duration(wanted.offset)))
    return ScheduleSpec(
        calendars=calendars,
        intervals=intervals,
        jitter=_duration(wanted.jitter),
        time_zone_name=(wanted.timezone or "UTC") if calendars else None,
    )


def _calendar(cron: Cron, text: str) -> ScheduleCalendarSpec:
    """A calendar, and not the expression: what the server has is then what was sent."""
    return ScheduleCalendarSpec(
        second=_ranges(cron.second),
        minute=_ranges(cron.minute),
        hour=_ranges(cron.hour),
        day_of_month=_ranges(cron.day_of_month),
        month=_ranges(cron.month),
        year=_ranges(cron.year),
        day_of_week=_ranges(cron.day_of_week),
        comment=text,
    )


def _ranges(given: tuple[Range, ...]) -> tuple[ScheduleRange, ...]:
    return tuple(ScheduleRange(one.start, one.end, one.step) for one in given)


def _duration(text: str | None) -> timedelta | None:
    """A duration; none of no length."""
    seconds = seconds_of(text)
    return timedelta(seconds=seconds) if seconds else None


# What there is, in a form that can be compared.


def _facts(schedule: Schedule) -> dict[str, Any]:
    """What a Schedule says, by the keys that say it."""
    action, spec = schedule.action, schedule.spec
    facts: dict[str, Any] = {
        "cron": [list(spec.calendars), list(spec.cron_expressions)],
        "every": [(one.every, one.offset or timedelta()) for one in spec.intervals],
        "times": [list(spec.skip), spec.start_at, spec.end_at],
        "timezone": spec.time_zone_name or None,
        "overlap": schedule.policy.overlap,
        "catchup": schedule.policy.catchup_window,
        "jitter": spec.jitter or None,
        "pause on failure": schedule.policy.pause_on_failure,
        "input": None,
        "paused": None,
        "task queue": None,
        "action": None,
    }
    if isinstance(action, ScheduleActionStartWorkflow):
        facts["input"] = [_text(one) for one in action.args]
        facts["paused"] = _said(schedule)
        facts["task queue"] = action.task_queue
        facts["action"] = [
            *(action.workflow, action.id, _memo_of(action, "id"), len(action.memo or {})),
            *(action.execution_timeout, action.run_timeout, action.task_timeout),
            *(action.retry_policy, len(action.typed_search_attributes)),
            *(len(action.untyped_search_attributes), bool(action.headers)),
            *(action.static_summary, action.static_details, action.priority == Priority.default),
        ]
    return facts


def _queue_of(schedule: Schedule | None) -> str:
    action = schedule.action if schedule is not None else None
    return action.task_queue if isinstance(action, ScheduleActionStartWorkflow) else DEFAULT_QUEUE


def _said(schedule: Schedule) -> bool | None:
    """Whether the definition said that it is paused; None where that is not known."""
    action = schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow):
        return None
    said = _memo_of(action, "paused")
    return said if isinstance(said, bool) else None


def _memo_of(action: ScheduleActionStartWorkflow, key: str) -> Any:
    """What the memo of an action says, which is a payload where the server gave it."""
    kept: Any = (action.memo or {}).get(_MEMO)
    said = _json(kept) if isinstance(kept, Payload) else kept
    return said.get(key) if isinstance(said, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _text(given: Any) -> str:
    """An argument as a text that tells it from others; keys have their order."""
    said = _json(given)
    return repr(said) if isinstance(said, Payload) else json.dumps(said)


def _json(given: Any) -> Any:
    """The value of a payload; what was given where that is none, or holds no JSON."""
    if not isinstance(given, Payload):
        return given
    try:
        return value_of(given)
    except ValueError:
        return given
