"""`activity`: an act in the world."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import ActivityError, FailureError

from dsl.steps import ActivityStep
from interpreter.errors import Answered, Fault, StepError, from_activity
from interpreter.evaluation import Duration, evaluate
from interpreter.headers import Positional
from interpreter.nodes import Node, Place
from interpreter.payloads import LARGEST_LOCAL, MAX_BYTES, Budget, payload, value_of
from interpreter.retries import ONCE
from interpreter.saga import Entry
from interpreter.scope import Act, Rec, Stopped, Token, has_result
from interpreter.steps.acting import ActingNode

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ActivityNode"]

_MAX_ID = 1000
_MAX_FAIRNESS_KEY = 64
_PATIENCE = 120.0
"""How long it is tried whether a worker registers the activity, in seconds."""
_PAUSE = 5.0
_SETTLES = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED


class ActivityNode(ActingNode):
    """An activity."""

    kind: ClassVar[str] = "activity"
    retries_itself: ClassVar[bool] = True

    def __init__(
        self, step: ActivityStep, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.activity = step.activity
        self.chosen = compiler.template(step.activity) if step.one_of else None
        self.one_of = tuple(step.one_of)
        self.local = step.local is True
        self.positional = step.args is not None
        given = step.args if self.positional else step.with_
        self.arguments = compiler.template(given) if given is not None else None
        self.task_queue = compiler.template(step.task_queue) if step.task_queue else None
        self.compensating = compiler.compensating
        self.priority = step.priority
        fairness = step.priority.fairness_key if step.priority is not None else None
        self.fairness = compiler.template(fairness) if fairness is not None else None
        self.fixed: dict[str, Any] = {}
        self.timeouts: list[tuple[str, Duration]] = []
        self._set_options(step, compiler)
        # What changes from run to run is evaluated; mostly there is nothing.
        self.varies = bool(
            self.timeouts
            or self.task_queue
            or self.chosen
            or self.compensating
            or self.priority
            or (self.retries is not None and "retry_policy" not in self.fixed)
        )

    def _set_options(self, step: ActivityStep, compiler: Compiler) -> None:
        if self.undo is not None:
            self.fixed["cancellation_type"] = _SETTLES
        for name in ("start_to_close_timeout", "schedule_to_start_timeout", "heartbeat_timeout"):
            self._set_timeout(name, compiler.duration(getattr(step, name)))
        interprets = self.retries is not None and self.retries.when is not None
        if self.timeout is not None and self.undo is None and not interprets:
            # Temporal's own bound needs no timer. An act that can be undone is settled instead.
            self._set_timeout("schedule_to_close_timeout", self.timeout)
            self.timeout = None
            self.plain = not self.enclosing()
        if interprets:
            self.fixed["retry_policy"] = ONCE
        elif self.retries is not None and self.retries.policy is not None:
            self.fixed["retry_policy"] = self.retries.policy

    def _set_timeout(self, name: str, duration: Duration | None) -> None:
        if duration is None:
            return
        if duration.constant is not None:
            self.fixed[name] = timedelta(seconds=duration.constant)
        else:
            self.timeouts.append((name, duration))

    async def run(self, act: Act, rec: Rec) -> Any:
        entry: Entry | None = rec.kept("entry")
        arguments: Any = rec.kept("given")
        if entry is not None and act.token.stop is not None and self._never_sent(rec, entry):
            entry.group.remove(entry)
        try:
            while True:
                if rec.keeps("suspended"):
                    await act.execution.suspend(act, rec, rec.kept("suspended"))
                    rec.release("suspended")
                if act.execution.parks:
                    await act.execution.park(act, rec)
                if entry is None:
                    act.token.check()
                if self.arguments is not None:
                    arguments = await evaluate(act, rec, self.arguments)
                try:
                    if len(rec.path) > _MAX_ID:
                        message = f"the step's path has {len(rec.path)} characters, over {_MAX_ID}"
                        raise Fault("LimitExceeded", message)
                    sent = self._sent(arguments, act.execution.program.budget)
                    name, options = self.activity, self.fixed
                    if self.varies:
                        name, options = await self._varying(act, rec)
                    # Undoing is registered before the activity is scheduled.
                    entry = self.registered(act, rec, arguments, entry)
                    return await self._act(act, rec, entry, name, sent, options)
                except Fault as fault:
                    entry = self.refused(entry, fault)
                    rec.keep("entry", entry)
                    rec.keep("given", arguments)
                    rec.keep("suspended", fault)
        except Answered as answered:
            if answered.done:
                # Somebody acted by hand: it is undone like any act.
                entry = self.registered(act, rec, arguments, entry)
                self.completed(act, entry, answered.output)
            raise

    def _never_sent(self, rec: Rec, entry: Entry) -> bool:
        """Whether the run went on as new between registering the act and sending it."""
        return entry.status == "registered" and rec.attempt == 1 and not rec.keeps("patience")

    def _sent(self, arguments: Any, budget: Budget) -> list[RawValue]:
        """The arguments as payloads."""
        if arguments is None:
            return []
        most = budget.largest
        if not self.positional:
            return [payload(arguments, "the arguments", most)]
        values = cast("list[Any]", arguments)
        sent = Positional(payload(value, "the arguments", most) for value in values)
        if budget.sent(sent) > MAX_BYTES:
            raise Fault("LimitExceeded", f"the arguments have more than {MAX_BYTES:,} bytes")
        return sent

    async def _varying(self, act: Act, rec: Rec) -> tuple[str, dict[str, Any]]:
        """The activity's name and its options, where some of them are templates."""
        name, options = self.activity, dict(self.fixed)
        for option, duration in self.timeouts:
            seconds = max(0.001, await duration.seconds(act, rec))
            options[option] = timedelta(seconds=seconds)
        if self.task_queue is not None:
            task_queue = str(await evaluate(act, rec, self.task_queue))
            options["task_queue"] = _bounded(task_queue, "the task queue's name", _MAX_ID)
        if self.retries is not None and "retry_policy" not in options:
            options["retry_policy"] = await self.retries.evaluated(act, rec)
        if self.priority is not None:
            fairness = await evaluate(act, rec, self.fairness) if self.fairness else None
            options["priority"] = Priority(
                priority_key=self.priority.priority_key,
                fairness_key=None
                if fairness is None
                else _bounded(str(fairness), "the fairness key", _MAX_FAIRNESS_KEY),
                fairness_weight=self.priority.fairness_weight,
            )
        if self.chosen is not None:
            name = await evaluate(act, rec, self.chosen)
            if name not in self.one_of:
                shown = ", ".join(self.one_of)
                raise Fault("ExpressionFailed", f"the activity {name!r} is none of {shown}")
        if self.compensating:
            self._bound(options, act)
        return name, options

    def _bound(self, options: dict[str, Any], act: Act) -> None:
        """Bounds an activity of a compensation by what is left of the time for undoing."""
        if act.token.deadline is None:
            return
        left = act.token.deadline - act.execution.clock()
        if left <= 0:
            raise StepError("Timeout", "the time for undoing is over", {"kind": "compensation"})
        own = options.get("schedule_to_close_timeout")
        if own is None or own.total_seconds() > left:
            options["schedule_to_close_timeout"] = timedelta(seconds=left)

    async def _act(
        self,
        act: Act,
        rec: Rec,
        entry: Entry | None,
        name: str,
        sent: list[RawValue],
        options: dict[str, Any],
    ) -> Any:
        """Schedules the activity, waits until it settled, and notes in the saga log how."""
        try:
            output = await self._tried_here(act, rec, name, sent, options)
        except StepError as error:
            if entry is not None:
                entry.status = "timed_out" if error.timed_out else "failed"
                entry.error = error.data()
            # What was stopped ends stopped, however its act failed meanwhile.
            act.token.check()
            raise
        except Stopped as stopped:
            if entry is not None:
                if isinstance(stopped, _NeverRan):
                    entry.group.remove(entry)
                own = self.timeout is not None and stopped.stop.target is act.token
                entry.status = "timed_out" if own else "cancelled"
                entry.error = stopped.stop.error().data()
            raise
        self.completed(act, entry, output)
        return output

    async def _tried_here(
        self, act: Act, rec: Rec, name: str, sent: list[RawValue], options: dict[str, Any]
    ) -> Any:
        """The act with the attempts that `retry.when` decides: they are one act with one key."""
        retries = self.retries
        if retries is None or retries.when is None:
            return await self._known(act, rec, name, sent, options)
        while True:
            if not rec.keeps("failed"):
                try:
                    return await self._known(act, rec, name, sent, options)
                except StepError as error:
                    if error.step is None:
                        error.step = self.id
                    rec.keep("failed", error)
                    rec.release("patience")  # the next attempt has its own
            await retries.pause(act, rec, f"before the next try of {rec.path}")

    async def _known(
        self, act: Act, rec: Rec, name: str, sent: list[RawValue], options: dict[str, Any]
    ) -> Any:
        """An attempt; one that no worker knows is tried again for a while: it may be deployed."""
        while True:
            if rec.keeps("tried_next"):
                await self._until_registered(act, rec, name)
            act.token.check()
            try:
                return await self._attempt(act, rec, name, sent, options)
            except Fault as fault:
                if fault.type != "UnregisteredActivity" or fault.ran:
                    raise
                now = act.execution.clock()
                if not rec.keeps("patience"):
                    rec.keep("patience", now + _PATIENCE)
                if now >= rec.kept("patience"):
                    rec.release("patience")
                    raise
                rec.fault = fault.message
                rec.keep("tried_next", now + _PAUSE)

    async def _until_registered(self, act: Act, rec: Rec, name: str) -> None:
        try:
            summary = f"{name} is not registered yet"
            await act.execution.pause_until(act, rec, rec.kept("tried_next"), summary)
        except Stopped as stopped:
            raise (_NeverRan if rec.attempt == 1 else Stopped)(stopped.stop) from None
        rec.release("tried_next")
        rec.fault = None

    async def _attempt(
        self, act: Act, rec: Rec, name: str, sent: list[RawValue], options: dict[str, Any]
    ) -> Any:
        execution = act.execution
        budget = execution.program.budget
        # The results of local activities that run in one task are sent together.
        await execution.admit(act, rec, LARGEST_LOCAL if self.local else budget.sent(sent))
        start = workflow.start_local_activity if self.local else workflow.start_activity
        # What runs more than once is told apart; else the activity's id, its path, is enough.
        summary = self.description or (rec.path if act.prefix else None)
        handle: workflow.ActivityHandle[Any] = start(
            name,
            args=sent,
            activity_id=rec.path,
            result_type=RawValue,
            summary=summary,
            **options,
        )
        # A local activity runs before anything is sent, and an attempt may have come before.
        stopper = _Stopper(act.token, handle, certain=not self.local and rec.attempt == 1)
        try:
            result = await handle
        except FailureError as error:
            execution.release()
            if self.local and isinstance(error, ActivityError) and error.cause is not None:
                error = cast("FailureError", error.cause)  # all that a replay is told
            failure = from_activity(error)
            if failure is None and act.token.stop is not None:
                raise stopper.stopped(act.token) from None
            raise failure or StepError("Cancelled", "the activity was cancelled") from None
        except asyncio.CancelledError:
            # The handle's own task was cancelled before it began: the act never ran.
            if act.token.stop is None or not stopper.never_ran:
                raise
            execution.release()
            raise stopper.stopped(act.token) from None
        finally:
            act.token.wake = None  # nothing is sent here: this also runs at an eviction
        brought = budget.sent([result]) if isinstance(result, RawValue) else 0
        execution.release(brought)
        if self.local:
            execution.gave_back(LARGEST_LOCAL - brought)
        try:
            return value_of(result.payload) if isinstance(result, RawValue) else None
        except ValueError as error:
            message = f"the result of {name} is no JSON: {error}"
            raise Fault("InvalidResult", message, ran=True) from None


def _bounded(text: str, what: str, most: int) -> str:
    if not 0 < len(text.encode()) <= most:
        raise Fault("LimitExceeded", f"{what} must have 1 to {most} bytes, has {len(text)}")
    return text


class _NeverRan(Stopped):
    """A stop of an act that was never sent to the server."""


class _Stopper:
    """Cancels an activity when its scope is stopped."""

    __slots__ = ("certain", "handle", "never_ran", "scheduled_at")

    def __init__(
        self, token: Token, handle: workflow.ActivityHandle[Any], *, certain: bool
    ) -> None:
        self.handle = handle
        self.certain = certain
        self.never_ran = False
        self.scheduled_at = workflow.info().get_current_history_length()
        token.wake = self.cancel

    def cancel(self) -> None:
        """Cancels it, unless its result is already here: cancelling would drop that."""
        if not has_result(self.handle):
            length = workflow.info().get_current_history_length()
            self.never_ran = length == self.scheduled_at
            self.handle.cancel()

    def stopped(self, token: Token) -> Stopped:
        """What the step ends with."""
        assert token.stop is not None
        return (_NeverRan if self.never_ran and self.certain else Stopped)(token.stop)
