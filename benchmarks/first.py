"""From a start to the first activity: does the length of a definition count?"""

from __future__ import annotations

import time
import uuid
from statistics import median

from temporalio.client import Client

from benchmarks.scenarios import QUEUES

__all__ = ["first_activity"]

_LENGTHS = (1000, 10)


async def _latency(client: Client, steps: int) -> float:
    begin = time.time()
    began = await client.execute_workflow(
        f"first_{steps}",
        {"only_first": True},
        id=str(uuid.uuid4()),
        task_queue=QUEUES["dsl"],
    )
    return began - begin


async def first_activity(client: Client, rounds: int, each: int) -> tuple[list[float], list[float]]:
    """Seconds until the first activity begins, of 1,000 steps and of 10, a median a round."""
    results: dict[int, list[float]] = {steps: [] for steps in _LENGTHS}
    for steps in _LENGTHS:
        for _ in range(5):
            await _latency(client, steps)
    for _ in range(rounds):
        samples: dict[int, list[float]] = {steps: [] for steps in _LENGTHS}
        for _ in range(each):
            for steps in _LENGTHS:
                samples[steps].append(await _latency(client, steps))
        for steps in _LENGTHS:
            results[steps].append(median(samples[steps]))
    return results[1000], results[10]
