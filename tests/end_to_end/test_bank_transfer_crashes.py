"""200 transfers while workers are killed and the server is restarted: the books are right."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from tests.cli.support import PROGRAM, ROOT, environment
from tests.end_to_end.support import eventually, start_server
from tests.support.servers import replay

pytestmark = pytest.mark.waits

EXAMPLE = ROOT / "examples" / "bank-transfer"
COUNT = 200
SECONDS = 20.0
"""So long transfers are begun."""
PATIENCE = 150.0
"""How long all may take, in seconds: what hangs must fail."""
CHOSEN = 7
"""Of what is chosen by chance: each time the same is begun."""

T = TypeVar("T")


@dataclass
class Transfer:
    """A transfer, and how its run ended.

    Args:
        number: Which.
        giver: Who pays.
        to: Who gets it.
        cents: How much.
        cancelled_after: Seconds after its start; None if it is not cancelled.
        ended: completed, compensated, failed or cancelled.
        error: The type of the error.
        output: What it gave, if it completed.
        run: The id of the run.
    """

    number: int
    giver: str
    to: str
    cents: int
    cancelled_after: float | None
    ended: str = ""
    error: str | None = None
    output: dict[str, Any] | None = None
    run: str = ""

    @property
    def fee(self) -> int:
        return max(50, self.cents // 200)

    @property
    def name(self) -> str:
        return f"transfer-{self.number}"


def transfers() -> list[Transfer]:
    """Mostly right ones, some that the bank refuses, every fifth cancelled."""
    chance = random.Random(CHOSEN)
    made: list[Transfer] = []
    for number in range(COUNT):
        giver, to = chance.sample(["alice", "bob"], 2)
        cents = chance.randint(1, 300)
        match number % 10:
            case 2:
                to = "nobody"  # the credit is refused: two postings are reversed
            case 4:
                to = "dave"  # whose account is frozen
            case 6:
                giver, cents = "carol", 1500  # she has 20.00: it is enough for one
            case 8:
                cents = 5_000_00  # which nobody has: there is nothing to undo
            case _:
                pass
        cancelled = chance.uniform(0, 2) if number % 5 == 0 else None
        made.append(Transfer(number, giver, to, cents, cancelled))
    return made


@dataclass
class Machine:
    """A server whose data are in a file, and workers, all of which can be killed.

    Args:
        folder: Where its files are.
        port: Where the server listens.
        server: The server.
        workers: All that ever were.
        logs: What they print.
        in_hand: Of each worker that was killed, how many acts it had begun and not ended.
        restarts: When the server was killed.
    """

    folder: Path
    port: int
    server: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])
    logs: list[IO[bytes]] = field(default_factory=list[IO[bytes]])
    in_hand: list[int] = field(default_factory=list[int])
    restarts: list[datetime] = field(default_factory=list[datetime])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def books(self) -> Path:
        return self.folder / "books.sqlite"

    async def start_server(self) -> Client:
        # Processes are killed here, not the machine: what is written need not reach the disk.
        pragmas = ("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=off")
        self.server, client = await start_server(self.folder, self.port, *pragmas)
        return client

    async def start_worker(self) -> subprocess.Popen[bytes]:
        """Starts a worker, and waits until it listens."""
        file = self.folder / f"worker-{len(self.logs)}.log"
        log = file.open("wb")
        self.logs.append(log)
        definition, activities = self.folder / "workflow.yaml", EXAMPLE / "activities.py"
        acts = {"BANK_DB": str(self.books), "BANK_DELAY": "0.3"}
        process = subprocess.Popen(
            [PROGRAM, "worker", "--definitions", definition, "--activities", activities],
            env=environment(TEMPORAL_ADDRESS=self.address, **acts),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self.workers.append(process)

        def listens() -> bool:
            assert process.poll() is None, file.read_text()
            return "listening on" in file.read_text()

        await eventually("a worker", listens)
        return process

    def kill_server(self) -> None:
        assert self.server is not None
        self.restarts.append(datetime.now(UTC))
        self.server.kill()
        self.server.wait()

    async def kill_worker(self, client: Client, given: list[Transfer]) -> None:
        """Kills the last worker among acts: it is stopped before, so that they can be counted."""
        worker = self.workers[-1]
        held = 0
        for _ in range(50):
            worker.send_signal(signal.SIGSTOP)
            held = sum(await asyncio.gather(*(acts_of(client, worker.pid, t) for t in given)))
            if held:
                break
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.1)
        worker.kill()
        worker.wait()
        self.in_hand.append(held)

    def end(self) -> None:
        for process in (*self.workers, self.server):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        for log in self.logs:
            log.close()

    def rows(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.books, timeout=30)) as db:
            return db.execute(sql).fetchall()


@asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[Machine]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (EXAMPLE / "workflow.yaml").read_text()
    # Attempts of the dead are given up soon.
    text, limits = re.subn("start_to_close_timeout: 5s", "start_to_close_timeout: 2s", text)
    assert limits == 2
    (folder / "workflow.yaml").write_text(text)
    made = Machine(folder, port)
    try:
        yield made
    finally:
        made.end()


async def stubborn(ask: Callable[[], Awaitable[T]]) -> T:
    """Asks until there is an answer: the server may be away."""
    for _ in range(300):
        try:
            return await ask()
        except RPCError:
            await asyncio.sleep(0.1)
    return await ask()


async def acts_of(client: Client, worker: int, transfer: Transfer) -> int:
    """How many acts of a transfer a worker has begun and not ended."""
    if transfer.ended:
        return 0
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(transfer.name)
    try:
        described = await handle.describe()
    except RPCError:  # it has not been started yet
        return 0
    return sum(
        act.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        and act.last_worker_identity.startswith(f"{worker}@")
        for act in described.raw_description.pending_activities
    )


async def run(client: Client, transfer: Transfer) -> None:
    """Starts a transfer, cancels it where it is to be, and notes how it ended."""
    await asyncio.sleep(SECONDS * transfer.number / COUNT)

    async def start() -> None:
        given = {"from": transfer.giver, "to": transfer.to, "amount": transfer.cents}
        # It may have been started by a request whose answer was lost.
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(
                "bank-transfer",
                given,
                id=transfer.name,
                task_queue="dsl",
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                task_timeout=timedelta(seconds=2),
            )

    await stubborn(start)
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(transfer.name)
    if transfer.cancelled_after is not None:
        await asyncio.sleep(transfer.cancelled_after)

        async def cancel() -> None:
            # One that has ended is cancelled too late.
            description = await handle.describe()
            if description.status is WorkflowExecutionStatus.RUNNING:
                await handle.cancel()

        await stubborn(cancel)
    try:
        transfer.output = await stubborn(handle.result)
        transfer.ended = "completed"
    except WorkflowFailureError as failure:
        match failure.cause:
            case CancelledError():
                transfer.ended = "cancelled"
            case ApplicationError() as cause:
                transfer.ended, transfer.error = cause.details[1]["status"], cause.type
            case other:
                raise AssertionError(other) from failure
    transfer.run = (await stubborn(handle.describe)).run_id


async def trouble(machine: Machine, client: Client, given: list[Transfer]) -> None:
    """Kills workers every few seconds while transfers are begun, and once the server.

    Once a worker is given up that lives: it wakes up among acts that the next one has repeated,
    or undone.
    """
    await asyncio.sleep(2)
    for turn in range(6):
        sleeper = None
        if turn == 2:
            machine.kill_server()
            await machine.start_server()
            await asyncio.sleep(1)
        if turn == 4:
            sleeper = machine.workers[-1]
            sleeper.send_signal(signal.SIGSTOP)
        else:
            await machine.kill_worker(client, given)
        await machine.start_worker()
        await asyncio.sleep(2)
        if sleeper is not None:
            sleeper.send_signal(signal.SIGCONT)
            await asyncio.sleep(1)
            sleeper.kill()


async def test_the_books_are_right(tmp_path: Path) -> None:
    given = transfers()
    async with machine(tmp_path) as one, asyncio.timeout(PATIENCE):
        client = await one.start_server()
        await one.start_worker()
        runs = [run(client, transfer) for transfer in given]
        await asyncio.gather(trouble(one, client, given), *runs)
        for transfer in given:
            check(one, transfer)
        check_books(one, given)
        await check_histories(one, client, given)


def check(machine: Machine, transfer: Transfer) -> None:
    """A transfer is whole, or each of its postings was reversed once, the last first."""
    acts = machine.rows(
        "SELECT substr(key, instr(key, '/') + 1), number, reverses FROM postings"
        f" WHERE key LIKE '{transfer.run}/%' ORDER BY number"
    )
    steps = [step for step, _, _ in acts]
    match transfer:
        case Transfer(ended="completed"):
            assert steps == ["debit", "fee", "credit"], transfer
            assert transfer.to in ("alice", "bob")
        case Transfer(ended="failed"):
            assert (steps, transfer.error) == ([], "InsufficientFunds"), transfer
        case Transfer(ended="compensated", to="nobody", error="UnknownAccount"):
            assert steps == ["debit", "fee", "fee!undo", "debit!undo"], transfer
        case Transfer(ended="compensated", to="dave", error="AccountFrozen"):
            assert steps == ["debit", "fee", "fee!undo", "debit!undo"], transfer
        case Transfer(ended="compensated", giver="carol", error="InsufficientFunds"):
            assert steps == ["debit", "debit!undo"], transfer  # there was nothing for the fee
        case Transfer(ended="cancelled", cancelled_after=float()):
            done = steps[: len(steps) // 2]
            assert done == ["debit", "fee", "credit"][: len(done)], transfer
            assert steps == done + [f"{step}!undo" for step in reversed(done)], transfer
        case _:
            raise AssertionError(transfer)
    numbers = {step: number for step, number, _ in acts}
    if transfer.ended == "completed":
        assert transfer.output == {
            "transfer": transfer.name,
            "debited": numbers["debit"],
            "credited": numbers["credit"],
        }
    moved = {
        "debit": {(transfer.giver, -transfer.cents), ("transit", transfer.cents)},
        "fee": {(transfer.giver, -transfer.fee), ("fees", transfer.fee)},
        "credit": {("transit", -transfer.cents), (transfer.to, transfer.cents)},
    }
    for step, number in numbers.items():
        sign = -1 if "!" in step else 1
        legs = machine.rows(f"SELECT account, cents FROM legs WHERE posting = {number}")
        wanted = {(who, sign * cents) for who, cents in moved[step.removesuffix("!undo")]}
        assert len(legs) == 2 and set(legs) == wanted, transfer
    for step, _, reverses in acts:
        assert reverses == numbers.get(step.removesuffix("!undo") if "!" in step else ""), transfer


def check_books(machine: Machine, given: list[Transfer]) -> None:
    """To the cent: what completed was moved, and nothing else."""
    expected = Counter(alice=1000_00, bob=500_00, carol=20_00, dave=300_00, capital=-1820_00)
    whole = [transfer for transfer in given if transfer.ended == "completed"]
    for transfer in whole:
        expected[transfer.giver] -= transfer.cents + transfer.fee
        expected[transfer.to] += transfer.cents
        expected["fees"] += transfer.fee
    found = dict(machine.rows("SELECT account, sum(cents) FROM legs GROUP BY account"))
    assert found == {"transit": 0, **expected}
    assert machine.rows("SELECT sum(cents) FROM legs") == [(0,)]
    sums = "SELECT 1 FROM legs GROUP BY posting HAVING sum(cents) <> 0 OR count(*) <> 2"
    assert machine.rows(sums) == []
    # Each act is there once, and nothing that is no act of these runs.
    keys = [key for (key,) in machine.rows("SELECT key FROM postings")]
    assert len(keys) == len(set(keys))
    runs = {transfer.run for transfer in given}
    assert len(runs) == COUNT
    assert {key.partition("/")[0] for key in keys} <= {"opening", *runs}
    done = subprocess.run(
        [sys.executable, EXAMPLE / "bank.py", machine.books],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    undone = len(machine.rows("SELECT 1 FROM postings WHERE what = 'undo debit'"))
    assert f"transfers: {len(whole)} whole, {undone} undone, 0 under way\n" in done.stdout
    ends = Counter(transfer.ended for transfer in given)
    assert min(ends["completed"], ends["compensated"]) >= COUNT // 8, ends
    assert min(ends["failed"], ends["cancelled"]) >= COUNT // 40, ends
    assert [t.giver for t in whole].count("carol") <= 1


async def check_histories(machine: Machine, client: Client, given: list[Transfer]) -> None:
    """There was trouble: acts were cut short, and done ones asked for again; it all replays."""
    posted = {
        key: datetime.fromisoformat(at).replace(tzinfo=UTC)
        for key, at in machine.rows("SELECT key, at FROM postings")
    }
    repeated: list[str] = []
    done_before: list[str] = []
    workers = set[str]()
    carried = 0
    (restarted,) = machine.restarts
    for transfer in given:
        handle = client.get_workflow_handle(transfer.name, run_id=transfer.run)
        history = await handle.fetch_history()
        times = [event.event_time.ToDatetime(tzinfo=UTC) for event in history.events]
        carried += times[0] < restarted < times[-1]
        acts: dict[int, str] = {}
        for event, time in zip(history.events, times, strict=True):
            if event.HasField("activity_task_scheduled_event_attributes"):
                scheduled = event.activity_task_scheduled_event_attributes
                acts[event.event_id] = f"{transfer.run}/{scheduled.activity_id}"
            elif event.HasField("activity_task_started_event_attributes"):
                started = event.activity_task_started_event_attributes
                workers.add(started.identity)
                key = acts[started.scheduled_event_id]
                if started.attempt > 1:
                    repeated.append(key)
                    # The attempt that was recorded began when its posting was there already.
                    if key in posted and posted[key] < time:
                        done_before.append(key)
        if transfer.number % 8 == 0:
            await replay(history)
    undoings = sum("!undo" in key for key in repeated)
    print(
        f"{len(machine.in_hand)} workers were killed, with {machine.in_hand} acts in hand;"
        f" the server while {carried} runs were open; {len(repeated)} acts were repeated"
        f" ({undoings} undoings), {len(done_before)} of them done before,"
        f" by {len(workers)} workers"
    )
    assert len(machine.in_hand) == 5 and min(machine.in_hand) > 0
    assert carried >= COUNT // 20
    assert len(repeated) >= 20 and len(done_before) >= 5 and undoings >= 1 and len(workers) >= 5
