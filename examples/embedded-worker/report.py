"""Workflows written by hand, in the sandbox as any other.

One runs a definition as its child, the other is the child of a definition.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError


@activity.defn
async def write_report(lines: list[str]) -> str:
    """Writes the report."""
    return "\n".join(["Report of the night", *sorted(lines)])


@workflow.defn
class NightlyReport:
    """Closes all branches, and reports what each took."""

    @workflow.run
    async def run(self, branches: list[str]) -> str:
        """Gives the report."""
        lines = await asyncio.gather(*map(self.close, branches))
        return await workflow.execute_activity(
            write_report, list(lines), start_to_close_timeout=timedelta(seconds=20)
        )

    async def close(self, branch: str) -> str:
        """Closes a branch; gives its line of the report."""
        try:
            closed: dict[str, Any] = await workflow.execute_child_workflow(
                "close-branch",  # a definition, by its name
                {"branch": branch},
                id=f"{workflow.info().workflow_id}/{branch}",
            )
        except ChildWorkflowError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            return f"{branch}: not closed: {cause.message}"
        said = f", {closed['review']}" if closed["review"] else ""
        return f"{branch}: {closed['cents'] / 100:.2f}{said}"


@workflow.defn
class Review:
    """Looks at what a branch took on an unusual day: the definition runs it."""

    @workflow.run
    async def run(self, branch: str, cents: int) -> str:
        """Gives what the audit says."""
        await asyncio.sleep(0.1)  # a timer of the workflow; an auditor takes longer
        return "reviewed" if cents < 100_000_00 else f"{branch} is suspicious"
