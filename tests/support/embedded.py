"""Workflows written by hand, for workers that also run definitions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

__all__ = ["CallsBoth", "CallsNobody"]

_SOON = timedelta(seconds=30)


@workflow.defn
class CallsBoth:
    """Calls an activity of its own, one that definitions have, and a definition as a child."""

    def __init__(self) -> None:
        self.root = "of a tree"  # what the interpreter calls so is another thing

    @workflow.run
    async def run(self, definition: str) -> dict[str, Any]:
        """Gives what they gave, and whether it is in a sandbox."""
        own = await workflow.execute_activity("own", start_to_close_timeout=_SOON)
        shared = await workflow.execute_activity(
            "greet", {"name": "hand"}, start_to_close_timeout=_SOON
        )
        child = await workflow.execute_child_workflow(definition, {"name": "child"})
        sandboxed = workflow.unsafe.in_sandbox()
        return {"own": own, "shared": shared, "child": child, "sandboxed": sandboxed}


@workflow.defn
class CallsNobody:
    """Calls an activity that nobody has, once."""

    @workflow.run
    async def run(self) -> dict[str, Any]:
        """Gives the error's type, and whether it would have been tried again."""
        try:
            await workflow.execute_activity(
                "nobody",
                start_to_close_timeout=_SOON,
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            return {"type": cause.type, "final": cause.non_retryable, "message": cause.message}
        return {}
