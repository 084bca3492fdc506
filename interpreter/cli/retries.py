"""Activities that failed and are tried again: only the server knows of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import TimeoutType

if TYPE_CHECKING:
    from temporalio.api.failure.v1 import Failure
    from temporalio.api.workflow.v1 import PendingActivityInfo
    from temporalio.client import WorkflowExecutionDescription

__all__ = ["Retried", "retried"]

_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Retried:
    """An activity that failed at least once and has not ended yet.

    Args:
        step: The path of its step; that of a compensation ends in `!undo`.
        activity: Its type.
        attempt: The number of the attempt that goes on or comes next.
        after: What the one before failed with.
        wait: Seconds until the next one begins; 0 if it goes on.
    """

    step: str
    activity: str
    attempt: int
    after: str
    wait: float


def retried(description: WorkflowExecutionDescription) -> list[Retried]:
    """The activities of a run that are tried again."""
    pending = description.raw_description.pending_activities
    return [_retried(one) for one in pending if one.HasField("last_failure")]


def _retried(one: PendingActivityInfo) -> Retried:
    wait = 0.0
    if one.HasField("scheduled_time"):
        wait = max(0.0, one.scheduled_time.ToNanoseconds() / 1e9 - time.time())
    return Retried(
        one.activity_id, one.activity_type.name, one.attempt, _said(one.last_failure), wait
    )


def _said(failure: Failure) -> str:
    """A failure in one line, as `Type: message`."""
    kind = failure.application_failure_info.type
    if failure.HasField("timeout_failure_info"):
        name = TimeoutType.Name(failure.timeout_failure_info.timeout_type)
        kind = f"Timeout ({name.removeprefix('TIMEOUT_TYPE_').lower()})"
    lines = failure.message.splitlines() or [""]
    message = lines[0][:_LENGTH] + ("..." if lines[1:] or len(lines[0]) > _LENGTH else "")
    return ": ".join(part for part in (kind, message) if part) or "an error"
