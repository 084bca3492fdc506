"""What commands do as long as they are let: work ends at a signal, and then cleans up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from interpreter.cli.errors import CliError, Exit, Interrupted

if TYPE_CHECKING:
    from temporalio.worker import Worker

__all__ = ["Interruptible", "told", "with_workers"]

T = TypeVar("T")

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_MORE = 2.0


class Interruptible:
    """An event loop whose work ends at SIGINT, SIGTERM and SIGHUP.

    Not `asyncio.run`: that waits for all tasks at its end, and with them for threads that nobody
    can stop. The process ends anyway.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[Any] | None = None
        self._count = 0

    def __enter__(self) -> Interruptible:
        asyncio.set_event_loop(self._loop)
        for number in _SIGNALS:
            # One that our parent ignores (SIGINT for a job in the background) stays ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._signalled)
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the handlers where they are: only the result is still to be printed."""

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._task is None:
            return
        if self._count > 1:
            raise KeyboardInterrupt  # the loop itself hangs
        self._loop.call_soon_threadsafe(self._task.cancel)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does work.

        Raises:
            Interrupted: if a signal came, now or before.
        """
        if self._count:
            work.close()
            raise Interrupted
        self._task = self._loop.create_task(work)
        try:
            return self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            raise Interrupted from None
        finally:
            self._task = None

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Does what must not be left half done, signal or not."""
        return self._loop.run_until_complete(work)


async def with_workers(workers: Sequence[Worker], work: Coroutine[Any, Any, T], drain: float) -> T:
    """Does work while workers run.

    Args:
        workers: The workers.
        work: What lasts as long as they are needed.
        drain: Seconds that their activities have to end afterwards. What runs longer ends with
            the process: threads cannot be stopped.

    Raises:
        CliError: if a worker cannot go on.
    """
    running = [asyncio.ensure_future(worker.run()) for worker in workers]
    working = asyncio.ensure_future(work)
    await asyncio.wait((*running, working), return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        raise _ended(next(one.exception() for one in running if one.done()))
    stopping = [
        asyncio.ensure_future(worker.shutdown())
        for worker, one in zip(workers, running, strict=True)
        if not one.done()
    ]
    if stopping:
        await asyncio.wait(stopping, timeout=drain + _MORE)
    return working.result()


def _ended(error: BaseException | None) -> CliError:
    """Why a worker ended by itself. The SDK has no types for it, and adds its own workings."""
    message, _, status = str(error).partition(": Status {")
    code = Exit.WRONG_INPUT if "code: NotFound" in status else Exit.UNREACHABLE
    return CliError(f"the worker cannot go on: {message}", code)


async def told(work: Coroutine[Any, Any, T], what: str) -> T:
    """Does work, and says what goes on where it takes longer than a second."""
    working = asyncio.ensure_future(work)
    await asyncio.wait((working,), timeout=1)
    if not working.done():
        from interpreter.cli import render

        render.note(f"{what} ...")
    return await working
