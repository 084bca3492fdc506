"""What is known of a run: turn by turn, what it learnt and what it did about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpreter.testing.rules import Unsupported

__all__ = ["Cancelled", "Ended", "Event", "Observation", "Rang", "Turn", "read_history"]


@dataclass(frozen=True, slots=True)
class Ended:
    """An act that was sent has ended: all its attempts, which are one act.

    Args:
        path: Its path, which is its idempotency key.
        outcome: `completed failed timed_out cancelled`.
        output: Its result.
        error: `{type, message, details}` where it failed or timed out.
        final: Whether its error was said to be not retryable.
    """

    path: str
    outcome: str = "completed"
    output: Any = None
    error: Mapping[str, Any] | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Rang:
    """A timer rang: of a sleep its path, `timeout of <path>`, `before try 2 of <path>`."""

    name: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody cancelled the run."""


Event = Ended | Rang | Cancelled


@dataclass(frozen=True, slots=True)
class Turn:
    """A workflow task. What a run learns in one turn it learns at the same time.

    Args:
        seen: What it learnt, in order.
        sent: The paths of the acts that it sent then.
        stopped: The paths of the acts that it cancelled then.
    """

    seen: tuple[Event, ...] = ()
    sent: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """A run that has ended.

    Args:
        turns: Its turns.
        status: Its final status.
        saga: The saga log: for each entry path, forward status, compensation status.
        input: What it was started with.
    """

    turns: tuple[Turn, ...]
    status: str
    saga: tuple[tuple[str, str, str], ...] = ()
    input: Any = None


def read_history(
    histories: Sequence[Mapping[str, Any]], report: Mapping[str, Any], input: Any = None
) -> Observation:
    """What histories tell of a run.

    Args:
        histories: As the JSON format has them (`WorkflowHistory.to_json_dict()`): one, or several
            where the run went on as new.
        report: What the run answers to the query `status`.
        input: What it was started with.

    Raises:
        Unsupported: if it never began.
    """
    if "compensations" not in report:
        raise Unsupported("a run that was refused")
    reader = _Reader()
    for history in histories:
        for event in history["events"]:
            reader.read(event)
    saga = tuple((e["step"], e["status"], e["compensation"]) for e in report["compensations"])
    turns = tuple(Turn(tuple(t.seen), tuple(t.sent), tuple(t.stopped)) for t in reader.turns)
    return Observation(turns, report["status"], saga, input)


class _Open:
    def __init__(self, seen: list[Event]) -> None:
        self.seen = seen
        self.sent: list[str] = []
        self.stopped: list[str] = []


class _Reader:
    def __init__(self) -> None:
        self.turns: list[_Open] = []
        self.arrived: list[Event] = []  # and not yet seen
        self.looked = 0  # how many of them the task that began last sees
        self.goes_on = False
        self.names: dict[str, str] = {}  # of acts and timers, by the event that began them

    def read(self, event: Mapping[str, Any]) -> None:
        kind = event["eventType"].removeprefix("EVENT_TYPE_")
        key = next((key for key in event if key.endswith("EventAttributes")), "")
        said = event.get(key, {})
        match kind:
            case "WORKFLOW_TASK_STARTED":
                self.looked = len(self.arrived)
            case "WORKFLOW_TASK_COMPLETED":
                seen = self.arrived[: self.looked]
                del self.arrived[: self.looked]
                if self.goes_on:  # the first turn of the new run goes on with the last one
                    self.turns[-1].seen += seen
                else:
                    self.turns.append(_Open(seen))
                self.goes_on = False
            case "WORKFLOW_EXECUTION_CONTINUED_AS_NEW":
                self.goes_on = True
            case "ACTIVITY_TASK_SCHEDULED":
                self.names[event["eventId"]] = said["activityId"]
                self.turns[-1].sent.append(said["activityId"])
            case "ACTIVITY_TASK_CANCEL_REQUESTED":
                self.turns[-1].stopped.append(self.names[said["scheduledEventId"]])
            case "TIMER_STARTED":
                summary = event.get("userMetadata", {}).get("summary")
                self.names[event["eventId"]] = str(_value(summary)) if summary else ""
            case "TIMER_FIRED":
                self.arrived.append(Rang(self.names[said["startedEventId"]]))
            case "WORKFLOW_EXECUTION_CANCEL_REQUESTED":
                self.arrived.append(Cancelled())
            case "ACTIVITY_TASK_COMPLETED":
                payloads = said.get("result", {}).get("payloads", [])
                output = _value(payloads[0]) if payloads else None
                self.ended(said, "completed", output=output)
            case "ACTIVITY_TASK_CANCELED":
                self.ended(said, "cancelled")
            case "ACTIVITY_TASK_FAILED" | "ACTIVITY_TASK_TIMED_OUT":
                failure = said["failure"]
                info = failure.get("applicationFailureInfo")
                kind = failure.get("timeoutFailureInfo", {}).get("timeoutType", "")
                kind = kind.removeprefix("TIMEOUT_TYPE_").lower()
                # The server gives up as soon as no further attempt fits.
                over = said.get("retryState") == "RETRY_STATE_TIMEOUT"
                over = (over and kind != "schedule_to_start") or kind == "schedule_to_close"
                if info is None or over:
                    details = {"kind": "step" if over else kind}
                    self.ended(said, "timed_out", error={"type": "Timeout", "details": details})
                else:
                    details = [_value(one) for one in info.get("details", {}).get("payloads", [])]
                    error = {
                        "type": info.get("type", "Error"),
                        "message": failure.get("message", ""),
                        "details": details[0] if len(details) == 1 else details or None,
                    }
                    self.ended(said, "failed", error=error, final=info.get("nonRetryable", False))
            case _:
                pass

    def ended(self, said: Mapping[str, Any], outcome: str, **more: Any) -> None:
        self.arrived.append(Ended(self.names[said["scheduledEventId"]], outcome, **more))


def _value(payload: Mapping[str, Any]) -> Any:
    data = base64.b64decode(payload.get("data", ""))
    return json.loads(data) if data else None
