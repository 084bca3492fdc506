"""Compiled steps: what is common to all kinds.

A node is made once for each step of a definition and shared by all its runs; what belongs to
a run is in its acts and records. Most steps are plain: they pass straight through `execute`
to what their kind does. What has a `catch`, a `finally`, a `timeout` and so on goes through
`enclosed`, where the edges of blocks are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dsl.durations import parse_duration
from dsl.expressions import Expression, ExpressionError, MissingError, Template
from dsl.model.common import BodyStep, StepBase
from interpreter.errors import Fault, Returning, StepError
from interpreter.saga import Entry, Undo, unwind
from interpreter.scope import Act, Rec, Stopped, Token

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["Clause", "Duration", "Edge", "Node", "Place", "evaluate", "evaluate_bool", "sequence"]


async def sequence(nodes: Sequence[Node], act: Act) -> Any:
    """Runs steps one after the other; gives the last one's output."""
    output = None
    for node in nodes:
        output = await node.execute(act)
    return output


async def evaluate(act: Act, rec: Rec, source: Expression | Template) -> Any:
    """The value of an expression or a template in an act. A fault suspends the run."""
    while True:
        try:
            return source.evaluate(act)
        except ExpressionError as error:
            await act.execution.suspend(act, rec, Fault("ExpressionFailed", str(error)))


async def evaluate_bool(act: Act, rec: Rec, condition: Expression) -> bool:
    """The value of a condition."""
    while True:
        value = await evaluate(act, rec, condition)
        if value is True or value is False:
            return value
        message = f"`{condition.source}` must be true or false, is {value!r:.60}"
        await act.execution.suspend(act, rec, Fault("ExpressionFailed", message))


class Duration:
    """A duration that is known at load, or a template that gives it.

    Args:
        text: Its normal form in the model.
        template: Parsed, where it is one.
    """

    __slots__ = ("constant", "template")

    def __init__(self, text: str, template: Template | None) -> None:
        self.template = template
        self.constant = parse_duration(text) if template is None else None

    async def seconds(self, act: Act, rec: Rec) -> float:
        """Its value in seconds."""
        if self.constant is not None:
            return self.constant
        assert self.template is not None
        while True:
            value = await evaluate(act, rec, self.template)
            if isinstance(value, str):
                value = parse_duration(value)
            if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
                return value
            message = "a duration must be like 30s, or a number of seconds of 0 or more"
            await act.execution.suspend(act, rec, Fault("ExpressionFailed", message))


@dataclass(frozen=True, slots=True)
class Clause:
    """A `catch`, compiled."""

    errors: tuple[str, ...]
    when: Expression | None
    body: tuple[Node, ...]
    output: Template | None

    async def matches(self, act: Act, rec: Rec, error: StepError) -> bool:
        """Whether it is for this error. A missing key in its `when` makes it false."""
        if self.errors and error.type not in self.errors:
            return False
        if self.when is None:
            return True
        while True:
            try:
                value = self.when.evaluate(act)
            except MissingError:
                return False
            except ExpressionError as failure:
                await act.execution.suspend(act, rec, Fault("ExpressionFailed", str(failure)))
                continue
            if value is True or value is False:
                return value
            message = f"`{self.when.source}` must be true or false"
            await act.execution.suspend(act, rec, Fault("ExpressionFailed", message))

    async def execute(self, act: Act, rec: Rec) -> Any:
        """Runs its body; gives the output of the step that it is on."""
        output = await sequence(self.body, act)
        return output if self.output is None else await evaluate(act, rec, self.output)


@dataclass(frozen=True, slots=True)
class Edge:
    """What a block does about errors at its edge.

    Args:
        clauses: Its `catch`.
        cleanup: Its `finally`.
        always: Whether it undoes on every error: the definition itself does.
    """

    clauses: tuple[Clause, ...]
    cleanup: tuple[Node, ...]
    always: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step is.

    Args:
        key: Its id, or its place where it has none: unique in its activation.
        path: Its path inside its activation.
        inside: What stands before the ids of the steps inside it, in their paths.
    """

    key: str
    path: str
    inside: str


class Node:
    """A compiled step.

    Args:
        step: The step of the model.
        place: Where it is.
        compiler: Compiles what is inside.
        owner: The block it is in; None for the definition.
    """

    kind: ClassVar[str]
    what: ClassVar[str] = "step"
    """What its timeout says was too slow."""
    registers: ClassVar[bool] = False
    """Whether the kind registers its own act for undoing, because it knows when it begins."""

    def __init__(
        self, step: StepBase, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        self.key = place.key
        self.path = place.path
        self.inside = place.inside
        self.id = step.id
        self.description = step.description
        self.owner = owner
        self.guard = compiler.expression(step.if_)
        self.output = compiler.template(step.output) if step.has("output") else None
        self.timeout = compiler.duration(step.timeout)
        self.variables: tuple[tuple[str, Template], ...] = (
            tuple((name, compiler.template(value)) for name, value in step.vars.items())
            if isinstance(step, BodyStep)
            else ()
        )
        self.edge = compiler.edge(self, step.catch, step.finally_)
        self.undo: Undo | None = compiler.undo(self, step.compensate)
        self.plain = not self.enclosing()

    def enclosing(self) -> bool:
        """Whether there is anything round what the kind does."""
        own_undo = self.undo is not None and not self.registers
        return bool(self.output or self.timeout or self.variables or self.edge or own_undo)

    async def run(self, act: Act, rec: Rec) -> Any:
        """What the kind does; gives the raw output."""
        raise NotImplementedError

    async def execute(self, act: Act) -> Any:
        """Runs the step with all its common keys; gives its output, null where it was skipped."""
        act.token.check()
        rec = act.recs[self.key] = Rec(self, act.prefix + self.path)
        execution = act.execution
        try:
            if self.guard is not None and not await evaluate_bool(act, rec, self.guard):
                rec.status = "skipped"
                return None
            rec.status = "running"
            rec.started = execution.clock()
            output = await (self.run(act, rec) if self.plain else self.enclosed(act, rec))
        except (StepError, Stopped, Returning) as ending:
            self._ended(rec, ending)
            rec.ended = execution.clock()
            raise
        rec.complete(output)
        rec.ended = execution.clock()
        return output

    def _ended(self, rec: Rec, ending: StepError | Stopped | Returning) -> None:
        match ending:
            case StepError():
                if ending.step is None:
                    ending.step = self.id
                rec.status = "timed_out" if ending.timed_out else "failed"
                rec.error = ending.data()
            case Stopped():
                rec.status = "cancelled"
                rec.error = ending.stop.error().data()
            case Returning():
                rec.status = "completed"

    async def enclosed(self, act: Act, rec: Rec) -> Any:
        """The step inside its variables, its compensation and its edge."""
        if self.variables:
            values = {name: await evaluate(act, rec, value) for name, value in self.variables}
            act = act.inner(variables=values)
        if self.undo is None or self.registers:
            return await self._edged(act, rec)
        entry = Entry(self, self.undo, act, rec.path, None)
        inside = act.group.open()
        output = await self._edged(act.inner(group=inside), rec)
        if rec.status != "caught":
            # From here on its own compensation stands for all that was done inside.
            inside.members.clear()
            entry.status = "completed"
            entry.output = output
            inside.members.append(entry)
        return output

    async def _edged(self, act: Act, rec: Rec) -> Any:
        """The step with its `catch` and `finally`. What was done is undone before they run."""
        edge = self.edge
        if edge is None:
            return await self._timed(act, rec)
        outside = act.group
        act = act.inner(group=outside.open())
        pending: StepError | Stopped | Returning | None = None
        output = None
        try:
            output = await self._timed(act, rec)
        except Returning as returning:
            pending = returning
        except Stopped as stopped:
            pending = stopped
            if edge.cleanup or edge.always:
                await unwind(act.execution, act.group, None)
        except StepError as error:
            pending = error
            if error.step is None:
                error.step = self.id
            caught = act.inner(names={"error": error.data()})
            clause = await self._clause(edge, caught, rec, error)
            if clause is not None or edge.cleanup or edge.always:
                await unwind(act.execution, act.group, error.data())
            if clause is not None:
                try:
                    caught.token.check()
                    output = await clause.execute(caught, rec)
                except (StepError, Stopped, Returning) as again:
                    pending = again
                    if not isinstance(again, Returning) and (edge.cleanup or edge.always):
                        data = again.data() if isinstance(again, StepError) else None
                        await unwind(act.execution, act.group, data)
                else:
                    pending = None
                    rec.status = "caught"
                    rec.error = error.data()
        if edge.cleanup:
            failure = await self._clean_up(edge, act, pending)
            if pending is None and failure is not None:
                pending = failure
                if edge.always and isinstance(failure, StepError):
                    await unwind(act.execution, act.group, failure.data())
        if not act.group.members:
            outside.remove(act.group)
        if pending is not None:
            raise pending
        return output

    async def _clause(self, edge: Edge, act: Act, rec: Rec, error: StepError) -> Clause | None:
        for clause in edge.clauses:
            if await clause.matches(act, rec, error):
                return clause
        return None

    async def _clean_up(
        self, edge: Edge, act: Act, pending: StepError | Stopped | Returning | None
    ) -> StepError | Stopped | Returning | None:
        """Runs `finally`, shielded; gives its own error. It counts only where there is no other."""
        error = pending.data() if isinstance(pending, StepError) else None
        shielded = act.inner(token=Token(None), names={"error": error})
        try:
            await sequence(edge.cleanup, shielded)
        except (StepError, Stopped, Returning) as failure:
            return failure
        return None

    async def _timed(self, act: Act, rec: Rec) -> Any:
        """The step inside its `timeout`."""
        if self.timeout is None:
            output = await self.run(act, rec)
        else:
            output = await self._within(act, rec, await self.timeout.seconds(act, rec))
        if self.output is not None:
            output = await evaluate(act.inner(names={"result": output}), rec, self.output)
        return output

    async def _within(self, act: Act, rec: Rec, seconds: float) -> Any:
        """Runs the step for at most `seconds`: then it is stopped, settles, and has timed out.

        Raises:
            StepError: of type `Timeout`, also where the step completed after its time.
        """
        token = Token(act.token)
        summary = f"timeout of {rec.path or self.what}"
        timer = act.execution.timer(seconds, lambda: token.cancel("timeout", self.what), summary)
        output = None
        ending: StepError | Stopped | Returning | None = None
        try:
            output = await self.run(act.inner(token=token), rec)
        except (StepError, Stopped, Returning) as raised:
            ending = raised
        timer.cancel()
        token.close()
        if isinstance(ending, Returning):
            raise ending
        if token.stop is not None and token.stop.target is token:
            raise token.stop.error()
        if ending is not None:
            raise ending
        return output
