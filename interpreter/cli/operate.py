"""`retry`, `fail`, `skip`, `resolve`: what an operator answers to a suspended run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings

__all__ = ["register"]

_Id = Annotated[str, typer.Argument(help="The workflow's id.", metavar="ID")]
_Step = Annotated[str, typer.Argument(help="The path of the suspended step, as `status` shows it.")]
_AnyStep = Annotated[
    str | None,
    typer.Argument(help="The path of the suspended step. Without it: all of them.", metavar="STEP"),
]
_Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the record.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (retry, fail, skip, resolve):
        app.command()(command)


def retry(context: typer.Context, id: _Id, step: _AnyStep = None, reason: _Reason = None) -> None:
    """Try a suspended step or compensation again."""
    _answer(context, id, {"action": "retry", "step": step, "reason": reason})


def fail(context: typer.Context, id: _Id, step: _AnyStep = None, reason: _Reason = None) -> None:
    """Let a suspended step fail: that may be caught, and what was done is undone."""
    _answer(context, id, {"action": "fail", "step": step, "reason": reason})


def skip(context: typer.Context, id: _Id, step: _Step, reason: _Reason = None) -> None:
    """Go on without a suspended step or compensation."""
    _answer(context, id, {"action": "skip", "step": step, "reason": reason})


def resolve(
    context: typer.Context,
    id: _Id,
    step: _Step,
    output: Annotated[
        str | None,
        typer.Option("--step-output", help="The step's output: JSON, @FILE or @-.", metavar="JSON"),
    ] = None,
    reason: _Reason = None,
) -> None:
    """Say that somebody did by hand what a suspended step or compensation should do."""
    from interpreter.cli import inputs

    given = {"action": "resolve", "step": step, "reason": reason}
    _answer(context, id, given | {"output": inputs.read_json(output, "--step-output")})


def _answer(context: typer.Context, id: str, given: dict[str, Any]) -> None:
    import asyncio

    from interpreter.cli.registered import author

    answer = {name: value for name, value in given.items() if value is not None}
    settings = context.find_object(Settings) or Settings()
    asyncio.run(_send(settings, id, answer | {"by": author()}))


async def _send(settings: Settings, id: str, answer: dict[str, Any]) -> None:
    from datetime import timedelta

    from temporalio.client import (
        WorkflowUpdateFailedError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    )
    from temporalio.service import RPCError, RPCStatusCode

    from interpreter.cli import render
    from interpreter.cli.connection import connect, rpc_error
    from interpreter.cli.work import told
    from interpreter.operators import ANSWER

    client = await connect(settings)
    handle: Any = client.get_workflow_handle(id)
    sending = handle.execute_update(ANSWER, answer, rpc_timeout=timedelta(seconds=10))
    silent = CliError(
        f"no worker answered for {id}",
        Exit.UNREACHABLE,
        "an answer is taken by a worker: start one with `temporal-dsl worker`",
    )
    try:
        done = await told(sending, "waiting for a worker to take it")
    except WorkflowUpdateFailedError as error:
        hint = f"`temporal-dsl status {id}` shows what is suspended"
        raise CliError(f"{id} refused it: {error.cause}", hint=hint) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise silent from None
    except RPCError as error:
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise silent from None
        raise rpc_error(error, f"{id} cannot be answered") from None
    if settings.json:
        render.result({"id": id, "action": answer["action"], "steps": done["answered"]})
    else:
        steps = ", ".join(step or "the definition" for step in done["answered"])
        render.note(f"{answer['action']} for {steps} of {id}")
