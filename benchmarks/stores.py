"""What it costs where definitions come from: the registry, a folder, or nowhere (by hand)."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median

from temporalio.client import Client

from benchmarks.load import run_batch
from benchmarks.processes import process
from benchmarks.scenarios import QUEUES, SCENARIOS, STORES
from benchmarks.stats import Series

__all__ = ["Stores", "store_rounds"]

_FIVE = SCENARIOS[0]
_STARTS = 1000


@dataclass(slots=True)
class Stores:
    """What the rounds gave.

    Attributes:
        latency: Seconds from start to result, one execution at a time: a median a round.
        cpu: Seconds of the worker's CPU time for an execution.
        loads: How often a definition was loaded for so many starts at once.
    """

    latency: Series = field(default_factory=lambda: {variant: [] for variant in STORES})
    cpu: Series = field(default_factory=lambda: {variant: [] for variant in STORES})
    starts: int = _STARTS
    loads: int = 0


async def store_rounds(client: Client, address: str, rounds: int, count: int) -> Stores:
    """Measures five activities in sequence, of the same definition from each store."""
    results = Stores()
    async with AsyncExitStack() as stack:
        workers = {
            variant: await stack.enter_async_context(process(variant, address))
            for variant in STORES
        }
        for variant in STORES:
            await run_batch(client, variant, _FIVE, 10)
        for turn in range(rounds):
            for place in range(len(STORES)):
                step = 1 if turn % 2 else -1
                variant = STORES[(turn + step * place) % len(STORES)]
                samples: list[float] = []
                for _ in range(count):
                    begin = time.perf_counter()
                    await run_batch(client, variant, _FIVE, 1)
                    samples.append(time.perf_counter() - begin)
                results.latency[variant].append(median(samples))
                before = await workers[variant].cpu()
                await run_batch(client, variant, _FIVE, 2 * count)
                results.cpu[variant].append((await workers[variant].cpu() - before) / (2 * count))
        loads = (await workers["registry"].ask("loads"))["loads"]
        await asyncio.gather(*(_start(client) for _ in range(_STARTS)))
        results.loads = (await workers["registry"].ask("loads"))["loads"] - loads
    return results


async def _start(client: Client) -> None:
    await client.execute_workflow(
        "nothing", id=str(uuid.uuid4()), task_queue=QUEUES["registry"], result_type=int
    )
