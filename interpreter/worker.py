"""A worker that runs definitions and their activities."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Interceptor, Worker

from interpreter.activities import ActivityContextInterceptor, ActivityRegistry
from interpreter.definitions.resolver import Resolver
from interpreter.definitions.store import DefinitionStore
from interpreter.headers import HeaderInterceptor
from interpreter.payloads import budget_of
from interpreter.redriver import Redriver
from interpreter.workflow import DslWorkflow

__all__ = ["INLINE", "TASK_QUEUE", "Parts", "make_worker", "parts_of"]

INLINE = True
"""For the SDK's `debug_mode`: workflow tasks run on the loop of the worker, and not in threads.

The SDK gives each task to a thread so that a workflow that blocks does not hold up the worker, and
takes one that needs two seconds for a deadlock. The interpreter never blocks, and how much it does
in one go is bounded; it is Python, which only one thread runs at a time anyhow. So changing
threads twice for each task buys nothing, costs a tenth of the worker's CPU time, and has large
definitions fail on slow machines. Not for a worker that also runs workflows written by hand.
"""
TASK_QUEUE = "dsl"
"""The task queue where nothing else is said."""


@dataclass(frozen=True)
class Parts:
    """What a worker needs to run definitions, beside `DslWorkflow`.

    Args:
        activities: The activities that definitions call, and the interpreter's own.
        interceptors: What tells the activities what they may ask.
    """

    activities: list[Callable[..., Any]]
    interceptors: list[Interceptor]


def parts_of(
    client: Client,
    store: DefinitionStore,
    registry: ActivityRegistry,
    continue_after: int | None = None,
) -> Parts:
    """What a worker needs, with the arguments of `make_worker`."""
    # With external storage in the client's data converter larger values may be sent.
    budget = budget_of(client.data_converter.external_storage)
    resolver = Resolver(store, continue_after, budget)
    return Parts(
        [*registry.callables(), *resolver.activities, *Redriver(resolver).activities],
        [
            HeaderInterceptor(stores=budget.stored_from is not None),
            ActivityContextInterceptor(budget),
        ],
    )


def make_worker(
    client: Client,
    store: DefinitionStore,
    registry: ActivityRegistry,
    *,
    task_queue: str = TASK_QUEUE,
    max_cached_workflows: int = 1000,
    activity_threads: int = 100,
    identity: str | None = None,
    graceful_shutdown: timedelta = timedelta(seconds=10),
    continue_after: int | None = None,
) -> Worker:
    """Makes a worker. Run it with `async with worker:` or `await worker.run()`.

    Args:
        client: Where it works.
        store: Where definitions come from.
        registry: The activities that it runs.
        task_queue: The task queue it listens to.
        max_cached_workflows: How many runs it keeps in memory between their tasks.
        activity_threads: How many activities that are no coroutines run at the same time.
        identity: What others know it by; the process and the host where none is given.
        graceful_shutdown: How long activities have to end when it is shut down.
        continue_after: After how many events the runs that begin here go on as new, for tests;
            where not given when the server suggests it.
    """
    parts = parts_of(client, store, registry, continue_after)
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[DslWorkflow],
        activities=parts.activities,
        activity_executor=ThreadPoolExecutor(activity_threads, "activity"),
        debug_mode=INLINE,
        interceptors=parts.interceptors,
        max_cached_workflows=max_cached_workflows,
        identity=identity,
        graceful_shutdown_timeout=graceful_shutdown,
    )
