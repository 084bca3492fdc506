"""`do`, `switch`, and the definition itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.model.definition import Definition
from dsl.steps import DoStep, SwitchStep
from interpreter.definitions.packed import pack
from interpreter.errors import Fault, Returning, StepError
from interpreter.evaluation import evaluate_bool
from interpreter.nodes import Node, Place, sequence
from interpreter.payloads import payload
from interpreter.saga import unwind
from interpreter.scope import Act, Rec, Stopped

if TYPE_CHECKING:
    from interpreter.execution import Execution
    from interpreter.program import Compiler

__all__ = ["DoNode", "RootNode", "SwitchNode"]

_ERROR = 64 * 1024
"""So much room is left for the error, where what is needed to undo a run is sent."""


class DoNode(Node):
    """Steps in sequence."""

    kind: ClassVar[str] = "do"

    def __init__(self, step: DoStep, place: Place, compiler: Compiler, owner: Node | None) -> None:
        super().__init__(step, place, compiler, owner)
        self.body = compiler.steps(step.do, self)

    async def run(self, act: Act, rec: Rec) -> Any:
        return await sequence(self.body, act)


class RootNode(Node):
    """The definition: a block whose edge always undoes."""

    kind: ClassVar[str] = "definition"
    what: ClassVar[str] = "definition"

    def __init__(self, definition: Definition, compiler: Compiler) -> None:
        own = {"output", "vars"} & definition.model_fields_set
        block = DoStep.model_construct(
            own, do=[], **{name: getattr(definition, name) for name in own}
        )
        super().__init__(block, Place("", "", "", 0), compiler, None)
        self.timeout = compiler.duration(definition.timeout)
        self.edge = compiler.edge(self, definition.catch, definition.finally_, always=True)
        self.body = compiler.steps(definition.steps, self, "")
        if self.output is not None and ("result",) not in self.output.reads:
            self.body[-1].is_read = False
        self.plain = False
        undoing = definition.compensation
        self.undone_by_parent = undoing is not None and undoing.on_parent_rollback is True

    async def run(self, act: Act, rec: Rec) -> Any:
        output = None
        if not rec.keeps("returning"):
            try:
                output = await sequence(self.body, act)
            except Returning as returning:
                rec.keep("returning", returning)
        await self.finish(act, rec)
        if rec.keeps("returning"):
            raise rec.kept("returning")
        return output

    async def enclosed(self, act: Act, rec: Rec) -> Any:
        if not (self.undone_by_parent and act.execution.origin.leaves):
            return await super().enclosed(act, rec)
        if not rec.keeps("ended"):
            returning, output = None, None
            try:
                output = await super().enclosed(act, rec)
            except Returning as left:
                returning, output = left, left.value
            rec.keep("ended", (returning, output))
        returning, output = rec.kept("ended")
        await self._left_to_parent(act, rec, output)
        if returning is not None:
            raise returning
        return output

    async def _left_to_parent(self, act: Act, rec: Rec, output: Any) -> None:
        """Notes what is needed to undo it: also what its `catch` and `finally` did."""
        execution = act.execution
        try:
            while True:
                try:
                    sent = payload(output, "the output", execution.program.budget.largest)
                    self._leave(execution, len(sent.payload.data))
                    return
                except Fault as fault:
                    await execution.suspend(act, rec, fault)
        except StepError as failure:
            await unwind(act, rec, self.undo_limit, failure.data())
            raise
        except Stopped:
            await unwind(act, rec, self.undo_limit, None)
            raise

    async def _tried(self, act: Act, rec: Rec) -> Any:
        handlers = act.execution.handlers
        if handlers is None:
            return await self.run(act, rec)
        return await handlers.around(act, rec, self.run)

    async def _timed(self, act: Act, rec: Rec) -> Any:
        try:
            output = await super()._timed(act, rec)
        except Returning as returning:
            await self._check_output(act, rec, returning.value)
            raise
        await self._check_output(act, rec, output)
        return output

    async def _check_output(self, act: Act, rec: Rec, output: Any) -> None:
        """An output that Temporal would not take suspends the run while it still can be undone."""
        while True:
            try:
                budget = act.execution.program.budget
                sent = payload(output, "the output", budget.largest)
                await act.execution.carry(act, rec, budget.sent([sent]))
                return
            except Fault as fault:
                await act.execution.suspend(act, rec, fault)

    @staticmethod
    def _leave(execution: Execution, size: int) -> None:
        """Notes what the run that it is a child of needs to have it undone.

        Raises:
            Fault: It is too large, beside an output of so many bytes.
        """
        if next(execution.act.group.entries(), None) is None:
            return
        state = execution.written()
        most = execution.program.budget.largest
        left = None
        if state is not None:
            own = {
                "root": execution.origin.keys,
                "depth": execution.origin.depth,
                "input": execution.act.lookup("input"),
                "state": state,
            }
            log = pack(json.dumps(own, ensure_ascii=False))
            left = json.dumps({"pinned": pack(execution.pinned_apart()), "log": log})
        # It is sent back beside the error that it is undone for.
        if left is None or len(left) + max(size, _ERROR) > most:
            message = f"the output and what is needed to undo the run: over {most:,} bytes"
            raise Fault("LimitExceeded", message)
        execution.left = left

    async def finish(self, act: Act, rec: Rec) -> None:
        await act.execution.all_ended(act, rec)
        act.token.check()  # the last act may have completed although it was cancelled


class SwitchNode(Node):
    """The first case whose condition is true."""

    kind: ClassVar[str] = "switch"
    keeps: ClassVar[tuple[str, ...]] = ("case",)

    def __init__(
        self, step: SwitchStep, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        super().__init__(step, place, compiler, owner)
        bodies = [
            compiler.steps(case.do or case.else_, self, f".{index}.")
            for index, case in enumerate(step.switch)
        ]
        # A case: its condition, its steps, and the steps of the others, which it skips.
        self.cases = tuple(
            (
                compiler.expression(case.when),
                body,
                tuple(node for other in bodies if other is not body for node in other),
            )
            for case, body in zip(step.switch, bodies, strict=True)
        )

    async def run(self, act: Act, rec: Rec) -> Any:
        case: int | None = rec.kept("case")
        if case is None:
            case = rec.keep("case", await self._choose(act, rec))
        return await sequence(self.cases[case][1], act) if case < len(self.cases) else None

    async def _choose(self, act: Act, rec: Rec) -> int:
        for index, (condition, _, others) in enumerate(self.cases):
            if condition is None or await evaluate_bool(act, rec, condition):
                for node in others:
                    skipped = act.recs[node.key] = Rec(node, act.prefix + node.path)
                    skipped.status = "skipped"
                    if act.execution.watched:
                        act.execution.touch(node)
                return index
        return len(self.cases)
