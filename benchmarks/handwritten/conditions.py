"""A hundred steps, most of which only decide: five rounds of twenty."""

from datetime import timedelta
from typing import Any

from temporalio import workflow


@workflow.defn(name="conditions")
class Conditions:
    @workflow.run
    async def run(self, given: dict[str, Any]) -> Any:
        score, level = 0, "none"
        for number in range(5):
            added = await workflow.execute_activity(
                "bench.add",
                {"value": given["value"], "by": number},
                start_to_close_timeout=timedelta(seconds=60),
            )
            net = added["value"] * 2 - number
            if net > 100 and given["active"]:
                score += 5
            if given["tier"] == "gold":
                level = "gold"
            if given["tier"] == "gold" and net > 1000:
                level = "platinum"
            rate = 3 if level == "gold" else 1
            if rate > 2:
                score += rate
            elif rate > 1:
                score += 1
            else:
                score -= 1
            if not given["active"]:
                score = 0
            label = f"{level}-{net}"
            if label == "none":
                score += 100
            if "express" in given["tags"]:
                score += 2
            size = len(given["tags"])
            if size == 0:
                score += 10
            elif size < 5:
                score += size
            parts = {"label": label, "rate": rate, "size": size}
            if parts["rate"] == size:
                score += 1
        return {"score": score, "level": level, "label": label}
