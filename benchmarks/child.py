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
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.activities import OURS, PLAIN
from benchmarks.definitions import DEFINITIONS, load_definitions
from benchmarks.scenarios import OPEN, QUEUES, SCENARIOS, VARIANTS

if TYPE_CHECKING:
    from interpreter.definitions.directory import DirectoryStore
    from interpreter.definitions.remote import RegistryStore

__all__ = ["handwritten", "workflow_worker"]

_CACHED = 1000


def handwritten() -> list[type]:
    """The hand-written workflows."""
    found: list[type] = []
    for scenario in (*SCENARIOS, OPEN):
        module = importlib.import_module(f"benchmarks.handwritten.{scenario.name}")
        found.append(getattr(module, scenario.name.capitalize()))
    return found


def workflow_worker(client: Client, variant: str, store: Any = None) -> Worker:
    """A worker of one variant that runs no activity but the resolver, which is part of ours."""
    if variant not in ("plain", "sandboxed"):
        from interpreter import worker
        from interpreter.activities import ActivityRegistry
        from interpreter.definitions.store import MemoryStore

        # The very worker that users get, but its activities run elsewhere, as do the others'.
        alone = functools.partial(Worker, no_remote_activities=True)
        with mock.patch.object(worker, "Worker", alone):
            return worker.make_worker(
                client,
                store or MemoryStore(load_definitions()),
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

    ours = [
        Worker(
            client,
            task_queue=QUEUES[variant],
            activities=ActivityRegistry(OURS).callables(),
            interceptors=[ActivityContextInterceptor()],
        )
        for variant in ("dsl", "registry", "directory")
    ]
    others = [
        Worker(client, task_queue=QUEUES[variant], activities=PLAIN)
        for variant in VARIANTS
        if variant != "dsl"
    ]
    return [*ours, *others]


def _rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _in_folder(stack: AsyncExitStack) -> DirectoryStore:
    """A store of files, followed as `worker --definitions` does."""
    from interpreter.definitions.directory import DirectoryStore

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for name, definition in DEFINITIONS.items():
        (folder / f"{name}.yaml").write_text(json.dumps(definition))
    store = DirectoryStore([folder])
    assert store.load().ok
    watching = asyncio.ensure_future(store.watch(print))
    stack.callback(watching.cancel)
    return store


async def _in_registry(client: Client, stack: AsyncExitStack) -> RegistryStore:
    """A store of the registry, which this process hosts, as `worker` does."""
    from interpreter.definitions.host import registry_worker
    from interpreter.definitions.registry import Registry
    from interpreter.definitions.remote import RegistryStore

    await stack.enter_async_context(registry_worker(client))
    registry = Registry(client)
    await registry.publish_all(load_definitions(), by="benchmark")
    return RegistryStore(registry)


def _serve(store: Any) -> None:
    """Answers until it is told to stop, on a thread of its own that only waits."""
    for line in sys.stdin:
        match line.strip():
            case "collect":
                gc.collect()
                answer = {"rss": _rss()}
            case "stat":
                answer = {"cpu": time.process_time(), "rss": _rss()}
            case "loads":
                answer = {"loads": store.loads}
            case _:
                return
        print(json.dumps(answer), flush=True)


async def _main(role: str, address: str) -> None:
    client = await Client.connect(address)
    workers = _activity_workers(client) if role == "activities" else None
    store: Any = None
    async with AsyncExitStack() as stack:
        if role == "registry":
            store = await _in_registry(client, stack)
        elif role == "directory":
            store = _in_folder(stack)
        for worker in workers or [workflow_worker(client, role, store)]:
            await stack.enter_async_context(worker)
        print(json.dumps({"ready": role}), flush=True)
        await asyncio.to_thread(_serve, store)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)  # a process that used the SDK may crash at its exit
