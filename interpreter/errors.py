"""What can go wrong while a definition runs, and how an error is written.

Exception
├── StepError    an error of the workflow's world: caught by `catch`, undoes what was done
├── Fault        a fault of the definition or the machinery: suspends the run where it stands
├── Stopped      (interpreter.scope) a cancellation on its way to where it was aimed
└── Leaving      a jump on its way out, no error
    ├── Returning    `return`, to the definition
    ├── LoopExit     `break` or `continue`, to the nearest loop
    └── Answered     an operator's `skip` or `resolve`, to the step that was suspended
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    RetryState,
    ServerError,
    TerminatedError,
    TimeoutError,
    TimeoutType,
)

__all__ = [
    "REFUSED",
    "Answered",
    "ChildFailure",
    "Fault",
    "Leaving",
    "LoopExit",
    "Returning",
    "StepError",
    "from_activity",
    "from_application",
    "from_child",
    "not_undone",
    "timeout",
]

REFUSED = "refused"
"""How a run ended that did not begin."""
_MOST_DETAILS = 1024 * 1024
_TOO_LARGE = "Complete result exceeds size limit."
"""What the server says of a result, of who completes an activity from outside."""
_TIMEOUT_KINDS: dict[TimeoutType | None, str] = {
    TimeoutType.START_TO_CLOSE: "start_to_close",
    TimeoutType.SCHEDULE_TO_START: "schedule_to_start",
    TimeoutType.SCHEDULE_TO_CLOSE: "schedule_to_close",
    TimeoutType.HEARTBEAT: "heartbeat",
}


class StepError(Exception):
    """An error that a `catch` may catch.

    Args:
        type: Its type, such as `CardDeclined` or `Timeout`.
        message: What went wrong, for people.
        details: Any data; null for none.
        step: The id of the step that raised it.
        final: Whether it was said to be not retryable.
    """

    def __init__(
        self,
        type: str,
        message: str,
        details: Any = None,
        step: str | None = None,
        *,
        final: bool = False,
    ) -> None:
        message = legible(message)
        super().__init__(f"{type}: {message}")
        self.type = legible(type, 200)
        self.message = message
        self.details = details if details is None else _sendable(details)
        self.step = step
        self.final = final
        self.new = True  # no step has ended with it yet

    @property
    def timed_out(self) -> bool:
        """Whether it is a timeout: the act may have happened, and nobody knows."""
        return self.type == "Timeout"

    def data(self) -> dict[str, Any]:
        """What an expression sees as `error`."""
        return {
            "type": self.type,
            "message": self.message,
            "details": self.details,
            "step": self.step,
        }


def timeout(kind: str, message: str) -> StepError:
    """A timeout. `kind` tells which: `step definition start_to_close heartbeat` and so on."""
    return StepError("Timeout", message, {"kind": kind})


class Fault(Exception):
    """What is no error of the workflow's world: `catch` never sees it.

    Args:
        type: `ExpressionFailed UnregisteredActivity UnregisteredSearchAttribute InvalidArguments
            InvalidResult LimitExceeded`.
        message: What is wrong and how to mend it.
        ran: Whether the act of the step may have happened all the same.
    """

    def __init__(self, type: str, message: str, *, ran: bool = False) -> None:
        message = legible(message)
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message
        self.ran = ran


class Leaving(Exception):
    """A jump on its way out. Nothing is undone for it, except in what it cuts off."""


class Answered(Leaving):
    """An operator's answer on its way to the step that was suspended.

    Args:
        rec: The record of that step.
        done: Whether somebody did by hand what the step should have done.
        output: What the step gives then.
    """

    def __init__(self, rec: object, done: bool, output: Any) -> None:
        super().__init__("resolve" if done else "skip")
        self.rec = rec
        self.done = done
        self.output = output


class LoopExit(Leaving):
    """A `break` or a `continue` on its way to the nearest loop.

    Args:
        ends: Whether the loop ends: `break`.
    """

    def __init__(self, ends: bool) -> None:
        super().__init__("break" if ends else "continue")
        self.ends = ends


class Returning(Leaving):
    """A `return` on its way to the definition.

    Args:
        value: The definition's output.
    """

    def __init__(self, value: Any) -> None:
        super().__init__("return")
        self.value = value


def _details(details: Any) -> Any:
    """Temporal's sequence of details: none is null, one is itself, several are a list."""
    values = list(details)
    return values[0] if len(values) == 1 else (values or None)


def from_activity(error: FailureError) -> StepError | Fault | None:
    """What the failure of an activity means.

    The failure of a local activity may come without the `ActivityError` round it, and without
    why it was not tried again.

    Returns:
        The error or the fault, or None where the activity was cancelled.
    """
    cause: BaseException | None = error
    retry_state: RetryState | None = None
    if isinstance(error, ActivityError):
        cause, retry_state = error.cause, error.retry_state
    if isinstance(cause, CancelledError):
        return None
    kind = _TIMEOUT_KINDS.get(cause.type) if isinstance(cause, TimeoutError) else None
    out_of_time = retry_state is RetryState.TIMEOUT and kind != "schedule_to_start"
    if kind == "schedule_to_close" or out_of_time:
        # The server gives up as soon as no further attempt fits into schedule-to-close.
        return timeout("step", f"the step did not end in time: {_last(cause)}")
    if kind is not None:
        return timeout(kind, f"the activity timed out ({kind})")
    if isinstance(cause, ApplicationError):
        return from_application(cause)
    message = cause.message if isinstance(cause, FailureError) else str(cause or error)
    if isinstance(cause, ServerError) and message == _TOO_LARGE:
        return Fault("InvalidResult", "the result is larger than Temporal takes", ran=True)
    return StepError(type(cause or error).__name__, message)


def _ran(cause: ApplicationError) -> bool:
    """Whether an attempt before the one that was refused may have acted."""
    attempt: Any = cause.details[0] if cause.details else 1
    return isinstance(attempt, int) and attempt > 1


def from_application(cause: ApplicationError) -> StepError | Fault:
    """What an error that an activity raised means.

    The types that begin with `dsl.` are how our worker speaks of the activity, not in it.
    """
    match cause.type:
        case "dsl.InvalidArguments":
            return Fault("InvalidArguments", cause.message, ran=_ran(cause))
        case "dsl.InvalidResult":
            return Fault("InvalidResult", cause.message, ran=True)
        case "dsl.UnregisteredActivity":
            return Fault("UnregisteredActivity", cause.message, ran=_ran(cause))
        case _:
            return StepError(
                cause.type or "Error",
                cause.message,
                _details(cause.details),
                final=cause.non_retryable,
            )


@dataclass(frozen=True, slots=True)
class ChildFailure:
    """That a child workflow did not complete.

    Args:
        error: Why; None where it was cancelled.
        run_id: Its run.
        status: How it ended, where it was a definition.
        saga: What it undid then, and what it could not undo.
    """

    error: StepError | None
    run_id: str
    status: str | None = None
    saga: tuple[dict[str, Any], ...] = ()


def not_undone(saga: Sequence[dict[str, Any]]) -> str | None:
    """What of a saga log could not be undone, in words; None where there is nothing."""
    failed = sum(one["compensation"] == "failed" for one in saga)
    return f"{failed} of {len(saga)} acts could not be undone" if failed else None


def from_child(error: ChildWorkflowError) -> ChildFailure | Fault:
    """What it means that a child workflow did not complete.

    What it was asked for and could not begin with is a fault, as it is of an activity.
    """
    cause: BaseException | None = error.cause
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause  # in a workflow that was written by hand: that one may have acted
    own = cause is error.cause
    if isinstance(cause, CancelledError):
        return ChildFailure(None, error.run_id, "cancelled" if own else None)
    if isinstance(cause, TimeoutError):
        return ChildFailure(timeout("execution", "the child workflow timed out"), error.run_id)
    if isinstance(cause, TerminatedError):
        failure = StepError("Terminated", "the child workflow was terminated")
        return ChildFailure(failure, error.run_id)
    if not isinstance(cause, ApplicationError):
        message = cause.message if isinstance(cause, FailureError) else str(cause)
        return ChildFailure(StepError(type(cause).__name__, message), error.run_id)
    report = _report(cause)
    status = report.get("status")
    if status == REFUSED:
        wrong = cause.type == "InvalidInput"
        kind = "InvalidArguments" if wrong else cause.type or "Error"
        return Fault(kind, cause.message, ran=not own)
    if status is None:
        failure = from_application(cause)
        if isinstance(failure, Fault):
            return Fault(failure.type, failure.message, ran=True)
        return ChildFailure(failure, error.run_id)
    final = bool(report.get("final"))
    failure = StepError(cause.type or "Error", cause.message, cause.details[0], final=final)
    if not own:
        return ChildFailure(failure, error.run_id)
    return ChildFailure(failure, error.run_id, str(status), tuple(report.get("saga", ())))


def _report(cause: ApplicationError) -> dict[str, Any]:
    """What a definition says of its end, beside the error's own details."""
    match list(cause.details):
        case [_, {"status": str()} as report]:
            return cast("dict[str, Any]", report)
        case _:
            return {}


def legible(text: str, most: int = 10_000) -> str:
    """A message that can be sent: whole characters, and not too many."""
    text = text if len(text) <= most else text[: most - 3] + "..."
    return text.encode("utf-8", "replace").decode()


def _sendable(details: Any) -> Any:
    """Details that can be sent again: JSON, and not too large."""
    try:
        size = len(json.dumps(details, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        return legible(repr(details), 1000)
    return details if size <= _MOST_DETAILS else f"(the details had {size:,} bytes)"


def _last(cause: BaseException | None) -> str:
    return cause.message if isinstance(cause, FailureError) else str(cause)
