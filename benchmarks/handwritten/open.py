"""Five activities, and then a signal that does not come: what stays in the worker's memory."""

from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn(name="open")
class Open:
    def __init__(self) -> None:
        self.over = False

    @workflow.run
    async def run(self, given: dict[str, Any]) -> Any:
        total = {"value": given["value"]}
        for _ in range(5):
            total = await workflow.execute_activity(
                "bench.add",
                {"value": total["value"], "by": 1},
                start_to_close_timeout=timedelta(seconds=60),
            )
        await workflow.wait_condition(lambda: self.over)
        return total["value"]

    @workflow.signal
    def over_now(self) -> None:
        self.over = True
