"""Watching a run until it ends, is suspended, or nobody wants to watch any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError, TimeoutError
from temporalio.service import RPCError

from interpreter.cli import render
from interpreter.cli.connection import rpc_error
from interpreter.cli.errors import Exit
from interpreter.cli.retries import Retried, retried

__all__ = ["Followed", "conclude", "follow", "watched"]

_PERIOD = 0.1
_DESCRIBED = 1.0


@dataclass(slots=True)
class Followed:
    """How a run ended, or where it stands.

    Args:
        state: What the last `status` query gave.
        result: Its output, where it completed.
        failure: What Temporal says of its end, where it failed: type and message.
        seconds: How long it took, as the server says.
        open: Whether it goes on: it is suspended.
    """

    state: dict[str, Any] = field(default_factory=dict[str, Any])
    result: Any = None
    failure: tuple[str, str] | None = None
    seconds: float = 0
    open: bool = False


async def follow(
    handle: WorkflowHandle[Any, Any], saw: Callable[[dict[str, Any]], None] | None = None
) -> Followed:
    """Shows a run's tree on standard error until it ends or is suspended.

    Args:
        handle: The run.
        saw: Gets every state, for those who want the last even if this is interrupted.
    """
    began = time.monotonic()
    followed = Followed()
    ended = asyncio.ensure_future(handle.result())
    with render.RunView() as view:

        def show(state: dict[str, Any], again: list[Retried]) -> None:
            view.show(state, again)
            if saw is not None:
                saw(state)

        await _watch(handle, ended, followed, show)
    if followed.open:
        ended.cancel()
        return followed
    followed.seconds = await _duration(handle) or time.monotonic() - began
    try:
        followed.result = ended.result()
    except WorkflowFailureError as error:
        followed.failure = _failure(error.cause)
    except RPCError as error:
        raise rpc_error(error, f"{handle.id} cannot be followed") from None
    return followed


def conclude(
    name: str,
    followed: Followed,
    json: bool,
    about: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> Exit:
    """Shows how a run ended, and gives the exit code.

    Args:
        name: The definition's name.
        followed: The run, which has ended.
        json: Whether the result is a document, and not only the output.
        about: What the document says before all else.
        id: The workflow's id, where it may be taken up again.
    """
    render.outcome(name, followed.state, followed.seconds, followed.failure, id)
    document = dict(about or {})
    if followed.failure is None:
        output = followed.result
        render.result(document | followed.state | {"output": output} if json else output)
        return Exit.DONE
    if json:
        kind, message = followed.failure
        failure = {"failure": {"type": kind, "message": message}}
        render.result(document | failure | followed.state)
    return Exit.FAILED


async def watched(
    name: str, handle: WorkflowHandle[Any, Any], json: bool, about: dict[str, Any]
) -> Exit:
    """Shows a run that was started until it ends or is suspended, and gives the exit code.

    Args:
        name: The definition's name.
        handle: The run.
        json: Whether the result is a document, and not only the output.
        about: What the document says before all else.
    """
    render.note(f"{name}  {handle.id}", "bold")
    followed = await follow(handle)
    if followed.open:
        render.faults(followed.state, handle.id)
        if json:
            render.result(about | followed.state)
        return Exit.SUSPENDED
    return conclude(name, followed, json, about, handle.id)


async def _watch(
    handle: WorkflowHandle[Any, Any],
    ended: asyncio.Future[Any],
    followed: Followed,
    show: Callable[[dict[str, Any], list[Retried]], None],
) -> None:
    """Shows the run until it ended or nothing goes on in it."""
    described = time.monotonic()  # a run that fails at all does not at once
    again: list[Retried] = []
    over = False
    while not over:
        over = ended.done()  # before it is asked: the last answer is that of its end
        if over:
            again = []
        elif time.monotonic() - described > _DESCRIBED:
            described = time.monotonic()
            with contextlib.suppress(RPCError):
                again = retried(await handle.describe())
        with contextlib.suppress(RPCError):
            followed.state = await handle.query("status")
            show(followed.state, again)
        if over:
            return
        if followed.state.get("status") == "suspended" and _only_suspended(followed.state):
            followed.open = not ended.done()
            over = followed.open
        else:
            await asyncio.wait([ended], timeout=_PERIOD)


async def _duration(handle: WorkflowHandle[Any, Any]) -> float | None:
    """The seconds from a run's start to its end."""
    with contextlib.suppress(RPCError):
        described = await handle.describe()
        if described.close_time is not None:
            return (described.close_time - described.start_time).total_seconds()
    return None


def _only_suspended(state: dict[str, Any]) -> bool:
    """Whether nothing goes on beside what is suspended."""
    return not any(_active(step) for step in state.get("steps", []))


def _active(step: dict[str, Any]) -> bool:
    inner = step.get("steps", [])
    if inner:
        return any(_active(one) for one in inner)
    return step["status"] in ("running", "waiting")


def _failure(cause: BaseException) -> tuple[str, str]:
    match cause:
        case ApplicationError():
            return cause.type or "Error", cause.message
        case CancelledError():
            return "Cancelled", "the run was cancelled"
        case TerminatedError():
            return "Terminated", "the run was terminated: nothing was undone"
        case TimeoutError():
            return "Timeout", "Temporal's own timeout ended the run: nothing was undone"
        case _:
            return type(cause).__name__, str(cause)
