"""Child workflows, as the run sees them that starts them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import FailureError
from temporalio.workflow import ParentClosePolicy

from interpreter.errors import Fault
from interpreter.headers import Lineage, child_lineage
from interpreter.scope import Act, has_result

__all__ = ["LONGEST_ID", "Child", "child_id"]

LONGEST_ID = 1000
"""The longest id that Temporal takes, in bytes."""


def child_id(path: str) -> str:
    """The id of a child whose step says no other."""
    return f"{workflow.info().workflow_id}/{path}"


@dataclass(frozen=True, slots=True)
class Child:
    """A child workflow that is to be run. There must be room for it: see `Execution.admit`.

    Args:
        type: Its Workflow Type.
        id: Its id.
        sent: Its arguments.
        summary: What it is for, shown in Temporal's UI.
        task_queue: Where it runs, if it is another task queue.
        lineage: What it is to the definition that runs it.
    """

    type: str
    id: str
    sent: list[RawValue]
    summary: str
    task_queue: str | None = None
    lineage: Lineage | None = None

    def check(self) -> None:
        """Refuses what Temporal would not take.

        Raises:
            Fault: `LimitExceeded`.
        """
        for what, text in (("id", self.id), ("type", self.type)):
            size = len(text.encode())
            if not 0 < size <= LONGEST_ID:
                message = f"the {what} of the child workflow must have 1 to {LONGEST_ID:,} bytes"
                raise Fault("LimitExceeded", f"{message}, has {size:,}")

    async def result(self, act: Act) -> Payload:
        """Runs it, and waits until it settled: where the scope is stopped, it is cancelled.

        Raises:
            WorkflowAlreadyStartedError: It was not started, because one of its id is open.
            ChildWorkflowError: It did not complete.
        """
        execution = act.execution
        try:
            # One whose parent is terminated undoes what it did.
            handle = await self._start(ParentClosePolicy.REQUEST_CANCEL)
            _Stopper(act, handle)
            result: RawValue = await handle
        except Exception:  # an eviction is none: nothing may be begun then
            execution.release()
            raise
        finally:
            act.token.wake = None
        budget = execution.program.budget
        stored = budget.stored_from is not None
        # What is needed to undo it comes along in the metadata.
        execution.release(budget.sent([result]) if stored else result.payload.ByteSize())
        return result.payload

    async def start(self, act: Act) -> str:
        """Only starts it, to live on by itself; gives the id of its run.

        Raises:
            WorkflowAlreadyStartedError: It was not started, because one of its id is open.
        """
        try:
            handle = await self._start(ParentClosePolicy.ABANDON)
        except Exception:
            act.execution.release()
            raise
        act.execution.release()
        handle.add_done_callback(lambda done: done.cancelled() or done.exception())
        assert handle.first_execution_run_id is not None
        return handle.first_execution_run_id

    async def _start(self, policy: ParentClosePolicy) -> workflow.ChildWorkflowHandle[Any, Any]:
        before = child_lineage.set(self.lineage)  # the SDK has no other way to bring it there
        try:
            return await workflow.start_child_workflow(
                self.type,
                args=self.sent,
                id=self.id,
                task_queue=self.task_queue,
                parent_close_policy=policy,
                result_type=RawValue,
                static_summary=self.summary[:200] or None,
            )
        finally:
            with contextlib.suppress(ValueError):  # it is closed from elsewhere at an eviction
                child_lineage.reset(before)


class _Stopper:
    """Cancels a child when its scope is stopped."""

    def __init__(self, act: Act, handle: workflow.ChildWorkflowHandle[Any, Any]) -> None:
        self.act = act
        self.handle = handle
        act.token.wake = self.cancel
        if act.token.stop is not None:  # while the child was being started
            self.cancel()

    def cancel(self) -> None:
        """Asks it to end, unless its result is already here.

        By its id: the handle would ask its first run, which has ended where it went on as new.
        """
        if not has_result(self.handle):
            self.act.execution.spawn(self._ask)

    async def _ask(self) -> None:
        with contextlib.suppress(FailureError):  # it has ended meanwhile
            await workflow.get_external_workflow_handle(self.handle.id).cancel()
