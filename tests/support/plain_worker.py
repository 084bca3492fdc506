"""A worker with workflows written by hand, for tests: also run as a process of its own.

`python -m tests.support.plain_worker ADDRESS QUEUE`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

__all__ = ["Adds", "Fails", "Nothing", "Starts", "plain_worker"]


@workflow.defn
class Adds:
    """Takes two arguments."""

    @workflow.run
    async def run(self, one: int, other: int) -> int:
        return one + other


@workflow.defn
class Nothing:
    """Takes none."""

    @workflow.run
    async def run(self) -> str:
        return f"nothing on {workflow.info().task_queue}"


@workflow.defn
class Fails:
    """Takes an object, and fails."""

    @workflow.run
    async def run(self, given: dict[str, Any]) -> None:
        raise ApplicationError("no", given, {"more": 1}, type="ByHand", non_retryable=True)


@workflow.defn
class Starts:
    """Starts a definition by its name."""

    @workflow.run
    async def run(self, name: str, queue: str, given: dict[str, Any]) -> Any:
        return await workflow.execute_child_workflow(name, given, id=f"{name}-c", task_queue=queue)


def plain_worker(client: Client, queue: str) -> Worker:
    """A worker of no definition."""
    return Worker(client, task_queue=queue, workflows=[Adds, Nothing, Fails, Starts])


async def _main(address: str, queue: str) -> None:
    worker = plain_worker(await Client.connect(address), queue)
    print("up", flush=True)
    await worker.run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
