"""A `foreach` with `batch`: does an item cost more where there are more of them?"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from temporalio.client import Client

from benchmarks.processes import Process, process
from benchmarks.scenarios import QUEUES
from benchmarks.stats import Ratio

__all__ = ["FanOut", "fan_out", "fan_out_rounds"]


@dataclass(slots=True)
class FanOut:
    """What the rounds gave.

    Attributes:
        few: How many items a small run has.
        many: How many a large one has.
        batch: How many items a child has.
        small: Seconds of the worker's CPU time for an item of a small run, a number a round.
        large: The same of a large run.
        seconds: What each large run took.
    """

    few: int
    many: int
    batch: int
    small: list[float] = field(default_factory=list[float])
    large: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])

    @property
    def ratio(self) -> Ratio:
        """An item of many by an item of few."""
        return Ratio.of(self.large, self.small)


async def fan_out(client: Client, batch: int, items: int) -> float:
    """Runs an activity for each of so many items; gives the seconds that it took."""
    begin = time.perf_counter()
    output = await client.execute_workflow(
        f"fan_out_{batch}",
        {"items": items},
        id=str(uuid.uuid4()),
        task_queue=QUEUES["dsl"],
    )
    if output != items:
        raise AssertionError(f"fan-out: {output!r} != {items!r}")
    return time.perf_counter() - begin


async def fan_out_rounds(
    client: Client, address: str, rounds: int, few: int, many: int, batch: int
) -> FanOut:
    """Measures runs of few and of many items by turns, on one fresh worker.

    There must be a process of activities.
    """
    results = FanOut(few, many, batch)
    async with process("dsl", address) as worker:
        for _ in range(2):  # warm-up
            await fan_out(client, batch, few)
        for _ in range(rounds):
            cpu, _ = await _measured(client, worker, batch, few, max(1, many // few // 3))
            results.small.append(cpu)
            cpu, seconds = await _measured(client, worker, batch, many, 1)
            results.large.append(cpu)
            results.seconds.append(seconds)
    return results


async def _measured(
    client: Client, worker: Process, batch: int, items: int, runs: int
) -> tuple[float, float]:
    """Seconds of CPU time for an item; seconds for a run."""
    before = await worker.cpu()
    seconds = 0.0
    for _ in range(runs):
        seconds += await fan_out(client, batch, items)
    return (await worker.cpu() - before) / (runs * items), seconds / runs
