"""Worker processes, as the driver sees them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

__all__ = ["Process", "process"]

_ROOT = Path(__file__).absolute().parent.parent


class Process:
    """A running `benchmarks.child`."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    async def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        while line := await self._child.stdout.readline():
            if line.startswith(b"{"):  # the SDK prints its warnings there too
                return json.loads(line)
        raise RuntimeError("a worker process of the benchmark has ended")

    async def ask(self, command: str) -> dict[str, Any]:
        """Its answer to a command."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{command}\n".encode())
        await self._child.stdin.drain()
        return await self._answer()

    async def cpu(self) -> float:
        """The CPU time that it has used, with all its threads, in seconds."""
        return (await self.ask("stat"))["cpu"]

    async def rss(self) -> int:
        """Its resident memory after a collection of garbage, in bytes."""
        return (await self.ask("collect"))["rss"]


@asynccontextmanager
async def process(role: str, address: str) -> AsyncIterator[Process]:
    """Workers in a process of their own: those of a variant, or of all `activities`."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.child",
        role,
        address,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        made = Process(child)
        await made._answer()
        yield made
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), 15)
        except TimeoutError:
            child.kill()
