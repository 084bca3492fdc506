"""The memory of executions that are open in a worker's cache."""

from __future__ import annotations

import asyncio
import uuid

from temporalio.client import Client, WorkflowHandle

from benchmarks.processes import process
from benchmarks.scenarios import OPEN, QUEUES, VARIANTS
from benchmarks.stats import Series

__all__ = ["memory_rounds"]


async def _start(client: Client, variant: str, count: int) -> list[WorkflowHandle]:
    """Starts executions and waits until each waits for its signal."""
    limit = asyncio.Semaphore(OPEN.concurrent)

    async def start() -> WorkflowHandle:
        async with limit:
            handle = await client.start_workflow(
                OPEN.name, OPEN.given, id=str(uuid.uuid4()), task_queue=QUEUES[variant]
            )
            while not await _waits(handle):
                await asyncio.sleep(0.05)
            return handle

    return await asyncio.gather(*(start() for _ in range(count)))


async def _waits(handle: WorkflowHandle) -> bool:
    """Whether all activities have completed and the workflow task after them."""
    described = await handle.describe()
    info = described.raw_description
    return (
        described.history_length >= 6 * OPEN.activities + 4
        and not info.pending_activities
        and not info.HasField("pending_workflow_task")
    )


async def _finish(handles: list[WorkflowHandle]) -> None:
    for handle in handles:
        await handle.signal("over_now")
    for handle in handles:
        output = await handle.result()
        if output != OPEN.expected:
            raise AssertionError(f"{handle.id}: {output!r}")


async def memory_rounds(client: Client, address: str, rounds: int, count: int) -> Series:
    """The growth of a fresh worker's memory for each open execution, in bytes."""
    series: Series = {variant: [] for variant in VARIANTS}
    for turn in range(rounds):
        for place in range(len(VARIANTS)):
            variant = VARIANTS[(turn + place) % len(VARIANTS)]
            async with process(variant, address) as worker:
                warm = await _start(client, variant, 20)
                before = await worker.rss()
                handles = await _start(client, variant, count)
                series[variant].append((await worker.rss() - before) / count)
                await _finish(warm + handles)
    return series
