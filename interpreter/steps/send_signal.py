"""`send_signal`: a message to another workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import FailureError

from dsl.steps import SendSignalStep
from interpreter.errors import Answered, Fault, StepError, timeout
from interpreter.evaluation import evaluate
from interpreter.nodes import Node, Place
from interpreter.payloads import payload
from interpreter.saga import Entry
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["SendSignalNode"]

_MOST_BYTES = 1000
"""The longest name and the longest id that Temporal takes."""


class SendSignalNode(Node):
    """A signal that is sent.

    One that was cancelled before it left its workflow task is never sent. Any later it cannot be
    called back: the step waits for the server's answer, which comes at once. A signal that arrived
    is undone like any act, also where the step was cancelled or timed out meanwhile.
    """

    kind: ClassVar[str] = "send_signal"
    registers: ClassVar[bool] = True

    def __init__(self, step: SendSignalStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.signal = step.send_signal
        self.target = compiler.template(step.workflow_id)
        self.payload = compiler.template(step.payload) if step.has("payload") else None

    async def run(self, act: Act, rec: Rec) -> Any:
        value: Any = None
        try:
            while True:
                target = await evaluate(act, rec, self.target)
                if self.payload is not None:
                    value = await evaluate(act, rec, self.payload)
                try:
                    _check_id(target)
                    _bounded(self.signal, "the name of the signal")
                    what = "the signal's payload"
                    most = act.execution.program.budget.largest
                    sent = [payload(value, what, most)] if self.payload is not None else []
                    break
                except Fault as fault:
                    await act.execution.suspend(act, rec, fault)
        except Answered as answered:
            if answered.done:
                # Somebody sent it by hand: it is undone like any act.
                _register(self._entry(act, rec, value), answered.output)
            raise
        entry = self._entry(act, rec, value)
        await self._deliver(act, rec, target, sent)
        _register(entry, None)
        return None

    def _entry(self, act: Act, rec: Rec, value: Any) -> Entry | None:
        """What will stand in the saga log, with the names as they are now."""
        return None if self.undo is None else Entry(self, self.undo, act, rec.path, value)

    async def _deliver(self, act: Act, rec: Rec, target: str, sent: list[RawValue]) -> None:
        execution = act.execution
        if act.token.deadline is not None and execution.clock() >= act.token.deadline:
            raise timeout("compensation", "the time for undoing is over")
        if target == workflow.info().workflow_id:
            await self._to_itself(act, rec, sent)
        else:
            size = execution.program.budget.sent(sent)
            while True:
                try:
                    await execution.admit(act, rec, size)
                    break
                except Fault as fault:
                    await execution.suspend(act, rec, fault)
            await self._send(act, target, sent)

    async def _to_itself(self, act: Act, rec: Rec, sent: list[RawValue]) -> None:
        """The server refuses a workflow that signals itself, so it arrives without the server."""
        # It ends the workflow task, as any other does: nobody is kept busy by it for ever.
        await act.execution.pause(act, rec, 0.001, f"signal {self.signal} to itself")
        receive = cast(
            "Callable[[str, list[RawValue]], Awaitable[None]]",
            workflow.get_dynamic_signal_handler(),  # pyright: ignore[reportUnknownMemberType]
        )
        act.execution.spawn(lambda: receive(self.signal, sent))
        await asyncio.sleep(0)  # it arrives before the run goes on, and may end

    async def _send(self, act: Act, target: str, sent: list[RawValue]) -> None:
        handle = workflow.get_external_workflow_handle(target)
        sending = asyncio.create_task(handle.signal(self.signal, args=sent))
        sent_at = workflow.info().get_current_history_length()
        recalled = False

        def recall() -> None:
            nonlocal recalled
            if not recalled and workflow.info().get_current_history_length() == sent_at:
                recalled = True
                sending.cancel()

        act.token.wake = recall
        try:
            await sending
        except FailureError as error:
            act.execution.release()
            act.token.check()
            details = {"signal": self.signal, "workflow_id": target}
            message = f"the signal `{self.signal}` did not reach {target}: {error.message}"
            raise StepError("SignalFailed", message, details) from None
        except asyncio.CancelledError:
            if not recalled:
                raise
            act.execution.release()
            act.token.check()
            raise
        finally:
            act.token.wake = None  # nothing is sent here: this also runs at an eviction
        act.execution.release()


def _register(entry: Entry | None, output: Any) -> None:
    """Notes a signal that arrived in the saga log."""
    if entry is not None:
        entry.status = "completed"
        entry.output = output
        entry.group.members.append(entry)


def _check_id(target: Any) -> None:
    if not isinstance(target, str):
        message = f"the id of a workflow must be a text, is {target!r:.60}"
        raise Fault("ExpressionFailed", message)
    _bounded(target, "the id of the workflow")


def _bounded(text: str, what: str) -> None:
    size = len(text.encode("utf-8", "replace"))
    if not 0 < size <= _MOST_BYTES:
        raise Fault("LimitExceeded", f"{what} must have 1 to {_MOST_BYTES:,} bytes, has {size:,}")
