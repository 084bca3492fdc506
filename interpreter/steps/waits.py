"""The kinds that wait: `sleep`, `wait_signal`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.steps import SleepStep, WaitSignalStep
from interpreter.nodes import Node, Place
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["SleepNode", "WaitSignalNode"]


class SleepNode(Node):
    """A time."""

    kind: ClassVar[str] = "sleep"

    def __init__(self, step: SleepStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        duration = compiler.duration(step.sleep)
        assert duration is not None
        self.duration = duration

    async def run(self, act: Act, rec: Rec) -> Any:
        seconds = await self.duration.seconds(act, rec)
        if seconds <= 0:
            return None
        await act.execution.pause(act, rec, seconds, self.description or rec.path)
        return None


class WaitSignalNode(Node):
    """A signal."""

    kind: ClassVar[str] = "wait_signal"

    def __init__(self, step: WaitSignalStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.signal = step.wait_signal

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution
        payload: Any = None

        def take() -> bool:
            nonlocal payload
            taken, payload = execution.mailbox.take(self.signal)
            return taken

        await execution.wait(act, rec, take, execution.listeners(self.signal))
        return payload
