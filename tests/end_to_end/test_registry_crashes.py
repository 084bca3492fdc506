"""The registry survives: its worker is killed and the server restarted in the middle of deploys."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from dsl.loader import load_text
from dsl.model.definition import Definition, canonical, digest
from interpreter.definitions.entity import DefinitionEntity, id_of
from interpreter.definitions.packed import unpack
from interpreter.definitions.registry import Registry
from tests.cli.support import PROGRAM, environment
from tests.end_to_end.support import start_server

pytestmark = pytest.mark.waits

_COUNT = 100
_NAMES = 5
_LANES = 4
_GONE = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.ABORTED,
)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class _Processes:
    """A server whose data are in a file, and a worker that follows the registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.server: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    async def start_server(self) -> Client:
        self.server, client = await start_server(self.folder, self.port)
        return client

    def start_worker(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [PROGRAM, "worker"],
                cwd=self.folder,
                env=environment(TEMPORAL_ADDRESS=self.address),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.send_signal(signal.SIGKILL)
        self.worker.wait()

    def stop_server(self) -> None:
        assert self.server is not None
        self.server.terminate()
        self.server.wait(30)

    def end(self) -> None:
        for process in (self.worker, self.server):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


@asynccontextmanager
async def _processes(folder: Path) -> AsyncIterator[_Processes]:
    processes = _Processes(folder)
    try:
        yield processes
    finally:
        processes.end()


def _definition(n: int) -> Definition:
    name = f"crash-{n % _NAMES}"
    return load_text(f"dsl: 1\nname: {name}\nsteps: [{{value: {n}}}]").definitions[0]


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    async with _processes(tmp_path) as processes:
        client = await processes.start_server()
        processes.start_worker()
        acknowledged: dict[int, tuple[int, bool]] = {}
        left = iter(range(_COUNT))

        async def lane() -> None:
            for n in left:
                await _published(client, n, acknowledged)

        async def trouble() -> None:
            while len(acknowledged) < _COUNT // 4:
                await asyncio.sleep(0.005)
            processes.kill_worker()
            processes.start_worker()
            while len(acknowledged) < _COUNT // 2:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(processes.stop_server)
            await processes.start_server()
            while len(acknowledged) < 3 * _COUNT // 4:
                await asyncio.sleep(0.005)
            processes.kill_worker()
            processes.start_worker()

        await asyncio.gather(trouble(), *(lane() for _ in range(_LANES)))
        assert len(acknowledged) == _COUNT

        registry = Registry(client)
        replayer = Replayer(workflows=[DefinitionEntity])
        for name in {f"crash-{n}" for n in range(_NAMES)}:
            kept = await registry.kept(name)
            # Each content once, though some were sent again when no answer had come.
            assert [one.number for one in kept.revisions] == list(range(1, kept.upcoming))
            assert len({one.digest for one in kept.revisions}) == _COUNT // _NAMES
            assert kept.upcoming - 1 == _COUNT // _NAMES
            history = await client.get_workflow_handle(id_of(name)).fetch_history()
            await replayer.replay_workflow(history)
        for n, (revision, _) in acknowledged.items():
            definition = _definition(n)
            found = await registry.revision(definition.name, revision)
            assert found.digest == digest(canonical(definition))
            assert found.body is not None and unpack(found.body) == canonical(definition)


async def _published(client: Client, n: int, acknowledged: dict[int, tuple[int, bool]]) -> None:
    """Publishes until it was acknowledged, as one does who runs `deploy` again."""
    for _ in range(200):
        try:
            one = await Registry(client).publish(_definition(n), by=f"lane-{n}")
        except RPCError as error:
            assert error.status in _GONE, error
            await asyncio.sleep(0.1)
        else:
            acknowledged[n] = one.revision, one.new
            return
    raise AssertionError(f"{n} was never acknowledged; python {sys.version}")
