"""One session of `dev`: server, worker and files, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from temporalio.service import RPCError

from interpreter.cli.connection import storage_url
from interpreter.cli.dev.definitions import Definitions, command_to_start
from interpreter.cli.dev.processes import Server
from interpreter.cli.dev.terminal import Terminal
from interpreter.cli.dev.watching import Lock, PythonFiles
from interpreter.cli.dev.workers import Workers
from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings
from interpreter.definitions.registry import Registry
from interpreter.server import command

__all__ = ["Session"]

_PERIOD = 0.1


class Session:
    """What runs until somebody ends it.

    Args:
        settings: The global options.
        folder: Where definitions are.
        modules: Modules with activities that were named.
        temporal: The `temporal` binary.
        db: The file that keeps everything.
        ports: Those of the server and of its web UI.
        locks: What says that folder and file are in use.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        modules: Sequence[str],
        temporal: str,
        db: Path,
        ports: tuple[int, int],
        locks: Sequence[Lock],
    ) -> None:
        port, ui_port = ports
        self.folder = folder
        self.db = db
        self.locks = locks
        self.address = f"localhost:{port}"
        self.command = command(temporal, port=port, ui_port=ui_port, db=str(db))
        self.terminal = Terminal(settings.json, f"http://localhost:{ui_port}")
        self.python = PythonFiles(folder, modules)
        storage = storage_url(settings)
        arguments = ["--payload-storage", storage] if storage else []
        self.workers = Workers(self.python, self.terminal, self.address, arguments)
        self.server: Server | None = None
        self.definitions: Definitions | None = None

    async def run(self) -> None:
        """Runs until it is cancelled.

        Raises:
            CliError: if the server does not start, or ends.
        """
        self.workers.prepare()
        self.server = await Server.start(self.command, self.address, self.locks)
        client = await self.server.connected()
        self.terminal.server(self.address, str(self.db), self._elsewhere())
        definitions = self.definitions = Definitions(self.folder, Registry(client), self.terminal)
        try:
            await self.workers.begin(client)
            await self._follow(definitions, self.server)
        except RPCError as error:
            await asyncio.sleep(_PERIOD)  # if it has ended that is known now
            await self.server.check()
            message = f"the embedded server does not answer: {error}"
            raise CliError(message, Exit.UNREACHABLE) from None

    async def _follow(self, definitions: Definitions, server: Server) -> None:
        """Follows files, for ever."""
        said = False
        while True:
            if self.workers.catalogue is not None:
                await definitions.follow(self.workers.catalogue, self.workers.digest)
                if not said:
                    said = True
                    newest = definitions.newest
                    start = command_to_start(next(iter(newest.values()))) if newest else None
                    self.terminal.ready(definitions.live, start)
            await asyncio.sleep(max(_PERIOD, self.python.pause))
            await server.check()
            # What was seen before Python files were looked at may need what they say now.
            pending = definitions.pending
            touched = await asyncio.to_thread(self.python.touched)
            if pending and not touched:
                touched = await asyncio.to_thread(self.python.modules_changed)
            before = self.workers.digest
            await self.workers.look(touched)
            if pending and before == self.workers.digest:
                await definitions.take()

    def _elsewhere(self) -> str | None:
        """Where other commands go as this terminal is set up, if that is not here."""
        other = os.environ.get("TEMPORAL_ADDRESS") or "localhost:7233"
        return None if other.replace("127.0.0.1", "localhost") == self.address else other

    async def stop(self) -> None:
        """Ends workers, then the server. Another signal has it hurry."""
        hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, hurry.set)
        if self.server is not None:
            self.terminal.stopping()
        if self.definitions is not None:
            await self.definitions.stop()
        await self.workers.stop(hurry)
        if self.server is not None:
            await self.server.stop()
