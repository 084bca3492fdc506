"""`parallel`: named branches at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.steps import ParallelStep
from interpreter.nodes import Node, Place, sequence
from interpreter.scope import Act, Rec
from interpreter.steps.join import Join, JoinRule

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ParallelNode"]


class ParallelNode(Node):
    """Named branches at the same time."""

    kind: ClassVar[str] = "parallel"
    keeps: ClassVar[tuple[str, ...]] = ("join",)

    def __init__(self, step: ParallelStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.names = tuple(step.parallel)
        self.branches = tuple(
            compiler.steps(steps, self, f".{name}.") for name, steps in step.parallel.items()
        )
        self.concurrency = step.concurrency or len(self.branches)
        self.rule = JoinRule(step)

    def shape(self) -> tuple[Any, ...]:
        return (*super().shape(), self.names, self.rule.finishes)

    async def run(self, act: Act, rec: Rec) -> Any:
        join = self.join(act, rec)
        return {self.names[index]: join.outputs[index] for index in await join.run()}

    def join(self, act: Act, rec: Rec) -> Join:
        """The branches as members."""

        async def branch(index: int, member: Act) -> Any:
            return await sequence(self.branches[index], member)

        return Join(act, rec, len(self.branches), self.concurrency, self.rule, branch)
