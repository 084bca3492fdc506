"""`query`: ask a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Payload, Settings

if TYPE_CHECKING:
    from temporalio.client import Client

__all__ = ["ask", "register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(query)


def query(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The workflow's id.", metavar="ID")],
    name: Annotated[str, typer.Argument(help="The query's name.", metavar="NAME")],
    payload: Payload = None,
) -> None:
    """Ask a run, and print its answer as JSON."""
    import asyncio

    from interpreter.cli import inputs

    settings = context.find_object(Settings) or Settings()
    arguments = [] if payload is None else [inputs.read_json(payload, "--payload")]
    asyncio.run(_query(settings, id, name, arguments))


async def _query(settings: Settings, id: str, name: str, arguments: list[Any]) -> None:
    from interpreter.cli import render
    from interpreter.cli.connection import connect

    render.result(await ask(await connect(settings), id, name, arguments))


async def ask(
    client: Client, id: str, name: str, arguments: list[Any], run_id: str | None = None
) -> Any:
    """The answer of a run to a query; of the last run of that id where none is named.

    Raises:
        CliError: if there is no such run, no worker to answer, or no such query.
    """
    from datetime import timedelta

    from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
    from temporalio.service import RPCError, RPCStatusCode

    from interpreter.cli.connection import rpc_error
    from interpreter.cli.work import told

    handle = client.get_workflow_handle(id, run_id=run_id)
    asking = handle.query(name, args=arguments, rpc_timeout=timedelta(seconds=10))
    try:
        return await told(asking, "waiting for a worker to answer")
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
        raise CliError(f"{id} has no answer to {name}: {error}") from None
    except RPCError as error:
        silent = error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
        if silent or "no poller seen" in error.message:  # where the last one is gone for long
            raise CliError(
                f"no worker answered for {id}",
                Exit.UNREACHABLE,
                "a query is answered by a worker: start one with `temporal-dsl worker`",
            ) from None
        raise rpc_error(error, f"{id} cannot be asked") from None
