"""Who runs the registry's workflows: every worker that follows it, and commands where none is up.

They have a task queue of their own, so that a run that waits for its definition never holds the
slot that would bring it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from interpreter.definitions.catalogues import CatalogueWorkflow
from interpreter.definitions.entity import DefinitionEntity, DeploymentWorkflow
from interpreter.definitions.registry import QUEUE
from interpreter.worker import INLINE

__all__ = ["hosted", "pollers", "registry_worker"]

_SILENT = 75.0
"""Who has not polled for so long is gone, in seconds: a poll lasts a minute at most."""
_PATIENCE = 0.5
_LINGER = 0.2


def registry_worker(client: Client, *, cached: int = 1000) -> Worker:
    """A worker for the registry's own workflows."""
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[DefinitionEntity, DeploymentWorkflow, CatalogueWorkflow],
        debug_mode=INLINE,
        max_cached_workflows=cached,
        # Where a worker was killed, who deploys does not wait for it as long as runs do.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )


async def pollers(client: Client, queue: str, *, activities: bool = False) -> list[PollerInfo]:
    """Who listens on a task queue now."""
    kind = (
        TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        if activities
        else TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    )
    describe = client.workflow_service.describe_task_queue
    whole = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    # The plain answer is that of one partition of the queue: who polls another may be missing.
    parts = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
        task_queue_types=[kind],
        report_pollers=True,
    )
    found = list((await describe(whole)).pollers)
    with contextlib.suppress(RPCError):  # a server that does not know that
        for version in (await describe(parts)).versions_info.values():
            found += [one for types in version.types_info.values() for one in types.pollers]
    earliest = time.time() - _SILENT
    recent = [one for one in found if one.last_access_time.ToSeconds() > earliest]
    return list({one.identity: one for one in recent}.values())


@asynccontextmanager
async def hosted(client: Client) -> AsyncGenerator[None]:
    """Sees to it that somebody runs the registry's workflows meanwhile.

    Where a worker is up it does; but one that was killed looks as if it were up for a while, so
    what takes longer than it should gets a worker of ours beside it: two do not disturb each
    other.
    """
    over = asyncio.Event()

    async def host(after: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), after)
            return
        # What it keeps in memory would bind its workflows to a process that soon ends.
        async with registry_worker(client, cached=0):
            await over.wait()
            # What others asked meanwhile is on its way to us: ending now would lose it, and
            # the server gives it to somebody else only seconds later.
            await asyncio.sleep(_LINGER)

    hosting = asyncio.ensure_future(host(_PATIENCE if await pollers(client, QUEUE) else 0))
    try:
        yield
    finally:
        over.set()
        # Who may not host it needs somebody who does, and knows by now whether there is one.
        with contextlib.suppress(RuntimeError):
            await hosting
