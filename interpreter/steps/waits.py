"""The kinds that wait: `sleep`, `sleep_until`, `wait_signal`, `wait_condition`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.durations import MAX_SECONDS, parse_time
from dsl.steps import SleepStep, SleepUntilStep, WaitConditionStep, WaitSignalStep
from interpreter.errors import Fault
from interpreter.evaluation import evaluate, evaluate_bool
from interpreter.messages import Message
from interpreter.nodes import Node, Place
from interpreter.scope import Act, Rec, Stopped

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["SleepNode", "SleepUntilNode", "WaitConditionNode", "WaitSignalNode"]


class SleepNode(Node):
    """A while."""

    kind: ClassVar[str] = "sleep"
    keeps: ClassVar[tuple[str, ...]] = ("until",)
    waits: ClassVar[bool] = True

    def __init__(self, step: SleepStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.duration = compiler.known_duration(step.sleep)

    async def run(self, act: Act, rec: Rec) -> Any:
        until: float | None = rec.kept("until")
        if until is None:
            seconds = await self.duration.seconds(act, rec)
            if seconds <= 0:
                return None
            until = rec.keep("until", act.execution.clock() + seconds)
        await act.execution.pause_until(act, rec, until, self.description or rec.path)
        return None


class SleepUntilNode(Node):
    """A point in time."""

    kind: ClassVar[str] = "sleep_until"
    keeps: ClassVar[tuple[str, ...]] = ("until",)
    waits: ClassVar[bool] = True

    def __init__(self, step: SleepUntilStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.time = compiler.template(step.sleep_until)

    async def run(self, act: Act, rec: Rec) -> Any:
        if not rec.keeps("until"):
            # Nobody waits longer than the longest duration.
            until = min(await self._until(act, rec), act.execution.clock() + MAX_SECONDS)
            if until <= act.execution.clock():
                return None
            rec.keep("until", until)
        summary = self.description or rec.path
        await act.execution.pause_until(act, rec, rec.kept("until"), summary)
        return None

    async def _until(self, act: Act, rec: Rec) -> float:
        while True:
            time = await evaluate(act, rec, self.time)
            if isinstance(time, str):
                time = parse_time(time)
            if isinstance(time, int | float) and not isinstance(time, bool):
                return time
            message = "a time must be like 2030-01-01T09:00:00Z, or seconds since 1970"
            await act.execution.suspend(act, rec, Fault("ExpressionFailed", message))


class WaitConditionNode(Node):
    """Something inside the run."""

    kind: ClassVar[str] = "wait_condition"
    waits: ClassVar[bool] = True

    def __init__(
        self, step: WaitConditionStep, place: Place, compiler: Compiler, owner: Node
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.condition = compiler.known_expression(step.wait_condition)
        reads = {read[:2] for read in self.condition.reads if read[0] in ("vars", "steps")}
        self.watched = sorted(reads)

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution
        while not await evaluate_bool(act, rec, self.condition):
            await execution.woken(act, rec, self.watched)
        return None


class WaitSignalNode(Node):
    """A message from outside."""

    kind: ClassVar[str] = "wait_signal"
    keeps: ClassVar[tuple[str, ...]] = ("after", "since", "taken")
    waits: ClassVar[bool] = True

    def __init__(self, step: WaitSignalStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        several = isinstance(step.wait_signal, list)
        self.names = tuple(step.wait_signal) if several else (str(step.wait_signal),)
        self.several = several
        self.watched = [("signal", name) for name in self.names]
        self.where = compiler.expression(step.where)
        self.count = step.count
        self.fresh = step.fresh is True

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution
        if not rec.keeps("after"):
            rec.keep("after", execution.mailbox.arrived if self.fresh else 0)
            rec.keep("since", execution.place())
        after: int = rec.kept("after")
        taken: list[Message] = rec.kept("taken") or rec.keep("taken", [])
        try:
            while len(taken) < (self.count or 1):
                act.token.check()
                message = await self._pick(act, rec, after)
                if message is not None:
                    taken.append(message)
                    continue
                await execution.woken(act, rec, self.watched, since=rec.kept("since"))
        except Stopped:
            # The wait did not end: what it has consumed so far is for others.
            rec.release("taken")
            execution.mailbox.put_back(taken)
            for message in taken:
                execution.wake(("signal", message.name))
            raise
        outputs = [self._output(message) for message in taken]
        return outputs[0] if self.count is None else outputs

    async def _pick(self, act: Act, rec: Rec, after: int) -> Message | None:
        """Consumes the first signal that fits."""
        mailbox = act.execution.mailbox
        for message in mailbox.waiting(self.names, after):
            if self.where is not None:
                names = {"payload": message.payload, "signal": message.name}
                if not await evaluate_bool(act.inner(names=names), rec, self.where):
                    continue
            if mailbox.take(message):
                return message
        return None

    def _output(self, message: Message) -> Any:
        if self.several:
            return {"signal": message.name, "payload": message.payload}
        return message.payload
