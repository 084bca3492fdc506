"""The kinds that compute: `value`, `set`, `raise`, `return`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from dsl.steps import RaiseStep, ReturnStep, SetStep, ValueStep
from interpreter.errors import Fault, Returning, StepError
from interpreter.evaluation import evaluate
from interpreter.nodes import Node, Place
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["RaiseNode", "ReturnNode", "SetNode", "ValueNode"]


class ValueNode(Node):
    """A value."""

    kind: ClassVar[str] = "value"

    def __init__(self, step: ValueStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.value = compiler.template(step.value)

    async def run(self, act: Act, rec: Rec) -> Any:
        return await evaluate(act, rec, self.value)


class SetNode(Node):
    """New values for variables."""

    kind: ClassVar[str] = "set"

    def __init__(self, step: SetStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.values = tuple((name, compiler.template(value)) for name, value in step.set.items())

    async def run(self, act: Act, rec: Rec) -> Any:
        values = {name: await evaluate(act, rec, value) for name, value in self.values}
        for name, value in values.items():
            act.variables_of(name)[name] = value
            if act.execution.watched:
                act.execution.wake(("vars", name))
        return values


class RaiseNode(Node):
    """An error."""

    kind: ClassVar[str] = "raise"

    def __init__(self, step: RaiseStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.error = compiler.template(step.raise_)
        self.message = compiler.template(step.message) if step.message is not None else None
        self.details = compiler.template(step.details) if step.has("details") else None

    async def run(self, act: Act, rec: Rec) -> Any:
        while True:
            error = await evaluate(act, rec, self.error)
            if isinstance(error, str) and error:
                break
            if isinstance(error, dict) and isinstance(error.get("type"), str):  # pyright: ignore[reportUnknownMemberType]
                again = cast("dict[str, Any]", error)
                raise StepError(
                    again["type"],
                    str(again.get("message", "")),
                    again.get("details"),
                    again.get("step"),
                )
            fault = Fault("ExpressionFailed", "`raise` needs a type, or an error that was caught")
            await act.execution.suspend(act, rec, fault)
        message = str(await evaluate(act, rec, self.message)) if self.message else error
        details = await evaluate(act, rec, self.details) if self.details else None
        raised = StepError(error, message, details)
        raised.new = False  # a `Timeout` that is raised is no time that ran out
        raise raised


class ReturnNode(Node):
    """The end of the definition."""

    kind: ClassVar[str] = "return"

    def __init__(self, step: ReturnStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.value = compiler.template(step.return_)

    async def run(self, act: Act, rec: Rec) -> Any:
        raise Returning(await evaluate(act, rec, self.value))
