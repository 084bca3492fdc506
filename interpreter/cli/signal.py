"""`signal`: send a signal to a run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from interpreter.cli.options import Payload, Settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(signal)


def signal(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The workflow's id.", metavar="ID")],
    name: Annotated[str, typer.Argument(help="The signal's name.", metavar="NAME")],
    payload: Payload = None,
) -> None:
    """Send a signal to a run."""
    import asyncio

    from interpreter.cli import inputs

    settings = context.find_object(Settings) or Settings()
    asyncio.run(_signal(settings, id, name, inputs.read_json(payload, "--payload")))


async def _signal(settings: Settings, id: str, name: str, payload: Any) -> None:
    from temporalio.service import RPCError

    from interpreter.cli import render
    from interpreter.cli.connection import connect, rpc_error

    client = await connect(settings)
    try:
        await client.get_workflow_handle(id).signal(name, payload)
    except RPCError as error:
        raise rpc_error(error, f"{id} was not signalled") from None
    if settings.json:
        render.result({"id": id, "signal": name})
    else:
        render.note(f"{name} sent to {id}")
