"""`foreach`: the same steps for each item, one after the other or at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from dsl.steps import ForeachStep
from interpreter.errors import Fault
from interpreter.nodes import Node, Place, evaluate, sequence
from interpreter.scope import Act, Rec
from interpreter.steps.join import Join

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ForeachNode"]


class ForeachNode(Node):
    """The same steps for each item."""

    kind: ClassVar[str] = "foreach"

    def __init__(self, step: ForeachStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        expression = compiler.expression(step.foreach) if isinstance(step.foreach, str) else None
        self.items = expression or compiler.template(step.foreach)
        self.item_name = step.as_
        self.index_name = step.index_as
        self.concurrency = step.concurrency or 1
        self.collect = compiler.template(step.collect) if step.has("collect") else None
        self.body = compiler.steps(step.do, self, fresh=True, prefix="")
        # Each iteration has variables of its own: they are not those of the step.
        self.item_variables = self.variables
        self.variables = ()
        self.plain = not self.enclosing()

    async def run(self, act: Act, rec: Rec) -> Any:
        items = await self._items(act, rec)
        rec.acts = {}
        if self.concurrency == 1 or len(items) < 2:
            outputs: list[Any] = []
            for index, item in enumerate(items):
                act.token.check()
                outputs.append(await self._iterate(act, rec, index, item))
            return outputs

        async def iterate(index: int, member: Act) -> Any:
            return await self._iterate(member, rec, index, items[index])

        return await Join(act, len(items), self.concurrency, iterate).run()

    async def _items(self, act: Act, rec: Rec) -> list[Any]:
        while True:
            items = await evaluate(act, rec, self.items)
            if isinstance(items, list):
                return cast("list[Any]", items)
            fault = Fault("ExpressionFailed", f"`foreach` needs a list, has {items!r:.60}")
            await act.execution.suspend(act, rec, fault)

    async def _iterate(self, act: Act, rec: Rec, index: int, item: Any) -> Any:
        variables: dict[str, Any] = {}
        names = {self.item_name: item, self.index_name: index}
        iteration = Act(
            act.execution,
            act,
            {},
            f"{act.prefix}{self.path}[{index}].",
            act.token,
            act.group,
            names,
            variables,
        )
        for name, value in self.item_variables:
            variables[name] = await evaluate(iteration, rec, value)
        assert rec.acts is not None
        rec.acts[index] = iteration
        output = await sequence(self.body, iteration)
        if self.collect is not None:
            output = await evaluate(iteration, rec, self.collect)
        del rec.acts[index]
        return output
