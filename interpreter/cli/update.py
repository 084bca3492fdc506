"""`update`: send an update to a run, and print its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Payload, Settings

if TYPE_CHECKING:
    from temporalio.client import WorkflowUpdateFailedError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(update)


def update(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The workflow's id.", metavar="ID")],
    name: Annotated[str, typer.Argument(help="The update's name.", metavar="NAME")],
    payload: Payload = None,
) -> None:
    """Send an update to a run, and print its answer as JSON."""
    import asyncio

    from interpreter.cli import inputs

    settings = context.find_object(Settings) or Settings()
    given = inputs.read_json(payload, "--payload")
    _check(settings, given)
    asyncio.run(_update(settings, id, name, given))


def _check(settings: Settings, payload: Any) -> None:
    """Refuses what the server would take, and what a run could neither accept nor refuse."""
    from interpreter.cli.connection import storage_url
    from interpreter.errors import Fault
    from interpreter.payloads import LARGEST_STORED, MAX_BYTES, written

    try:
        written(payload, "the payload", LARGEST_STORED if storage_url(settings) else MAX_BYTES)
    except Fault as fault:
        hint = "name external storage with --payload-storage, as its worker does"
        raise CliError(fault.message, hint=hint) from None


async def _update(settings: Settings, id: str, name: str, payload: Any) -> None:
    from datetime import timedelta

    from temporalio.client import (
        WorkflowUpdateFailedError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
        WorkflowUpdateStage,
    )
    from temporalio.service import RPCError, RPCStatusCode

    from interpreter.cli import render
    from interpreter.cli.connection import connect, rpc_error
    from interpreter.cli.work import told

    client = await connect(settings)
    handle: Any = client.get_workflow_handle(id)
    # Only until it is accepted: its handler may take as long as it likes.
    sending = handle.start_update(
        name,
        payload,
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        rpc_timeout=timedelta(seconds=10),
    )
    silent = CliError(
        f"no worker answered for {id}",
        Exit.UNREACHABLE,
        "an update is taken by a worker: start one with `temporal-dsl worker`",
    )
    try:
        sent = await told(sending, "waiting for a worker to take it")
        answer = await told(sent.result(), "waiting for its answer")
    except WorkflowUpdateFailedError as error:
        raise CliError(_failed(id, name, error), Exit.FAILED) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise silent from None
    except RPCError as error:
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise silent from None
        raise rpc_error(error, f"{id} cannot be updated") from None
    render.result(answer)


def _failed(id: str, name: str, error: WorkflowUpdateFailedError) -> str:
    from temporalio.exceptions import ApplicationError

    from interpreter.handlers import REFUSALS

    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in REFUSALS:
        return f"{id} rejected {name}: {cause.message}"
    return f"{name} failed in {id}: {cause}"
