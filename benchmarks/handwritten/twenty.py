"""Twenty activities with small values, one after the other."""

from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn(name="twenty")
class Twenty:
    @workflow.run
    async def run(self, given: dict[str, Any]) -> Any:
        total = {"value": given["value"]}
        for _ in range(20):
            total = await workflow.execute_activity(
                "bench.add",
                {"value": total["value"], "by": 1},
                start_to_close_timeout=timedelta(seconds=60),
            )
        return total["value"]
