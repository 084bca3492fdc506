"""A loop with an activity in it."""

from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn(name="loop")
class Loop:
    @workflow.run
    async def run(self, given: dict[str, Any]) -> Any:
        total = given["value"]
        while total < given["until"]:
            added = await workflow.execute_activity(
                "bench.add",
                {"value": total, "by": 1},
                start_to_close_timeout=timedelta(seconds=60),
            )
            total = added["value"]
        return total
