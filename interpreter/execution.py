"""One run of a definition: its state, and what its steps ask of Temporal."""

from __future__ import annotations

import asyncio
import json
import logging
from bisect import insort
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio import workflow

from interpreter.errors import Answered, Fault, Returning, StepError
from interpreter.handlers import Handlers
from interpreter.logs import log
from interpreter.messages import Mailbox
from interpreter.operators import Answer
from interpreter.program import Program
from interpreter.saga import Entry, Group, unwind
from interpreter.scope import Act, Rec, Stopped, Token

if TYPE_CHECKING:
    from interpreter.nodes import Node
    from interpreter.steps.join import Join

__all__ = ["Execution", "GoesOn", "Origin", "Suspension", "Timer"]


def _since(waiter: tuple[int, Callable[[], object]]) -> int:
    return waiter[0]


class GoesOn(Exception):
    """The run is at rest, and goes on as a new one.

    Args:
        state: All that it needs to, as JSON.
    """

    def __init__(self, state: str) -> None:
        super().__init__("the run goes on as a new one")
        self.state = state


def _identity(program: Program) -> dict[str, Any]:
    """What `workflow` is in expressions. A run that goes on as new keeps it."""
    info = workflow.info()
    return {
        "id": info.workflow_id,
        "run_id": info.run_id,
        "type": info.workflow_type,
        "revision": program.revision,
        "digest": program.digest,
        "start_time": info.start_time.isoformat().replace("+00:00", "Z"),
    }


class Timer:
    """A timer that rings once. One of a timeout does not ring while the run is suspended."""

    def __init__(
        self,
        execution: Execution,
        seconds: float,
        ring: Callable[[], object],
        summary: str,
        is_timeout: bool,
    ) -> None:
        self._execution = execution
        self._is_timeout = is_timeout
        self.ring = ring  # rings now
        self._task = asyncio.create_task(execution.guarded(lambda: self._sleep(seconds, summary)))

    async def _sleep(self, seconds: float, summary: str) -> None:
        await workflow.sleep(seconds, summary=summary[:200])
        if self._is_timeout and self._execution.suspensions:
            self._execution.deferred.append(self)
        else:
            self.ring()

    def cancel(self) -> None:
        """Takes it back."""
        if self in self._execution.deferred:
            self._execution.deferred.remove(self)
        if not self._task.done():
            self._task.cancel()


class Suspension:
    """A step that met a fault and waits for an operator.

    Args:
        rec: The step's record.
        fault: What is wrong.
        token: The scope it waits in.
    """

    def __init__(self, rec: Rec, fault: Fault, token: Token) -> None:
        self.rec = rec
        self.fault = fault
        self.token = token
        self.answer: Answer | None = None

    def give(self, answer: Answer) -> None:
        """Answers it."""
        self.answer = answer
        if self.token.wake is not None:
            self.token.wake()


_MOST_BURSTS = 40
_MOST_PENDING = 1000
_MOST_SENT = 5 * 1024 * 1024 // 2
"""What a workflow task carries: Temporal takes 4 MiB, and the run may fail with 1 MiB besides."""
_WIDE = 20
"""So many results always fit a history, however large they are."""
_FIRST_PENDING = 250
"""How many activities are pending until the size of their results is known."""
_LARGE_HISTORY = 16 * 1024 * 1024
_LARGEST_HISTORY = 40 * 1024 * 1024
"""Temporal ends a run at 50 MB: with what is in flight a history stays below this."""
_LONGEST_HISTORY = 20_000
_RELUCTANCE = 500
_WEIGHT = 8 * 1024
"""So many bytes of a message count as much as something that happened."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run is of.

    Args:
        pinned: The definition, as it is pinned in the history.
        keys: The root of idempotency keys.
        part: What is run of the definition where it is not the whole: a slice of a `foreach`.
        depth: How many definitions have called one another to get here.
        leaves: Whether the run that it is a child of has it undone.
        undo: Where a run that ended is undone: for what `error`, and how many `seconds` it has.
    """

    pinned: bytes
    keys: str
    part: Node | None = None
    depth: int = 0
    leaves: bool = False
    undo: dict[str, Any] | None = None


class Execution:
    """One run.

    Args:
        program: What is run.
        input: Its input, checked.
        mailbox: Its signals.
        origin: What it is of.
        identity: What `workflow` is in expressions, where the run goes on as new.
    """

    LONGEST_BURST = 5000
    """How many steps are made in one go before the activation ends."""

    def __init__(
        self,
        program: Program,
        input: Any,
        mailbox: Mailbox,
        origin: Origin,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.origin = origin
        self._pinned_apart: str | None = None
        self.left: str | None = None
        """What is needed to undo it, for the run that it is a child of."""
        self.root = origin.part or program.root
        # The workflow's time in seconds since 1970, without a look-up of the runtime each time.
        self.clock: Callable[[], float] = asyncio.get_running_loop().time
        self.program = program
        self.mailbox = mailbox
        self.token = Token(None)
        self.saga: list[dict[str, Any]] = []
        self.undoing: set[Entry] = set()
        self.suspensions: list[Suspension] = []
        self.answers: list[dict[str, Any]] = []  # what operators answered, and who, and why
        self.deferred: list[Timer] = []
        self.status = "running"
        self.error: StepError | None = None
        self.rec = Rec(self.root, "")
        self.attribute_types: dict[str, str] = {}  # of search attributes, by name
        self.watched: dict[tuple[str, ...], list[tuple[int, Callable[[], object]]]] = {}
        self.places = 0  # how many have begun to wait
        self.burst = 0  # steps since something was waited for
        self.bursts = 0
        self._pending = 0
        self.slices = 0  # how many of them are slices of a `batch`
        self._sent = 0
        self._sent_at: int = 0
        self._room: Timer | None = None
        self._settled_count = 0
        self._largest_result = 1
        self.behind: dict[Join, None] = {}
        self.parks = False  # what would begin waits: the run is to go on as new
        self._drains = False  # what is in flight is waited for, nothing new is begun
        self._must = False  # it goes on under another revision
        self._watches = False
        self._goes_on = identity is not None
        self._reluctance = 0  # how much has to happen before that is thought of
        self._progress = 0  # what has happened since the run began, or last thought of that
        names = {
            "input": input,
            "error": None,
            "workflow": identity or _identity(program),
        }
        self.act = Act(self, None, {}, "", self.token, Group(), names)
        self.done: asyncio.Future[Any] = self.future()
        early = mailbox.open(program.signals, program.budget)
        # What runs a slice, or undoes, takes no messages.
        has_any = (origin.part is None and origin.undo is None) and (
            program.handlers or program.updates or program.queries or early
        )
        self.handlers = Handlers(self, early) if has_any else None

    def start(self, write: Callable[[Execution], str | None]) -> None:
        """Begins, or goes on.

        Args:
            write: Writes the run down, at rest; None where it cannot go on so.
        """
        self._write = write
        log(self, logging.INFO, "goes on" if self._goes_on else "started")
        for join in self.behind:
            self.spawn(join.lanes)
        self.spawn(self._main)

    async def _main(self) -> None:
        output: Any = None
        try:
            undo = self.origin.undo
            if undo is None:
                output = await self.root.enclosed(self.act, self.rec)
            else:
                await unwind(self.act, self.rec, float(undo["seconds"]), undo["error"])
                output = {"saga": self.saga}
            self.status = "completed"
        except Returning as returning:
            output = returning.value
            self.status = "completed"
        except Stopped:
            self.status = "cancelled"
        except StepError as error:
            self.error = error
            self.rec.error = error.data()
            self.status = "failed"
        if self.handlers is not None:
            self.handlers.end()
        self.rec.ended = self.clock()
        outcomes = [entry["compensation"] for entry in self.saga]
        if self.status != "completed" and "failed" in outcomes:
            self.status = "compensation_failed"
        elif self.status == "failed" and "compensated" in outcomes:
            self.status = "compensated"
        why = f": {self.error}" if self.error is not None else ""
        level = logging.INFO if self.status in ("completed", "cancelled") else logging.WARNING
        log(self, level, "%s%s", self.status, why)
        self.done.set_result(output)

    # What steps ask for.

    def future(self) -> asyncio.Future[Any]:
        """A future of the workflow's loop."""
        return asyncio.get_running_loop().create_future()

    def spawn(self, lane: Callable[[], Awaitable[None]]) -> None:
        """Runs a lane."""
        asyncio.create_task(self.guarded(lane))  # noqa: RUF006  the SDK keeps it

    async def guarded(self, body: Callable[[], Awaitable[None]]) -> None:
        """What a task lets through is a bug of ours: it fails the workflow task."""
        try:
            await body()
        except Exception as bug:
            if not self.done.done():
                self.done.set_exception(bug)

    async def breathe(self, act: Act, rec: Rec) -> None:
        """Ends the activation in the middle of a long computation, before it counts as stuck.

        One that goes on without anything ever happening suspends the run.
        """
        self.burst = 0
        self.bursts += 1
        if self.bursts > _MOST_BURSTS:
            self.bursts = 0
            steps = _MOST_BURSTS * self.LONGEST_BURST
            fault = Fault("LimitExceeded", f"{steps:,} steps in which nothing happened")
            await self.suspend(act, rec, fault)
            return
        bursts = self.bursts
        await self.pause(act, rec, 0.001, "a long computation")
        self.bursts = bursts

    async def admit(self, act: Act, rec: Rec, size: int) -> None:
        """Waits until an activity may be scheduled: Temporal bounds how many, and how much.

        Args:
            act: The act of the step.
            rec: Its record.
            size: The bytes of its arguments.
        """
        while True:
            info = workflow.info()
            length = info.get_current_history_length()
            self._grown(info, length)
            if self._pending >= _WIDE and self._pending >= self._width(info):
                try:
                    await self.woken(act, rec, [("slot",)])
                except Stopped:
                    self._hand_on()
                    raise
            elif self.parks and self._drains and self.rests():
                await self.park(act, rec)
            elif self._reluctance and self._full(info):
                megabytes = info.get_current_history_size() // 1024**2
                self._hand_on()
                why = f"the history has {megabytes} MB, and the run is too large to go on as new"
                raise Fault("LimitExceeded", why)
            elif not self._fits(length, size):
                await self.woken(act, rec, [("room",)])
            else:
                break
        self._sent += size
        self._pending += 1

    def _hand_on(self) -> None:
        """Wakes those who wait to be admitted, as many as there is room for."""
        waiting = self.watched.get(("slot",))
        if waiting:
            free = self._width(workflow.info()) - self._pending
            for _, wake in waiting[: max(0, free)]:
                wake()

    def _width(self, info: workflow.Info) -> int:
        """How many activities may be pending: what their results bring must fit the history."""
        known = min(_MOST_PENDING, _FIRST_PENDING + 2 * self._settled_count)
        room = _LARGEST_HISTORY - info.get_current_history_size() - self._sent
        return max(_WIDE, min(known, room // self._largest_result))

    def _full(self, info: workflow.Info) -> bool:
        return not self.undoing and info.get_current_history_size() >= _LARGEST_HISTORY

    async def carry(self, act: Act, rec: Rec, size: int) -> None:
        """Waits until the workflow task may carry so many bytes more."""
        info = workflow.info()
        length = info.get_current_history_length()
        self._grown(info, length)
        while not self._fits(length, size):
            await self.woken(act, rec, [("room",)])
            length = info.get_current_history_length()
        self._sent += size

    def gave_back(self, size: int) -> None:
        """Notes that the workflow task carries so many bytes less than was thought."""
        if self._sent_at == workflow.info().get_current_history_length():
            self._sent -= size
            self.wake(("room",))

    def _fits(self, length: int, size: int) -> bool:
        """Whether the workflow task may carry so many bytes more; if not, a next one comes."""
        if length != self._sent_at:
            self._sent_at, self._sent = length, 0
        if not self._sent or self._sent + size <= _MOST_SENT:
            return True
        if self._room is None:
            self._room = self.timer(0.001, self._next_task, "a task may not carry more")
        return False

    def _next_task(self) -> None:
        self._room = None
        self.wake(("room",))

    def reached(self) -> None:
        """Notes that something came from outside: what goes on is no endless computation."""
        self.bursts = 0

    def received(self, size: int) -> None:
        """Notes the bytes of a message: if the state was too large, it is soon written again."""
        if self._reluctance:
            self._progress += size // _WEIGHT

    def took(self) -> None:
        """Notes that a message was handled, or is kept: many of them make a history long too."""
        self._progress += 1
        if self._progress > self._reluctance:
            info = workflow.info()
            self._grown(info, info.get_current_history_length())

    def release(self, size: int = 0) -> None:
        """Notes that an activity has settled.

        Args:
            size: The bytes of its result.
        """
        self._pending -= 1
        self._settled_count += 1
        if size > self._largest_result:
            self._largest_result = size
        self._progress += 1
        if self.parks and not self._pending:
            self._watch()
        self.bursts = self.burst = 0
        if self.watched:
            self._hand_on()

    def timer(
        self,
        seconds: float,
        ring: Callable[[], object],
        summary: str,
        *,
        is_timeout: bool = False,
    ) -> Timer:
        """Starts a timer.

        Args:
            seconds: When it rings.
            ring: What it calls then.
            summary: What it is for, shown in Temporal's UI.
            is_timeout: Whether it waits until the run goes on where it rings while suspended.
        """
        return Timer(self, seconds, ring, summary, is_timeout)

    async def woken(
        self,
        act: Act,
        rec: Rec,
        keys: Sequence[tuple[str, ...]] = (),
        status: str = "waiting",
        since: int | None = None,
    ) -> None:
        """Waits until something happened. The one way to wait.

        A waiter that is woken looks again by itself, so nothing is ever handed over and lost.

        Args:
            act: The act that waits.
            rec: The record of the step.
            keys: What to be woken for, besides a stop of the scope: `("signal", name)`,
                `("vars", name)`, `("steps", id)`.
            status: What the step is meanwhile.
            since: Its place among those who wait for the same; the last where not given.

        Raises:
            Stopped: if the scope was stopped.
        """
        token = act.token
        token.check()
        if self._progress > self._reluctance:
            info = workflow.info()
            self._grown(info, info.get_current_history_length())
        future = self.future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        before, rec.status = rec.status, status
        if self.watched and before != status:
            self.touch(rec.node)
        token.wake = wake
        waiter = (self.place() if since is None else since, wake)
        for key in keys:
            insort(self.watched.setdefault(key, []), waiter, key=_since)
        await future
        self._progress += 1
        self.burst = self.bursts = 0
        token.wake = None
        for key in keys:
            waiters = self.watched[key]
            waiters.remove(waiter)
            if not waiters:
                del self.watched[key]
        rec.status = before
        if self.watched and before != status:
            self.touch(rec.node)
        token.check()

    def written(self) -> str | None:
        """It written down, at rest; None where it is too large."""
        return self._write(self)

    def pinned_apart(self) -> str:
        """The pinned definition without what belongs to this run alone: its input."""
        if self._pinned_apart is None:
            content = json.loads(self.origin.pinned)
            content.pop("input", None)
            self._pinned_apart = json.dumps(content, ensure_ascii=False)
        return self._pinned_apart

    def place(self) -> int:
        """The place of one who begins to wait."""
        self.places += 1
        return self.places

    async def wait(self, act: Act, rec: Rec, ready: Callable[[], bool], status: str) -> None:
        """Waits until `ready`, which is looked at whenever the scope is woken."""
        while not ready():
            await self.woken(act, rec, status=status)

    async def pause(self, act: Act, rec: Rec, seconds: float, summary: str) -> None:
        """Sleeps in a step.

        Raises:
            Stopped: if the scope was stopped meanwhile.
        """
        if seconds > 0:
            await self.pause_until(act, rec, self.clock() + seconds, summary)

    async def pause_until(self, act: Act, rec: Rec, time: float, summary: str) -> None:
        """Sleeps in a step until a time, in seconds since 1970.

        Raises:
            Stopped: if the scope was stopped meanwhile.
        """
        over: list[bool] = []

        def ring() -> None:
            over.append(True)
            if act.token.wake is not None:
                act.token.wake()

        # One that has passed while the run went on as new rings too: histories tell it.
        timer = self.timer(max(0.001, time - self.clock()), ring, summary)
        try:
            await self.wait(act, rec, lambda: bool(over), "waiting")
        except Stopped:
            timer.cancel()
            raise

    def wake(self, key: tuple[str, ...]) -> None:
        """Wakes those who wait for something, in the order of their waits."""
        for _, wake in tuple(self.watched.get(key, ())):
            wake()

    # Going on as new, before the history is too long.

    def _grown(self, info: workflow.Info, length: int) -> None:
        """Looks whether it is time to go on as new: as soon as nothing is in flight."""
        if self._progress <= self._reluctance:
            return
        most = self.program.continue_after
        if info.is_continue_as_new_suggested() if most is None else length >= most:
            self.parks = True
            large = info.get_current_history_size() >= _LARGE_HISTORY
            self._drains = self._must or large or length >= _LONGEST_HISTORY
            self._watch()

    def go_on(self) -> None:
        """Goes on as new as soon as it is at rest; nothing new is begun before."""
        self.parks = self._drains = self._must = True
        self.spawn(self._until_rest)

    async def _until_rest(self) -> None:
        await workflow.wait_condition(lambda: self.rests() and not self._pending)
        self._must = False
        self._watch()

    def _watch(self) -> None:
        if not self._watches:
            self._watches = True
            self.spawn(self._rest)

    async def park(self, act: Act, rec: Rec, *, drains: bool = False) -> None:
        """The gate before something new begins, closed while the run is to go on as new.

        Args:
            act: The act of the step.
            rec: Its record.
            drains: Whether it waits for slices in flight, where nothing else is.
        """
        waits = self._drains or not self._pending or (drains and self._pending == self.slices)
        if waits and self.rests():
            self._watch()
            await self.woken(act, rec, [("drained" if drains else "gate",)], rec.status)

    async def _rest(self) -> None:
        """Goes on as new, if nothing is in flight once all that could run has run."""
        await workflow.wait_condition(lambda: True)
        self._watches = False
        if self._pending:  # it is thought of again when that has settled
            if not self._drains:
                self.wake(("gate",))
                if self._pending != self.slices:
                    self.wake(("drained",))
            return
        if self.rests():
            state = self._write(self) or self._without_signals()
            if state is not None:
                self.done.set_exception(GoesOn(state))
                return
            self._reluctance = _RELUCTANCE
        self._progress = 0
        self.parks = self._must
        if not self.parks:
            self.wake(("gate",))
            self.wake(("drained",))

    def _without_signals(self) -> str | None:
        """Writes the run down with less of what waits, where the history cannot wait."""
        if not self._drains:
            return None
        before = self.mailbox.state()
        shed = self.mailbox.shed()
        state = self._write(self) if shed else None
        if state is not None:
            log(self, logging.WARNING, "%d large signals that waited are refused", shed)
        else:
            self.mailbox.restore(before)
        return state

    def rests(self) -> bool:
        """Whether nothing is being undone, and nothing is on its way out."""
        return not (
            self.done.done()
            or self.undoing
            or (self.handlers is not None and self.handlers.busy)
            or self.token.stopping()
            or workflow.cancellation_reason() is not None
        )

    def touch(self, node: Node) -> None:
        """Tells that the status of a step changed, and with it that of what is inside."""
        for one in (node, *node.within):
            if one.id is not None:
                self.wake(("steps", one.id))

    # Members of a join that run on although it is decided.

    def leave_behind(self, join: Join) -> None:
        """Notes a join whose losers run on: from now on they belong to the run."""
        self.behind[join] = None
        for member in join.members.values():
            if not member.ended:
                member.token.close()
                member.token.parent = self.token
                self.token.children[member.token] = None
                if self.token.stop is not None:
                    member.token.cancel(self.token.stop.kind)

    def ended_behind(self, join: Join) -> None:
        """Notes that the members of a join have all ended."""
        if self.behind.pop(join, join) is None:
            self.wake(("behind",))

    async def settle(self, group: Group) -> None:
        """Stops what runs on and belongs to a group, and waits until it settled."""
        for join in tuple(self.behind):
            if group.contains(join.group):
                join.close()
        await self._shielded(
            lambda: not any(group.contains(join.group) for join in self.behind), "behind"
        )

    def settled(self, entry: Entry) -> bool:
        """Whether an act is not in flight, and nobody is undoing it."""
        return entry.status != "registered" and entry not in self.undoing

    def undone(self, entry: Entry) -> None:
        """Notes that something has been undone."""
        self.undoing.discard(entry)
        self.wake(("undone",))

    async def undone_elsewhere(self, entry: Entry) -> None:
        """Waits until somebody else has undone what they own."""
        await self._shielded(lambda: entry not in self.undoing, "undone")

    async def _shielded(self, ready: Callable[[], bool], key: str) -> None:
        while not ready():
            shielded = self.act.inner(token=Token(None))
            await self.woken(shielded, self.rec, [(key,)], self.rec.status)

    async def all_ended(self, act: Act, rec: Rec) -> None:
        """Waits for the losers that run on."""
        while self.behind:
            await self.woken(act, rec, [("behind",)])

    async def suspend(self, act: Act, rec: Rec, fault: Fault, *, always: bool = False) -> None:
        """Holds a step until an operator answers; the rest of the run goes on.

        Returns when the step is to be tried again.

        Args:
            act: The act of the step.
            rec: Its record.
            fault: What is wrong.
            always: Whether `on_fault: fail` does not count.

        Raises:
            StepError: where the definition, or the operator, says that the fault is an error.
            Answered: where the operator says how the step ends.
            Stopped: if the scope was stopped.
        """
        if not self.program.suspends and not always:
            raise StepError(fault.type, fault.message)
        suspension = Suspension(rec, fault, act.token)
        self.suspensions.append(suspension)
        rec.fault = f"{fault.type}: {fault.message}"
        log(self, logging.ERROR, "suspended: %s", rec.fault, step=rec.path)
        try:
            await self.wait(act, rec, lambda: suspension.answer is not None, "suspended")
        except Stopped:
            self._resumed(suspension)
            raise
        self._resumed(suspension)
        answer = suspension.answer
        assert answer is not None
        if answer.action == "fail":
            raise StepError(fault.type, fault.message)
        if answer.action != "retry":
            raise Answered(rec, answer.action == "resolve", answer.output)

    def _resumed(self, suspension: Suspension) -> None:
        suspension.rec.fault = None
        self.suspensions.remove(suspension)
        if not self.suspensions:
            deferred, self.deferred = self.deferred, []
            for timer in deferred:
                timer.ring()

    @property
    def phase(self) -> str:
        """What the run is doing, or how it ended."""
        if self.status != "running":
            return self.status
        if self.suspensions:
            return "suspended"
        return "compensating" if self.undoing else "running"
