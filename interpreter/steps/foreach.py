"""`foreach`: the same steps for each item, one after the other or at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from dsl.expressions import Expression, Template
from dsl.steps import ForeachStep
from interpreter.errors import Fault, LoopExit
from interpreter.evaluation import evaluate
from interpreter.nodes import Node, Place, sequence
from interpreter.scope import Act, Rec
from interpreter.steps.join import Join, JoinRule

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ForeachNode", "listed"]


async def listed(act: Act, rec: Rec, source: Expression | Template) -> list[Any]:
    """The items of a `foreach`."""
    while True:
        items = await evaluate(act, rec, source)
        if isinstance(items, list):
            return cast("list[Any]", items)
        fault = Fault("ExpressionFailed", f"`foreach` needs a list, has {items!r:.60}")
        await act.execution.suspend(act, rec, fault)


class ForeachNode(Node):
    """The same steps for each item."""

    kind: ClassVar[str] = "foreach"
    keeps: ClassVar[tuple[str, ...]] = ("items", "outputs", "join")
    """And, of a slice: `first`, the index of its first item, and how many may fail: `tolerated`."""

    def __init__(self, step: ForeachStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        expression = compiler.expression(step.foreach) if isinstance(step.foreach, str) else None
        self.items = expression or compiler.template(step.foreach)
        self.item_name = step.as_
        self.index_name = step.index_as
        self.concurrency = step.concurrency or 1
        at_once = self.undo_parallel and step.concurrency is None
        self.undone_together = 0 if at_once else self.concurrency
        self.rule = JoinRule(step, step.tolerated_failures)
        self.collect = compiler.template(step.collect) if step.has("collect") else None
        self.body = compiler.steps(step.do, self, fresh=True, prefix="")
        # One after the other, all of them: most loops need no more.
        needs_all = self.rule.all and not self.rule.waits_for_all and not self.rule.tolerated
        self.simple = self.concurrency == 1 and needs_all
        # Each iteration has variables of its own: they are not those of the step.
        self.item_variables = self.variables
        self.variables = ()
        self.plain = not self.enclosing()

    def shape(self) -> tuple[Any, ...]:
        names = (self.item_name, self.index_name)
        return (*super().shape(), names, self.simple, self.rule.finishes)

    async def run(self, act: Act, rec: Rec) -> Any:
        items: list[Any] | None = rec.kept("items")
        if items is None:
            items = rec.keep("items", await listed(act, rec, self.items))
        if self.simple and not rec.kept("tolerated"):
            return await self._one_by_one(act, rec, items)
        join = self.join(act, rec)
        await join.run()
        if join.failed:
            rec.keep("failures", (join.failed, join.error))
        return join.outputs

    def join(self, act: Act, rec: Rec) -> Join:
        """The iterations as members."""
        items: list[Any] = rec.kept("items")
        first: int = rec.kept("first", 0)
        rule = self.rule
        if rec.keeps("tolerated"):
            rule = rule.tolerating(rec.kept("tolerated"))

        async def iterate(index: int, member: Act) -> Any:
            return await self._iterate(member, rec, first + index, items[index])

        together = self.undone_together
        return Join(act, rec, len(items), self.concurrency, rule, iterate, together)

    async def _one_by_one(self, act: Act, rec: Rec, items: list[Any]) -> list[Any]:
        outputs: list[Any] = rec.kept("outputs") or rec.keep("outputs", [])
        first: int = rec.kept("first", 0)
        for index in range(len(outputs), len(items)):
            if not rec.acts:
                act.token.check()
            output = await self._iterate(act, rec, first + index, items[index])
            if output is Join.CUT:
                break
            outputs.append(output)
        return outputs + [None] * (len(items) - len(outputs))

    async def _iterate(self, act: Act, rec: Rec, index: int, item: Any) -> Any:
        """Runs the body for an item; gives what is collected, or `CUT` after a `break`."""
        names = {self.item_name: item, self.index_name: index}
        iteration = act.iteration(rec, index, names, {})
        variables = iteration.variables
        assert variables is not None
        output: Any = None
        try:
            for name, value in self.item_variables:
                if name not in variables:
                    variables[name] = await evaluate(iteration, rec, value)
            output = await sequence(self.body, iteration)
            if self.collect is not None:
                output = await evaluate(iteration, rec, self.collect)
        except LoopExit as left:
            output = Join.CUT if left.ends else None
        rec.close(index)
        return output
