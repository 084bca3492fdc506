"""Executions in batches, each checked for its result."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field

from temporalio.client import Client, WorkflowHistory

from benchmarks.processes import Process
from benchmarks.scenarios import QUEUES, VARIANTS, Scenario
from benchmarks.stats import Series

__all__ = ["Load", "fetch", "run_batch", "run_rounds"]


@dataclass(slots=True)
class Load:
    """What the rounds of a scenario gave."""

    cpu: Series = field(default_factory=lambda: {variant: [] for variant in VARIANTS})
    """Seconds of the workflow worker's CPU time for an execution."""
    rate: Series = field(default_factory=lambda: {variant: [] for variant in VARIANTS})
    """Executions a second."""


async def _execute(client: Client, variant: str, scenario: Scenario) -> str:
    """Runs an execution and checks its result; gives its id."""
    id = str(uuid.uuid4())
    output = await client.execute_workflow(
        scenario.name, scenario.given, id=id, task_queue=QUEUES[variant]
    )
    if output != scenario.expected:
        raise AssertionError(f"{variant} {scenario.name}: {output!r} != {scenario.expected!r}")
    return id


async def run_batch(client: Client, variant: str, scenario: Scenario, count: int) -> float:
    """Runs `count` executions, some at a time; gives the seconds that it took."""
    left = iter(range(count))

    async def lane() -> None:
        for _ in left:
            await _execute(client, variant, scenario)

    begin = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(min(scenario.concurrent, count))))
    return time.perf_counter() - begin


async def run_rounds(
    client: Client, workers: dict[str, Process], scenario: Scenario, rounds: int, share: float
) -> Load:
    """Measures CPU and throughput in rounds of all variants, each in another order."""
    load = Load()
    count = max(2, round(scenario.batch * share))
    for variant in VARIANTS:
        await run_batch(client, variant, scenario, max(2, count // 4))
    for turn in range(rounds):
        for place in range(len(VARIANTS)):
            # Over the rounds each variant has each place, and follows each other one.
            step = 1 if turn % 2 else -1
            variant = VARIANTS[(turn + step * place) % len(VARIANTS)]
            worker = workers[variant]
            before = await worker.cpu()
            seconds = await run_batch(client, variant, scenario, count)
            load.cpu[variant].append((await worker.cpu() - before) / count)
            load.rate[variant].append(count / seconds)
    return load


async def fetch(
    client: Client, variant: str, scenario: Scenario, count: int
) -> list[WorkflowHistory]:
    """The histories of some executions."""
    ids = await asyncio.gather(*(_execute(client, variant, scenario) for _ in range(count)))
    return [await client.get_workflow_handle(id).fetch_history() for id in ids]
