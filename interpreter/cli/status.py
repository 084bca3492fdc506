"""`status`: where a run stands."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from interpreter.cli.errors import Exit
from interpreter.cli.options import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

    from interpreter.cli.retries import Retried

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)


def status(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The workflow's id.", metavar="ID")],
    follow: Annotated[bool, typer.Option("--follow", help="Watch it until it ends.")] = False,
) -> int:
    """Show where a run stands: its steps, what was undone, what it waits for."""
    from interpreter.cli.work import Interruptible

    settings = context.find_object(Settings) or Settings()
    with Interruptible() as loop:
        return loop.run(_status(settings, id, follow))


async def _status(settings: Settings, id: str, follow: bool) -> int:
    from temporalio.service import RPCError

    from interpreter.cli import render
    from interpreter.cli.attempts import add_attempts
    from interpreter.cli.connection import connect
    from interpreter.cli.follow import follow as watch
    from interpreter.cli.query import ask

    client = await connect(settings)
    state = await ask(client, id, "status", [])
    code = Exit.DONE
    if follow:
        followed = await watch(client.get_workflow_handle(id))
        state = followed.state
        if followed.open:
            render.faults(state, id)
        elif not settings.json:
            render.outcome(state["definition"], state, followed.seconds, followed.failure, id)
        code = Exit.SUSPENDED if followed.open else Exit.FAILED if followed.failure else Exit.DONE
    else:
        with contextlib.suppress(RPCError):
            await add_attempts(client.get_workflow_handle(id), state)
        if not settings.json:
            render.status(state, await _again(client, id), id)
    if settings.json:
        render.result(state)
    return code


async def _again(client: Client, id: str) -> list[Retried]:
    """The activities of a run that are tried again."""
    from temporalio.service import RPCError

    from interpreter.cli.connection import rpc_error
    from interpreter.cli.retries import retried

    try:
        return retried(await client.get_workflow_handle(id).describe())
    except RPCError as error:
        raise rpc_error(error, f"{id} cannot be described") from None
