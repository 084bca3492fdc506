"""What the activities of running workers are, for those who deploy.

A worker's identity ends with the digest of its catalogue, and who polls a task queue is known to
the server: so what really runs is what is asked. The catalogue itself is the input of a workflow
that its digest names. Nothing needs to run it to be read.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from dsl.catalogue import ActivityType, Catalogue
from interpreter.definitions.packed import pack, unpack

__all__ = [
    "CatalogueWorkflow",
    "digest_in",
    "fetch",
    "follows_files",
    "identity",
    "identity_of_files",
    "offer",
]

_TYPE = "dsl.catalogue"
_MARK = "#dsl-catalogue="
_FILES = "#dsl-files"
_LASTS = timedelta(days=30)
_RENEWED = timedelta(days=1)


@workflow.defn(name=_TYPE, sandboxed=False)
class CatalogueWorkflow:
    """Is there, with a catalogue as its input, until nobody has offered it for a month."""

    @workflow.run
    async def run(self, packed: str) -> None:
        """Waits for its timeout."""
        await asyncio.Future[None]()


def _text(catalogue: Catalogue) -> str:
    data = {name: asdict(activity) for name, activity in sorted(catalogue.items())}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _digest(catalogue: Catalogue) -> str:
    return hashlib.sha256(_text(catalogue).encode()).hexdigest()[:16]


def identity(catalogue: Catalogue) -> str:
    """The identity of a worker with these activities."""
    return f"{os.getpid()}@{socket.gethostname()}{_MARK}{_digest(catalogue)}"


def follows_files(identity: str) -> bool:
    """Whether it is the identity of a worker that follows files, not the registry."""
    return identity.endswith(_FILES)


def identity_of_files() -> str:
    """The identity of a worker that follows files."""
    return f"{os.getpid()}@{socket.gethostname()}{_FILES}"


def digest_in(identity: str) -> str | None:
    """The digest in the identity of a worker; None where it is no worker of ours."""
    _, mark, digest = identity.rpartition(_MARK)
    return digest if mark else None


async def offer(client: Client, catalogue: Catalogue, queue: str) -> None:
    """Offers a catalogue as long as a worker runs.

    Args:
        client: Of the registry's namespace.
        catalogue: The activities.
        queue: The registry's task queue.
    """
    while True:
        await client.start_workflow(
            CatalogueWorkflow.run,
            pack(_text(catalogue)),
            id=f"{_TYPE}/{_digest(catalogue)}",
            task_queue=queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            execution_timeout=_LASTS,
        )
        await asyncio.sleep(_RENEWED.total_seconds())


async def fetch(client: Client, digest: str) -> Catalogue | None:
    """A catalogue by its digest; None where nobody offers it."""
    handle = client.get_workflow_handle(f"{_TYPE}/{digest}")
    try:
        async for event in handle.fetch_history_events(page_size=1):
            started = event.workflow_execution_started_event_attributes
            [packed] = await client.data_converter.decode(started.input.payloads, [str])
            data: dict[str, dict[str, Any]] = json.loads(unpack(packed))
            return {name: ActivityType(**one) for name, one in data.items()}
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    return None
