"""What a history holds, and the proof that all variants did the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from benchmarks.scenarios import Scenario

__all__ = ["Size", "check_same", "size_of"]

_SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
_MARKER = EventType.EVENT_TYPE_MARKER_RECORDED


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a history.

    Attributes:
        events: How many events.
        bytes: Their bytes.
        pinned: The bytes among them of the marker with the definition.
    """

    events: float
    bytes: float
    pinned: float


def size_of(histories: list[WorkflowHistory]) -> Size:
    """The median size of histories of one scenario."""
    return Size(
        median(len(history.events) for history in histories),
        median(sum(event.ByteSize() for event in history.events) for history in histories),
        median(
            sum(event.ByteSize() for event in history.events if event.event_type == _MARKER)
            for history in histories
        ),
    )


def _acts(history: WorkflowHistory) -> list[tuple[Any, ...]]:
    """Each activity that was scheduled: its type, arguments and options, but not its id."""
    acts = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.event_type == _SCHEDULED
    ]
    return [
        (
            act.activity_type.name,
            [json.loads(one.data) for one in act.input.payloads],
            act.start_to_close_timeout.ToSeconds(),
            act.schedule_to_close_timeout.ToSeconds(),
            act.schedule_to_start_timeout.ToSeconds(),
            act.heartbeat_timeout.ToSeconds(),
            act.retry_policy.SerializeToString(deterministic=True),
            act.header.SerializeToString(deterministic=True),
        )
        for act in acts
    ]


def check_same(scenario: Scenario, histories: dict[str, list[WorkflowHistory]]) -> None:
    """Proves that all variants ran the same activities, with the same arguments and options.

    Raises:
        AssertionError: if they did not.
    """
    first = _acts(histories["plain"][0])
    if len(first) != scenario.activities:
        raise AssertionError(f"{scenario.name}: {len(first)} activities")
    for variant, some in histories.items():
        for history in some:
            if _acts(history) != first:
                raise AssertionError(f"{scenario.name}: {variant} did not do the same")
