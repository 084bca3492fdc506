"""A process of workers: `python -m benchmarks.child ROLE ADDRESS`.

It answers lines on its standard input with lines of JSON, so that only what it is asked for is
measured: `stat` gives its CPU time and memory, `stop` ends it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from unittest import mock

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.activities import OURS, PLAIN
from benchmarks.definitions import load_definitions
from benchmarks.scenarios import OPEN, QUEUES, SCENARIOS, VARIANTS

__all__ = ["handwritten", "workflow_worker"]

_CACHED = 1000


def handwritten() -> list[type]:
    """The hand-written workflows."""
    found: list[type] = []
    for scenario in (*SCENARIOS, OPEN):
        module = importlib.import_module(f"benchmarks.handwritten.{scenario.name}")
        found.append(getattr(module, scenario.name.capitalize()))
    return found


def workflow_worker(client: Client, variant: str) -> Worker:
    """A worker of one variant that runs no activity but the resolver, which is part of ours."""
    if variant == "dsl":
        from interpreter import worker
        from interpreter.activities import ActivityRegistry
        from interpreter.definitions.store import MemoryStore

        # The very worker that users get, but its activities run elsewhere, as do the others'.
        alone = functools.partial(Worker, no_remote_activities=True)
        with mock.patch.object(worker, "Worker", alone):
            return worker.make_worker(
                client,
                MemoryStore(load_definitions()),
                ActivityRegistry(),
                task_queue=QUEUES[variant],
                max_cached_workflows=_CACHED,
            )
    plain = variant == "plain"
    return Worker(
        client,
        task_queue=QUEUES[variant],
        workflows=handwritten(),
        workflow_runner=UnsandboxedWorkflowRunner() if plain else SandboxedWorkflowRunner(),
        max_cached_workflows=_CACHED,
    )


def _activity_workers(client: Client) -> list[Worker]:
    from interpreter.activities import ActivityContextInterceptor, ActivityRegistry

    ours = Worker(
        client,
        task_queue=QUEUES["dsl"],
        activities=ActivityRegistry(OURS).callables(),
        interceptors=[ActivityContextInterceptor()],
    )
    others = [
        Worker(client, task_queue=QUEUES[variant], activities=PLAIN)
        for variant in VARIANTS
        if variant != "dsl"
    ]
    return [ours, *others]


def _rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _serve() -> None:
    """Answers until it is told to stop, on a thread of its own that only waits."""
    for line in sys.stdin:
        match line.strip():
            case "collect":
                gc.collect()
                answer = {"rss": _rss()}
            case "stat":
                answer = {"cpu": time.process_time(), "rss": _rss()}
            case _:
                return
        print(json.dumps(answer), flush=True)


async def _main(role: str, address: str) -> None:
    client = await Client.connect(address)
    workers = _activity_workers(client) if role == "activities" else None
    async with AsyncExitStack() as stack:
        for worker in workers or [workflow_worker(client, role)]:
            await stack.enter_async_context(worker)
        print(json.dumps({"ready": role}), flush=True)
        await asyncio.to_thread(_serve)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)  # a process that used the SDK may crash at its exit
