"""Watching a run until it ends, is suspended, or nobody wants to watch any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError, TimeoutError
from temporalio.service import RPCError

from interpreter.cli import render
from interpreter.cli.connection import rpc_error

__all__ = ["Followed", "follow"]

_PERIOD = 0.1


@dataclass(slots=True)
class Followed:
    """How a run ended, or where it stands.

    Args:
        state: What the last `status` query gave.
        result: Its output, where it completed.
        failure: What Temporal says of its end, where it failed: type and message.
        seconds: How long it was watched.
        open: Whether it goes on: it is suspended.
    """

    state: dict[str, Any]
    result: Any = None
    failure: tuple[str, str] | None = None
    seconds: float = 0
    open: bool = False


async def follow(handle: WorkflowHandle[Any, Any]) -> Followed:
    """Shows a run's tree on standard error until it ends or is suspended."""
    began = time.monotonic()
    ended = asyncio.ensure_future(handle.result())
    followed = Followed({})
    with render.RunView() as view:
        while True:
            with contextlib.suppress(RPCError):
                followed.state = await handle.query("status")
                view.show(followed.state)
            if ended.done():
                break
            if followed.state.get("status") == "suspended" and _only_suspended(followed.state):
                ended.cancel()
                followed.open = True
                break
            await asyncio.wait([ended], timeout=_PERIOD)
        if ended.done() and not followed.open:
            with contextlib.suppress(RPCError):
                followed.state = await handle.query("status")
                view.show(followed.state)
    followed.seconds = time.monotonic() - began
    if followed.open:
        return followed
    try:
        followed.result = ended.result()
    except WorkflowFailureError as error:
        followed.failure = _failure(error.cause)
    except RPCError as error:
        raise rpc_error(error, f"{handle.id} cannot be followed") from None
    return followed


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
