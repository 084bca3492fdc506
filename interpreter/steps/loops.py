"""`while`, `until`, `break`, `continue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.steps import BreakStep, ContinueStep, UntilStep, WhileStep
from interpreter.errors import LoopExit, StepError
from interpreter.evaluation import evaluate_bool
from interpreter.nodes import Node, Place, sequence
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ExitNode", "LoopNode"]


class LoopNode(Node):
    """The same steps again and again."""

    kind: ClassVar[str] = "loop"
    keeps: ClassVar[tuple[str, ...]] = ("index", "left")

    def __init__(
        self, step: WhileStep | UntilStep, place: Place, compiler: Compiler, owner: Node
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.kind = step.kind  # pyright: ignore[reportAttributeAccessIssue]
        before = step.while_ if isinstance(step, WhileStep) else None
        after = step.until if isinstance(step, UntilStep) else None
        self.before = compiler.expression(before)
        self.after = compiler.expression(after)
        self.most = step.max_iterations
        self.index_name = step.index_as
        self.body = compiler.steps(step.do, self, fresh=True, prefix="")

    def shape(self) -> tuple[Any, ...]:
        return (*super().shape(), self.index_name)

    async def run(self, act: Act, rec: Rec) -> Any:
        index, output = rec.kept("index", (0, None))
        while True:
            if not rec.acts:
                rec.keep("index", (index, output))
                if self.before is not None and not await evaluate_bool(act, rec, self.before):
                    return output
                act.token.check()
                if self.most is not None and index >= self.most:
                    raise StepError("MaxIterations", f"more than {self.most} iterations")
            iteration = act.iteration(rec, index, {self.index_name: index})
            output = None
            if not rec.keeps("left"):
                try:
                    output = await sequence(self.body, iteration)
                except LoopExit as left:
                    rec.keep("left", left.ends)
            if rec.kept("left"):
                rec.close(index)
                return None
            after = self.after
            ends = after is not None and await evaluate_bool(iteration, rec, after)
            rec.close(index)
            rec.release("left")
            if ends:
                return output
            index += 1


class ExitNode(Node):
    """`break` and `continue`."""

    kind: ClassVar[str] = "break"

    def __init__(
        self, step: BreakStep | ContinueStep, place: Place, compiler: Compiler, owner: Node
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.kind = step.kind  # pyright: ignore[reportAttributeAccessIssue]
        self.ends = isinstance(step, BreakStep)

    async def run(self, act: Act, rec: Rec) -> Any:
        raise LoopExit(self.ends)
