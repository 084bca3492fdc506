"""Ten activities at the same time."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn(name="ten")
class Ten:
    @workflow.run
    async def run(self, given: dict[str, Any]) -> Any:
        totals = await asyncio.gather(
            *(
                workflow.execute_activity(
                    "bench.add",
                    {"value": given["value"], "by": index},
                    start_to_close_timeout=timedelta(seconds=60),
                )
                for index in range(10)
            )
        )
        return [total["value"] for total in totals]
