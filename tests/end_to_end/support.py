"""A server of the test's own, workers as processes, and the books they leave."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from interpreter.server import DEVELOPMENT, find_temporal, flags
from tests.cli.support import EXAMPLE, PROGRAM, Done, cli, environment
from tests.support.servers import replay_all

__all__ = [
    "Books",
    "Site",
    "WorkerProcess",
    "all_at_once",
    "eventually",
    "order",
    "read_input",
    "start_server",
]


def read_input(name: str) -> dict[str, Any]:
    """One of the example's inputs."""
    return json.loads((EXAMPLE / f"{name}.json").read_text())


def order(name: str = "input", **changes: Any) -> str:
    """One of the example's inputs with changes, as JSON."""
    return json.dumps(read_input(name) | changes)


async def eventually(
    what: str, condition: Callable[[], Any], *, seconds: float = 30, every: float = 0.02
) -> Any:
    """Waits until a condition gives something true, and gives that."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not (found := condition()):
        assert loop.time() < end, f"{what}: not after {seconds} s"
        await asyncio.sleep(every)
    return found


async def all_at_once(runs: Mapping[str, Awaitable[None]]) -> None:
    """Waits for tests that run at the same time; says of all that failed how."""
    running = {name: asyncio.ensure_future(run) for name, run in runs.items()}
    await asyncio.wait(running.values())
    errors = {name: task.exception() for name, task in running.items()}
    wrong = {name: error for name, error in errors.items() if error is not None}
    assert not wrong, wrong


async def start_server(
    folder: Path, port: int, *arguments: str
) -> tuple[subprocess.Popen[bytes], Client]:
    """Starts a server as a process, with its data in a file, and waits until it answers."""
    command = [find_temporal(), "server", "start-dev", "--headless", "--port", str(port)]
    command += ["--db-filename", str(folder / "server.sqlite"), "--log-level", "error"]
    process = subprocess.Popen(
        [*command, *arguments, *flags(DEVELOPMENT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    for _ in range(200):
        try:
            client = await Client.connect(f"127.0.0.1:{port}")
            [_ async for _ in client.list_workflows()]
            return process, client
        except (RPCError, RuntimeError):
            await asyncio.sleep(0.1)
    process.kill()
    raise AssertionError("the server did not start")


@dataclass
class Site:
    """A server and the runs that tests started on it."""

    server: WorkflowEnvironment
    ids: list[str] = field(default_factory=list[str])

    @property
    def client(self) -> Client:
        """A client of the server."""
        return self.server.client

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self.client.service_client.config.target_host

    def handle(self, id: str) -> WorkflowHandle[Any, Any]:
        """A run that must be there at the end: its history is replayed."""
        self.ids.append(id)
        return self.client.get_workflow_handle(id)

    async def cli(self, *arguments: str | Path, **env: str) -> Done:
        """Runs `temporal-dsl` against the server."""
        return await asyncio.to_thread(
            cli, *arguments, env={"TEMPORAL_ADDRESS": self.address, **env}
        )

    async def temporal(self, *arguments: str) -> str:
        """Runs Temporal's own CLI against the server; gives its output."""
        command = [str(Path(sys.executable).with_name("temporal")), *arguments]
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, "--address", self.address],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    async def replay(self) -> None:
        """Replays the histories of all runs."""
        expected = len(set(self.ids))
        for _ in range(100):  # the list of runs is behind a little
            if len([run async for run in self.client.list_workflows()]) >= expected:
                break
            await asyncio.sleep(0.05)
        assert await replay_all(self.client) >= expected


class WorkerProcess:
    """`temporal-dsl worker`, as a process.

    Args:
        site: Where it works.
        log: The file that takes its standard error.
        example: The folder whose activities it has.
    """

    def __init__(
        self,
        site: Site,
        log: Path,
        *arguments: str | Path,
        example: str | Path = EXAMPLE,
        **env: str,
    ) -> None:
        self.log = log
        self._file: IO[bytes] = log.open("wb")
        acts = ("--activities", Path(example) / "activities.py")
        self.process = subprocess.Popen(
            [PROGRAM, "worker", *map(str, (*acts, *arguments))],
            env=environment(TEMPORAL_ADDRESS=site.address, **env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._file,
        )

    async def ready(self) -> None:
        """Waits until it listens."""
        await eventually(f"worker: {self.log.read_text()}", lambda: self._listens())

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "listening on" in self.log.read_text()

    async def stopped(self, number: signal.Signals, seconds: float = 30) -> tuple[int, bytes]:
        """Ends it by a signal; gives its exit code and its standard output."""
        self.process.send_signal(number)
        out, _ = await asyncio.to_thread(self.process.communicate, timeout=seconds)
        self._file.close()
        return self.process.returncode, out

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Books:
    """The example's SQLite file, as an auditor reads it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, timeout=30)) as db:
            yield db

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query; none while there are no books yet."""
        if not self.file.exists():
            return []
        with self._open() as db:
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def acts(self) -> list[tuple[str, str]]:
        """Every act, in order: the step of its key, and the activity."""
        found = self.rows("SELECT key, activity FROM acts ORDER BY number")
        return [(key.split("/", 1)[1], activity) for key, activity in found]

    def steps(self) -> list[str]:
        """The steps whose acts were done, in order."""
        return [step for step, _ in self.acts()]

    def balances(self) -> dict[str, int]:
        """Cents by account."""
        return dict(self.rows("SELECT account, sum(cents) FROM postings GROUP BY account"))

    def audit(self) -> None:
        """Checks that the books balance, as the example's own report says."""
        done = subprocess.run(
            [sys.executable, EXAMPLE / "ledger.py", self.file],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done
        assert done.stdout.endswith("The books balance.\n")

    def check_shipped(self) -> None:
        """An order of input.json was done, each act once."""
        ships = [f"ship_all[{n}].ship" for n in range(3)]
        assert self.steps()[:2] == ["reserve", "charge"]
        assert sorted(self.steps()) == sorted(["reserve", "charge", *ships])
        assert self.balances() == {
            "card clearing": 5990,
            "sales": -5990,
            "freight": 3 * 490,
            "carrier payable": -3 * 490,
        }
        assert self.rows("SELECT count(*) FROM carrier_shipments WHERE NOT cancelled") == [(3,)]
        assert self.rows("SELECT count(*) FROM carrier_shipments") == [(3,)]
        assert self.rows("SELECT sku, 1000 - available FROM stock WHERE available < 1000") == [
            ("book", 2),
            ("lamp", 1),
            ("mug", 1),
        ]
        self.audit()

    def check_undone(self) -> None:
        """An order of carrier-fails.json was undone, each act once, the last first."""
        steps = self.steps()
        assert steps[:2] == ["reserve", "charge"]
        assert len(steps) == len(set(steps))
        done = [step for step in steps if not step.endswith("!undo")]
        undone = [step.removesuffix("!undo") for step in steps if step.endswith("!undo")]
        assert steps == done + [f"{step}!undo" for step in undone], "undone before all settled"
        ships = {f"ship_all[{n}].ship" for n in range(3)}
        assert set(done) == {"reserve", "charge"} | ships - {"ship_all[1].ship"}
        # A refused item is cancelled too: nobody knows better. The carrier calls nothing back.
        assert undone[-2:] == ["charge", "reserve"] and set(undone[:-2]) == ships
        assert set(self.balances().values()) == {0}
        assert self.rows("SELECT count(*) FROM carrier_shipments WHERE NOT cancelled") == [(0,)]
        assert self.rows("SELECT DISTINCT available FROM stock") == [(1000,)]
        assert self.rows("SELECT count(*) FROM reservations") == [(0,)]
        self.audit()
