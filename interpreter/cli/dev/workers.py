"""The worker of `dev`: one that works, those before it that end, and one that is ready."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interpreter.cli.dev.processes import WorkerProcess
from interpreter.cli.dev.terminal import Terminal
from interpreter.cli.dev.watching import PythonFiles
from interpreter.cli.errors import Exit

if TYPE_CHECKING:
    from temporalio.client import Client

    from dsl.catalogue import Catalogue

__all__ = ["Workers"]

_QUEUE = "dsl"
_LOOKS = 0.05
_ANSWERS = 0.5
_COMES_UP = 60.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY = 30.0
"""A worker that lasted so long in seconds is no part of a series that dies."""
_QUICK = 2.0
_FOREVER = "86400"
"""Seconds that a worker has to end what it runs: when it is too long, we say."""
_DRAIN = 10.0


class Workers:
    """Keeps one worker at work, with the activities as they stand in files.

    Args:
        python: The files.
        terminal: Is told.
        address: Where the server is.
        arguments: What workers are told besides that and their activities.
    """

    def __init__(
        self, python: PythonFiles, terminal: Terminal, address: str, arguments: Sequence[str]
    ) -> None:
        self.python = python
        self.terminal = terminal
        self.address = address
        self.arguments = ["--address", address, *arguments]
        self.catalogue: Catalogue | None = None
        self.digest = ""
        self._client: Client | None = None
        self._spare: asyncio.Task[WorkerProcess] | None = None
        self._current: WorkerProcess | None = None
        self._text = ""
        self._failed = False
        self._began = 0.0
        self._pause = 0.0
        self._due: float | None = None
        self._draining: dict[WorkerProcess, asyncio.Task[None]] = {}
        self._started: list[WorkerProcess] = []

    def prepare(self) -> None:
        """Has a process made ready, for when it is needed."""
        if self._spare is None:
            self._spare = asyncio.ensure_future(self._prepared())

    async def _prepared(self) -> WorkerProcess:
        worker = await WorkerProcess.prepare(self.address, self.terminal.heard)
        self._started = [*(one for one in self._started if one.running), worker]
        return worker

    async def begin(self, client: Client) -> None:
        """Starts the first worker."""
        self._client = client
        await self._renew()

    async def look(self, touched: bool) -> None:
        """Sees to it that a worker works, and that it is the right one.

        Args:
            touched: Whether files were written.
        """
        now = asyncio.get_running_loop().time()
        current = self._current
        if current is not None and not current.running:
            self._current = None
            code = await current.ended()
            said = current.error()
            why = said["message"] if said else _exit_of(code)
            self._pause = self._next_pause(now)
            self._due = now + self._pause
            self.terminal.worker_died(current.pid, why, self._pause)
        if touched or (self._due is not None and now >= self._due):
            await self._renew()

    def _next_pause(self, now: float) -> float:
        if now - self._began > _STEADY:
            return _FIRST_PAUSE
        return min(_LONGEST_PAUSE, max(_FIRST_PAUSE, self._pause * 2))

    async def _renew(self) -> None:
        """Puts a new worker in the place of the one that works, if that is not the same."""
        while True:
            text, modules = await asyncio.to_thread(self.python.read)
            if self._current is not None and self._current.running and text == self._text:
                if self._failed:
                    self.terminal.worker_mended()
                self._failed = False
                return
            # As far as that is the reason, and not that there was none.
            changed = [_shown(path) for path in self.python.changed_files] if self._text else []
            if await self._replaced(text, modules, changed):
                return

    async def _replaced(self, text: str, modules: list[str], changed: list[str]) -> bool:
        """Tries a new worker; says whether that came to an end before files changed again."""
        loop = asyncio.get_running_loop()
        self.prepare()
        assert self._spare is not None
        worker = await self._spare
        self._spare = None
        named = [part for module in modules for part in ("--activities", module)]
        options = [*self.arguments, "--task-queue", _QUEUE, "--drain", _FOREVER]
        options += ["--log-format", "json", "-o", "json"]
        self._due = None
        if self._current is None:
            self._began = loop.time()
        await worker.work(["worker", *named, *options], [str(root) for root in self.python.roots])
        up = await self._up(worker)
        if up is None:
            worker.kill()
            return False
        if not up:
            await self._not_up(worker)
        else:
            old, self._current = self._current, worker
            self._text, self._failed, self._began = text, False, loop.time()
            if old is not None and old.running:
                old.end()
                # What is told to be new is: nothing that is started then gets to the old one.
                await old.takes_nothing()
                self._draining[old] = asyncio.ensure_future(self._drained(old))
            self.terminal.worker_up(worker.pid, modules, changed)
        self.prepare()
        return True

    async def _up(self, worker: WorkerProcess) -> bool | None:
        """Whether a worker came up; None where files changed meanwhile."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _COMES_UP
        while worker.running and loop.time() < end:
            # A question that the server leaves open is asked again.
            with contextlib.suppress(TimeoutError):
                if await asyncio.wait_for(self._polls(worker.pid), _ANSWERS):
                    return True
            if await asyncio.to_thread(self.python.touched):
                return None
            await asyncio.sleep(_LOOKS)
        return False

    async def _polls(self, pid: int) -> bool:
        """Whether the server knows a worker, and what it can do."""
        from interpreter.definitions.catalogues import digest_in, fetch
        from interpreter.definitions.host import pollers

        assert self._client is not None
        # The server sometimes lists one that has long polled for one kind of tasks only.
        found = await pollers(self._client, _QUEUE, activities=True)
        for one in found + await pollers(self._client, _QUEUE):
            digest = digest_in(one.identity)
            if digest is None or not one.identity.startswith(f"{pid}@"):
                continue
            catalogue = await fetch(self._client, digest)
            if catalogue is not None:
                self.catalogue, self.digest = catalogue, digest
                return True
        return False

    async def _not_up(self, worker: WorkerProcess) -> None:
        hung = worker.running
        if hung:
            worker.kill()
        code = await worker.ended()
        said = worker.error()
        kept = self._current is not None and self._current.running
        hint = None
        if said is not None:
            message, hint = said["message"], said["hint"]
        elif hung:
            message = f"the worker did not come up within {_COMES_UP:g} s"
        else:
            message = f"the worker did not come up: {_exit_of(code)}"
        self._failed = True
        if kept or code == Exit.WRONG_INPUT:
            self.terminal.worker_failed(message, hint, kept)
            return
        now = asyncio.get_running_loop().time()
        self._pause = self._next_pause(now)
        self._due = now + self._pause
        self.terminal.worker_died(worker.pid, message, self._pause)

    async def _drained(self, worker: WorkerProcess) -> None:
        ending = asyncio.ensure_future(worker.ended())
        await asyncio.wait([ending], timeout=_QUICK)
        if not ending.done():
            self.terminal.worker_drains(worker.pid)
            await ending
            self.terminal.worker_ended(worker.pid)
        del self._draining[worker]

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ends all workers; what they run has some seconds, or none where there is a hurry."""
        for task in self._draining.values():
            task.cancel()
        working = {self._current, *self._draining} - {None}
        ends: list[asyncio.Future[int]] = []
        for worker in self._started:
            if not worker.running:
                continue
            if worker not in working:
                worker.kill()
            elif not worker.stopping:  # a second signal would cut off what it runs
                worker.end()
            ends.append(asyncio.ensure_future(worker.ended()))
        waiting = asyncio.ensure_future(hurry.wait())
        everything = asyncio.gather(*ends)
        await asyncio.wait(
            [waiting, everything], timeout=_DRAIN, return_when=asyncio.FIRST_COMPLETED
        )
        if not everything.done():
            self.terminal.cut_off()
            for worker in self._started:
                worker.kill()
            await everything
        waiting.cancel()


def _exit_of(code: int) -> str:
    """How a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _shown(path: Path) -> str:
    """A path as an author would write it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
