"""A worker that has workflows of its own, and runs definitions too.

python examples/embedded-worker/worker.py
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from report import NightlyReport, Review, write_report
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from interpreter.plugin import DslPlugin

HERE = Path(__file__).parent


def make_worker(client: Client) -> Worker:
    """The worker: `plugins` is all that it has more than before."""
    return Worker(
        client,
        task_queue="branches",
        workflows=[NightlyReport, Review],
        activities=[write_report],
        activity_executor=ThreadPoolExecutor(100),
        plugins=[
            DslPlugin(
                activities=[HERE / "activities.py"],
                definitions=HERE / "workflow.yaml",
            )
        ],
    )


async def main() -> None:
    """Runs the worker until it is stopped."""
    client = await Client.connect(
        os.environ.get("TEMPORAL_ADDRESS", "localhost:7233"),
        data_converter=pydantic_data_converter,
    )
    await make_worker(client).run()


if __name__ == "__main__":
    asyncio.run(main())
