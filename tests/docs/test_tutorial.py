"""The tutorial from top to bottom, as a newcomer types it: at a terminal, on real servers.

Every block is used: files are written, commands must print what stands below them. What differs
from a reader's day: the server's ports are free ones, and nobody waits for a reader.

Accept what is printed now with `ACCEPT=1 python -m pytest tests/docs/test_tutorial.py`, then read
the diff.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client

from interpreter.definitions.catalogues import digest_in, fetch
from interpreter.definitions.host import pollers
from tests.cli.support import ROOT, environment

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LASTING = ("temporal server start-dev", "temporal-dsl worker")
"""Commands that go on in a terminal of their own."""
SLOW = re.compile(r"(connecting|waiting) .* \.\.\.")
PATIENCE = 20.0
PORTS = ("7233", "8233")
"""The server's ports in the page: its own and that of its UI."""


def free_ports() -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def screen(written: str) -> list[str]:
    """What stands on a terminal after all that was written to it."""
    rows, at = [""], 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            at += 1
            rows += [""] * (at == len(rows))
        elif part.endswith("A") and part.startswith("\x1b"):
            at -= int(part[2:-1] or 1)
        elif part.startswith("\x1b"):
            rows[at] = "" if part.endswith("K") else rows[at]
        elif part != "\r":  # what is drawn again was erased before
            rows[at] += part
    while rows and not rows[-1].strip():
        rows.pop()
    return [row.rstrip() for row in rows]


def same_everywhere(lines: list[str]) -> list[str]:
    """Lines without times and ids, and without notes that something takes its time."""
    text = "\n".join(line for line in lines if not SLOW.fullmatch(line))
    text = re.sub(r"\b\d+(\.\d+)? m?s\b", "# ms", text)
    return re.sub(r"\b[0-9a-f]{8}\b", "########", text).split("\n")


class Terminal:
    """A command that runs at a terminal."""

    def __init__(self, script: str, folder: Path, env: dict[str, str]) -> None:
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 50, 100, 0, 0))
        self.process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment(**env, TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        self._written = b""
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()

    def _read(self, ours: int) -> None:
        try:
            while some := os.read(ours, 65536):
                self._written += some
        except OSError:  # how a terminal says that nobody writes any more
            pass
        finally:
            os.close(ours)

    def lines(self) -> list[str]:
        """What it shows now."""
        return screen(self._written.decode(errors="replace"))

    def end(self, timeout: float = PATIENCE) -> int:
        """Waits until it has ended; gives its exit code."""
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()
            self._reader.join(PATIENCE)


@dataclass
class Reader:
    """Who does what the page says.

    Args:
        folder: Where it is now.
        env: Where the server is, once there is one.
    """

    folder: Path
    ports: list[str] = field(default_factory=free_ports)
    env: dict[str, str] = field(default_factory=dict[str, str])
    code: int = 0
    lasting: list[Terminal] = field(default_factory=list[Terminal])

    async def read(self, page: str) -> str:
        """Does what a page says; gives the page with what was printed."""
        done: list[str] = []
        at = 0
        for block in BLOCK.finditer(page):
            language, text = block.groups()
            if language == "console":
                text = await self.console(text)
            else:
                name = re.match(r"# (\S+\.(py|yaml))\n", text)
                assert name is not None, f"what is this block for?\n{text}"
                (self.folder / name[1]).write_text(text)
            done += [page[at : block.start()], f"```{language}\n{text}```"]
            at = block.end()
        return "".join([*done, page[at:]])

    async def console(self, text: str) -> str:
        lines: list[str] = []
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, *expected = part.rstrip("\n").split("\n")
            if command.startswith(LASTING):
                shown = await self.start(command, expected)
            else:
                shown = await asyncio.to_thread(self.run, command, expected)
            lines += [f"$ {command}", *shown]
        return "".join(f"{line}\n" for line in lines)

    def run(self, command: str, expected: list[str]) -> list[str]:
        """Runs a command; gives what it printed, which is the page's own where it is the same."""
        until = time.monotonic() + PATIENCE / 2
        while True:
            where = self.folder.parent / "where"
            script = f"(exit {self.code})\n{command}\ncode=$?\npwd > '{where}'\nexit $code"
            terminal = Terminal(script, self.folder, self.env)
            code = terminal.end()
            shown = terminal.lines()
            if same_everywhere(shown) == same_everywhere(expected):
                shown = expected
            elif command.startswith("temporal-dsl status") and time.monotonic() < until:
                continue  # a reader would not have been so quick
            self.folder, self.code = Path(where.read_text().strip()), code
            return shown

    async def start(self, command: str, expected: list[str]) -> list[str]:
        """Starts what goes on; gives the page's lines when they have been printed."""
        server = command.startswith("temporal server")
        if server:
            command += f" --port {self.ports[0]} --ui-port {self.ports[1]}"
            self.env["TEMPORAL_ADDRESS"] = f"localhost:{self.ports[0]}"
        terminal = Terminal(f"exec {command}", self.folder, self.env)
        self.lasting.append(terminal)
        until = time.monotonic() + PATIENCE
        wanted = [self.real(line) for line in expected]
        while time.monotonic() < until and not set(wanted) <= set(terminal.lines()):
            assert terminal.process.poll() is None, terminal.lines()
            await asyncio.sleep(0.05)
        if not set(wanted) <= set(terminal.lines()):
            return terminal.lines()
        if not server:
            await self.known()
        return expected

    def real(self, line: str) -> str:
        """A line with the ports of this server."""
        for port, ours in zip(PORTS, self.ports, strict=True):
            line = line.replace(f"localhost:{port}", f"localhost:{ours}")
        return line

    async def known(self) -> None:
        """Waits until the server knows the worker, and what it can do."""
        client = await Client.connect(self.env["TEMPORAL_ADDRESS"])
        async with asyncio.timeout(PATIENCE):
            while True:
                up = await pollers(client, "dsl", activities=True)
                if up and await fetch(client, digest_in(up[0].identity) or "") is not None:
                    return
                await asyncio.sleep(0.02)

    def leave(self) -> None:
        """Ctrl-C in the other terminals, the last first: each must end well."""
        for terminal in reversed(self.lasting):
            terminal.process.send_signal(signal.SIGINT)
            terminal.end()
        for terminal in self.lasting:
            assert terminal.process.returncode == 0, terminal.lines()
            assert "Traceback" not in "\n".join(terminal.lines()), terminal.lines()


async def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    reader = Reader(home)
    page = PAGE.read_text()
    try:
        done = await reader.read(page)
    finally:
        reader.leave()
    assert home / "trips" == reader.folder
    if os.environ.get("ACCEPT"):
        PAGE.write_text(done)
    else:
        assert done == page
