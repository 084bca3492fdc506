"""The processes of `dev`: the server, and workers. Both end when `dev` is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpreter.cli.dev.watching import Lock
from interpreter.cli.errors import CliError, Exit

if TYPE_CHECKING:
    from temporalio.client import Client

__all__ = ["Server", "WorkerProcess"]

_GUARD = Path(__file__).with_name("guard.py")
_START = 30.0
_END = 15.0
_PERIOD = 0.05
_CHUNK = 65536
_STOPS = "Beginning worker shutdown"
"""What the SDK logs when a worker takes nothing more: once for runs, once for the registry."""
_TAKERS = 2
_STOPPING = 1.0


def _environment(address: str) -> dict[str, str]:
    """The environment, with nothing that points at another server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TEMPORAL_") or name.startswith("TEMPORAL_DSL_")
    }
    ours = {"TEMPORAL_ADDRESS": address, "TEMPORAL_CONFIG_FILE": os.devnull}
    return kept | ours | {"PYTHONUNBUFFERED": "1"}


async def _lines(stream: asyncio.StreamReader) -> AsyncGenerator[str]:
    """The lines of a stream, however long they are."""
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


class Server:
    """The embedded server, which keeps everything in a file.

    Args:
        process: Its guard.
        address: Where it listens.
        client: A client of it.
    """

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self._process = process
        self._said: list[str] = []
        self._reading = asyncio.ensure_future(self._read())
        self.address = address

    @classmethod
    async def start(cls, command: Sequence[str], address: str, locks: Sequence[Lock]) -> Server:
        """Starts it.

        Args:
            command: What runs it.
            address: Where it will listen.
            locks: What says that its database is in use, for as long as it runs.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(address),
            pass_fds=[lock.fileno() for lock in locks],
            start_new_session=True,  # Ctrl-C is for us: first the worker ends
        )
        return cls(process, address)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in _lines(self._process.stdout):
            self._said = [*self._said, line][-5:]

    async def connected(self) -> Client:
        """A client, when it answers.

        Raises:
            CliError: if it does not start.
        """
        from temporalio.client import Client
        from temporalio.service import RPCError

        end = asyncio.get_running_loop().time() + _START
        while True:
            await self.check("did not start")
            with contextlib.suppress(RPCError, RuntimeError):
                client = await Client.connect(self.address)
                async for _ in client.list_workflows(page_size=1):
                    break
                return client
            if asyncio.get_running_loop().time() > end:
                raise CliError("the embedded server does not answer", Exit.UNREACHABLE)
            await asyncio.sleep(_PERIOD)

    async def check(self, what: str = "ended") -> None:
        """Sees to it that it runs.

        Raises:
            CliError: if it does not.
        """
        if self._process.returncode is None:
            return
        await self._reading
        said = [line.strip() for line in self._said if line.strip()]
        why = f": {said[-1].removeprefix('Error: ')}" if said else ""
        raise CliError(f"the embedded server {what}{why}", Exit.UNREACHABLE)

    async def stop(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END)
        except TimeoutError:
            self._process.kill()


class WorkerProcess:
    """A worker: it waits until it is told to work.

    Args:
        process: Its process.
        hear: Is told each line that it writes to standard error.
    """

    def __init__(self, process: asyncio.subprocess.Process, hear: Callable[[str], None]) -> None:
        self._process = process
        self._hear = hear
        self._out = ""
        self._takers = _TAKERS
        self._over = asyncio.Event()
        self._reading = asyncio.gather(self._read_out(), self._read_errors())
        self.stopping = False

    @classmethod
    async def prepare(cls, address: str, hear: Callable[[str], None]) -> WorkerProcess:
        """Starts one that waits.

        Args:
            address: Where the server is.
            hear: Is told each line that it writes to standard error.
        """
        process = await asyncio.create_subprocess_exec(
            # -P: what lies in the working directory must not be taken for an installed package.
            *(sys.executable, "-P", "-m", "interpreter.cli.dev.child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(address),
            start_new_session=True,
        )
        return cls(process, hear)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def _read_out(self) -> None:
        assert self._process.stdout is not None
        self._out = (await self._process.stdout.read()).decode(errors="replace")

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        async for line in _lines(self._process.stderr):
            self._takers -= _STOPS in line
            if self._takers == 0:
                self._over.set()
            self._hear(line)
        self._over.set()

    async def work(self, arguments: Sequence[str], sources: Sequence[str]) -> None:
        """Tells it to work.

        Args:
            arguments: Those of `temporal-dsl`.
            sources: The folders whose modules may have changed a moment ago.
        """
        assert self._process.stdin is not None
        line = json.dumps({"arguments": arguments, "sources": sources}) + "\n"
        with contextlib.suppress(OSError):  # it has ended: that is seen by those who wait for it
            self._process.stdin.write(line.encode())
            await self._process.stdin.drain()

    async def ended(self) -> int:
        """Waits until it ended and all that it said was heard; gives its exit code."""
        code = await self._process.wait()
        # Children of its own may hold its streams open.
        await asyncio.wait([self._reading], timeout=1)
        return code

    def error(self) -> dict[str, Any] | None:
        """What it said of why it ended, if it did: message, hint, exit_code."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return json.loads(self._out)["error"]
        return None

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def end(self) -> None:
        """Has it end when all that it runs has ended."""
        self.stopping = True
        self.signal(signal.SIGTERM)

    async def takes_nothing(self) -> None:
        """Waits until it takes nothing more, after it was told to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), _STOPPING)

    def kill(self) -> None:
        """Ends it now."""
        self.stopping = True
        self.signal(signal.SIGKILL)
