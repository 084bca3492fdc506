"""`retry`, `fail`, `skip`, `resolve`, `resume`: what an operator answers to a suspended run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings

if TYPE_CHECKING:
    from temporalio.client import WorkflowUpdateFailedError

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
    for command in (retry, fail, skip, resolve, resume):
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


def resume(
    context: typer.Context,
    id: _Id,
    revision: Annotated[str | None, typer.Option("--revision", help="This revision.")] = None,
    alias: Annotated[
        str | None, typer.Option("--alias", help="The revision of this alias. Default: live.")
    ] = None,
    reason: _Reason = None,
) -> None:
    """Let a suspended run go on under another revision of its definition.

    What it has done stands. Where the revision does not fit that, it stays suspended.
    """
    from interpreter.cli import render
    from interpreter.operators import RESUME

    if revision is not None and alias is not None:
        raise CliError("--revision and --alias: give one of them")
    settings = context.find_object(Settings) or Settings()
    done = _sent(settings, id, RESUME, revision=revision, alias=alias, reason=reason)
    if settings.json:
        render.result({"id": id, "action": "resume", **done})
    else:
        render.note(f"resume for {_steps(done['steps'])} of {id}, revision {done['revision']}")


def _steps(paths: list[str]) -> str:
    return ", ".join(path or "the definition" for path in paths)


def _answer(context: typer.Context, id: str, given: dict[str, Any]) -> None:
    from interpreter.cli import render
    from interpreter.operators import ANSWER

    settings = context.find_object(Settings) or Settings()
    steps = _sent(settings, id, ANSWER, **given)["answered"]
    if settings.json:
        render.result({"id": id, "action": given["action"], "steps": steps})
    else:
        render.note(f"{given['action']} for {_steps(steps)} of {id}")


def _sent(settings: Settings, id: str, update: str, **given: Any) -> dict[str, Any]:
    """Sends what was given, and who gave it; gives the run's answer."""
    import asyncio

    from interpreter.cli.registered import author

    request = {name: value for name, value in given.items() if value is not None}
    return asyncio.run(_send(settings, id, update, request | {"by": author()}))


async def _send(
    settings: Settings, id: str, update: str, request: dict[str, Any]
) -> dict[str, Any]:
    from datetime import timedelta

    from temporalio.client import (
        WorkflowUpdateFailedError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    )
    from temporalio.service import RPCError, RPCStatusCode

    from interpreter.cli.connection import connect, rpc_error
    from interpreter.cli.work import told

    client = await connect(settings)
    handle: Any = client.get_workflow_handle(id)
    sending = handle.execute_update(update, request, rpc_timeout=timedelta(seconds=10))
    silent = CliError(
        f"no worker answered for {id}",
        Exit.UNREACHABLE,
        "an answer is taken by a worker: start one with `temporal-dsl worker`",
    )
    try:
        return await told(sending, "waiting for a worker to take it")
    except WorkflowUpdateFailedError as error:
        raise _refused(id, error) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise silent from None
    except RPCError as error:
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise silent from None
        raise rpc_error(error, f"{id} cannot be answered") from None


def _refused(id: str, error: WorkflowUpdateFailedError) -> CliError:
    """What the run said. A revision that does not fit is a line for each conflict."""
    from temporalio.exceptions import ActivityError, ApplicationError

    cause = error.cause
    if isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause  # that of the registry
    why = cause.message if isinstance(cause, ApplicationError) else str(cause)
    first, *conflicts = why.splitlines()
    message = "\n  ".join([f"{id} refused it: {first}", *conflicts])
    if conflicts:
        hint = "it stays suspended; deploy a revision that keeps what was done as it is"
        return CliError(message, hint=hint, more={"conflicts": conflicts})
    return CliError(message, hint=f"`temporal-dsl status {id}` shows what is suspended")
