"""`activity`: an act in the world."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from dsl.model.common import Retry
from dsl.steps import ActivityStep
from interpreter.errors import Fault, StepError, from_activity
from interpreter.headers import Positional
from interpreter.nodes import Duration, Node, Place, evaluate
from interpreter.saga import Entry
from interpreter.scope import Act, Rec, Stopped

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ActivityNode"]

_MAX_ID = 1000
_PATIENCE = 120.0
"""How long it is tried whether a worker registers the activity, in seconds."""
_PAUSE = 5.0
_LONGEST_UNDO = timedelta(hours=24)
"""How long it is tried to undo an act before it counts as failed."""


class ActivityNode(Node):
    """An activity."""

    kind: ClassVar[str] = "activity"
    registers: ClassVar[bool] = True

    def __init__(
        self, step: ActivityStep, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.activity = step.activity
        self.positional = step.args is not None
        given = step.args if self.positional else step.with_
        self.arguments = compiler.template(given) if given is not None else None
        self.fixed: dict[str, Any] = {
            "cancellation_type": workflow.ActivityCancellationType.TRY_CANCEL
        }
        self.varying: list[tuple[str, Duration]] = []
        for name in (
            "start_to_close_timeout",
            "schedule_to_start_timeout",
            "heartbeat_timeout",
        ):
            self._set_timeout(name, compiler.duration(getattr(step, name)))
        if self.timeout is not None and self.undo is None:
            # Temporal's own bound needs no timer. An act that can be undone is settled instead.
            self._set_timeout("schedule_to_close_timeout", self.timeout)
            self.timeout = None
            self.plain = not self.enclosing()
        if compiler.compensating and "schedule_to_close_timeout" not in self.fixed:
            self.fixed["schedule_to_close_timeout"] = _LONGEST_UNDO
        if self.undo is not None:
            wait = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
            self.fixed["cancellation_type"] = wait
        self.task_queue = compiler.template(step.task_queue) if step.task_queue else None
        self.retry = _policy(compiler, step.retry)
        if isinstance(self.retry, RetryPolicy):
            self.fixed["retry_policy"] = self.retry
        if self.description is not None:
            self.fixed["summary"] = self.description

    def _set_timeout(self, name: str, duration: Duration | None) -> None:
        if duration is None:
            return
        if duration.constant is not None:
            self.fixed[name] = timedelta(seconds=duration.constant)
        else:
            self.varying.append((name, duration))

    async def run(self, act: Act, rec: Rec) -> Any:
        while True:
            arguments = None
            if self.arguments is not None:
                arguments = await evaluate(act, rec, self.arguments)
            options = self.fixed
            if self.varying or self.task_queue is not None or isinstance(self.retry, _Varying):
                options = await self._options(act, rec)
            try:
                if len(rec.path) > _MAX_ID:
                    message = f"the path of the step has {len(rec.path)} characters, over {_MAX_ID}"
                    raise Fault("LimitExceeded", message)
                return await self._act(act, rec, arguments, options)
            except Fault as fault:
                await act.execution.suspend(act, rec, fault)

    async def _options(self, act: Act, rec: Rec) -> dict[str, Any]:
        """The options where some of them are templates."""
        options = dict(self.fixed)
        for name, duration in self.varying:
            options[name] = timedelta(seconds=await duration.seconds(act, rec))
        if self.task_queue is not None:
            options["task_queue"] = str(await evaluate(act, rec, self.task_queue))
        if isinstance(self.retry, _Varying):
            options["retry_policy"] = await self.retry.policy(act, rec)
        return options

    async def _act(self, act: Act, rec: Rec, arguments: Any, options: dict[str, Any]) -> Any:
        """Schedules the activity and waits until it settled. Its undoing is registered before."""
        entry: Entry | None = None
        if self.undo is not None:
            entry = Entry(self, self.undo, act, rec.path, arguments)
            act.group.members.append(entry)
        try:
            output = await self._settle(act, rec, arguments, options)
        except Fault:
            if entry is not None:  # refused by the worker before it began
                entry.group.remove(entry)
            raise
        except StepError as error:
            if entry is not None:
                entry.status = "timed_out" if error.timed_out else "failed"
                entry.error = error.data()
            raise
        except Stopped as stopped:
            if entry is not None:
                if isinstance(stopped, _NeverRan):
                    entry.group.remove(entry)
                timed_out = stopped.stop.kind == "timeout"
                entry.status = "timed_out" if timed_out else "cancelled"
                entry.error = stopped.stop.error().data()
            raise
        if entry is not None:
            entry.status = "completed"
            entry.output = output
        return output

    async def _settle(self, act: Act, rec: Rec, arguments: Any, options: dict[str, Any]) -> Any:
        deadline: float | None = None
        while True:
            act.token.check()
            try:
                return await self._attempt(act, rec, arguments, options)
            except Fault as fault:
                if fault.type != "UnregisteredActivity":
                    raise
                now = act.execution.clock()
                if deadline is None:
                    deadline = now + _PATIENCE
                if now >= deadline:
                    raise
                rec.fault = fault.message
                await act.execution.pause(
                    act, rec, _PAUSE, f"{self.activity} is not registered yet"
                )
                rec.fault = None

    async def _attempt(self, act: Act, rec: Rec, arguments: Any, options: dict[str, Any]) -> Any:
        if arguments is None:
            sent: list[Any] = []
        elif self.positional:
            sent = Positional(cast("list[Any]", arguments))
        else:
            sent = [arguments]
        token = act.token
        scheduled_at = workflow.info().get_current_history_length()
        handle: workflow.ActivityHandle[Any] = workflow.start_activity(
            self.activity, args=sent, activity_id=rec.path, **options
        )
        never_ran = False

        def cancel() -> None:
            nonlocal never_ran
            # A result that is already here must not be dropped, as cancelling now would.
            if not _has_result(handle):
                never_ran = workflow.info().get_current_history_length() == scheduled_at
                handle.cancel()

        token.wake = cancel
        try:
            return await handle
        except ActivityError as error:
            failure = from_activity(error)
            if failure is None and token.stop is not None:
                raise (_NeverRan if never_ran else Stopped)(token.stop) from None
            raise failure or StepError("Cancelled", "the activity was cancelled") from None
        except asyncio.CancelledError:
            # The handle's own task was cancelled before it began: the act never ran.
            if token.stop is None or not never_ran:
                raise
            raise _NeverRan(token.stop) from None
        finally:
            token.wake = None  # nothing is sent here: this also runs while a worker evicts the run


class _NeverRan(Stopped):
    """A stop of an act that was never sent to the server."""


def _has_result(handle: workflow.ActivityHandle[Any]) -> bool:
    # The SDK has no public way to ask; tests/interpreter/test_sdk.py pins this one.
    return handle.done() or handle._result_fut.done()  # pyright: ignore


class _Varying:
    """A retry policy with templates in it."""

    def __init__(self, retry: Retry, intervals: dict[str, Duration]) -> None:
        self.retry = retry
        self.intervals = intervals

    async def policy(self, act: Act, rec: Rec) -> RetryPolicy:
        """Its value in an act."""
        seconds = {name: await d.seconds(act, rec) for name, d in self.intervals.items()}
        return _build(self.retry, seconds)


def _policy(compiler: Compiler, retry: Retry | None) -> RetryPolicy | _Varying | None:
    if retry is None:
        return None
    intervals = {
        name: duration
        for name in ("initial_interval", "maximum_interval")
        if (duration := compiler.duration(getattr(retry, name))) is not None
    }
    if any(duration.constant is None for duration in intervals.values()):
        return _Varying(retry, intervals)
    return _build(retry, {n: d.constant for n, d in intervals.items() if d.constant is not None})


def _build(retry: Retry, seconds: dict[str, float]) -> RetryPolicy:
    initial = seconds.get("initial_interval", 1.0)
    longest = seconds.get("maximum_interval")
    attempts = retry.maximum_attempts
    return RetryPolicy(
        initial_interval=timedelta(seconds=initial),
        backoff_coefficient=retry.backoff_coefficient or 2.0,
        maximum_interval=None if longest is None else timedelta(seconds=max(longest, initial)),
        maximum_attempts=attempts if isinstance(attempts, int) else 0,
        non_retryable_error_types=retry.non_retryable_error_types or None,
    )
