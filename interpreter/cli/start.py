"""`start`: start a run of a definition that is deployed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Input, Settings, TaskQueue
from interpreter.cli.registered import Name, RegistryNamespace, check_input_of, chosen

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHandle

    from interpreter.definitions.registry import Registry

__all__ = ["register"]


class Reuse(StrEnum):
    """Temporal's Workflow Id Reuse Policies, by the names of its CLI."""

    ALLOW_DUPLICATE = "AllowDuplicate"
    ALLOW_DUPLICATE_FAILED_ONLY = "AllowDuplicateFailedOnly"
    REJECT_DUPLICATE = "RejectDuplicate"


class Conflict(StrEnum):
    """Temporal's Workflow Id Conflict Policies, by the names of its CLI."""

    FAIL = "Fail"
    USE_EXISTING = "UseExisting"
    TERMINATE_EXISTING = "TerminateExisting"


@dataclass(frozen=True, slots=True)
class _Start:
    settings: Settings
    name: str
    input: Any
    id: str
    reuse: Reuse
    conflict: Conflict
    revision: int | None
    alias: str | None
    queue: str
    follow: bool


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(start)


def start(
    context: typer.Context,
    name: Name,
    input: Input = None,
    id: Annotated[
        str | None, typer.Option("--id", "--workflow-id", "-w", help="The workflow's id.")
    ] = None,
    id_reuse_policy: Annotated[
        Reuse, typer.Option("--id-reuse-policy", help="Where a run of that id has ended.")
    ] = Reuse.ALLOW_DUPLICATE,
    id_conflict_policy: Annotated[
        Conflict, typer.Option("--id-conflict-policy", help="Where a run of that id is open.")
    ] = Conflict.FAIL,
    revision: Annotated[int | None, typer.Option("--revision", help="This revision.")] = None,
    alias: Annotated[
        str | None, typer.Option("--alias", help="The revision of this alias. Default: live.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Watch it to its end.")] = False,
    task_queue: TaskQueue = "dsl",
    registry_namespace: RegistryNamespace = None,
) -> int:
    """Start a run of a definition that is deployed."""
    from interpreter.cli import inputs
    from interpreter.cli.work import Interruptible

    settings = context.find_object(Settings) or Settings()
    if id == "":
        raise CliError("--id: it must not be empty", hint="leave it out, and there is one")
    if revision is not None and alias is not None:
        raise CliError("--revision and --alias: give one of them")
    value: Any = {} if input is None else inputs.read_json(input, "--input")
    job = _Start(
        settings,
        name,
        value,
        id or f"{name}-{uuid.uuid4().hex[:8]}",
        id_reuse_policy,
        id_conflict_policy,
        revision,
        alias,
        task_queue,
        follow,
    )
    with Interruptible() as loop:
        return loop.run(_run(job, registry_namespace))


async def _run(job: _Start, namespace: str | None) -> int:
    from interpreter.cli import render
    from interpreter.cli.registered import opened
    from interpreter.definitions.host import pollers

    async with opened(job.settings, namespace) as (client, registry):
        revision = await _chosen(job, registry)
        before = await _open_run(job, client)
        handle = await _started(job, client, revision)
        joined = before is not None and handle.result_run_id == before
        if joined:
            revision = await _joined(job, handle)
        idle = not await pollers(client, job.queue)
    if idle:
        render.note(f"no worker listens on {job.queue}: it waits for one", "yellow")
    about = {"id": handle.id, "run_id": handle.first_execution_run_id}
    about |= {"definition": job.name, "revision": revision, "task_queue": job.queue}
    if not job.follow:
        if job.settings.json:
            render.result(about | {"started": not joined, "idle": idle})
        else:
            how = "was open already" if joined else "started"
            render.note(f"{job.name}, revision {revision}, {how}")
            render.line(handle.id)
        return Exit.DONE
    from interpreter.cli.follow import watched

    return await watched(job.name, handle, job.settings.json, about)


async def _chosen(job: _Start, registry: Registry) -> int:
    """The revision to start, once the input was checked against it."""
    stored = await chosen(registry, job.name, job.revision, job.alias)
    check_input_of(stored, job.input)
    return int(stored.revision)


async def _open_run(job: _Start, client: Client) -> str | None:
    """The run of that id that is open and would be used; None where there is none."""
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError, RPCStatusCode

    if job.conflict is not Conflict.USE_EXISTING:
        return None
    try:
        described = await client.get_workflow_handle(job.id).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return None
    return described.run_id if described.status == WorkflowExecutionStatus.RUNNING else None


async def _joined(job: _Start, handle: WorkflowHandle[Any, Any]) -> Any:
    """The revision of the run that was open already, as far as it is known."""
    described = await handle.describe()
    if described.workflow_type != job.name:
        raise CliError(f"the run {job.id}, which is open, is one of {described.workflow_type}")
    return (await described.memo()).get("revision")


async def _started(job: _Start, client: Client, revision: int) -> WorkflowHandle[Any, Any]:
    from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
    from temporalio.exceptions import WorkflowAlreadyStartedError
    from temporalio.service import RPCError

    from interpreter.cli.connection import rpc_error

    try:
        return await client.start_workflow(
            job.name,
            args=[job.input, {"revision": str(revision)}],
            id=job.id,
            task_queue=job.queue,
            id_reuse_policy=WorkflowIDReusePolicy[job.reuse.name],
            id_conflict_policy=WorkflowIDConflictPolicy[job.conflict.name],
            memo={"definition": job.name, "revision": revision},
        )
    except WorkflowAlreadyStartedError:
        raise CliError(
            f"there is a run with the id {job.id}, and the policies do not allow another",
            hint="--id-conflict-policy is for an open one, --id-reuse-policy for one that ended",
        ) from None
    except RPCError as error:
        raise rpc_error(error, f"{job.name} was not started") from None
