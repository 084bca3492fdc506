"""Compiled steps: what is common to all kinds.

A node is made once for each step of a definition and shared by all its runs; what belongs to
a run is in its acts and records. Most steps are plain: they pass straight through `execute`
to what their kind does. The others go through what is round it, from the outside in:

    enclosed    variables, `compensation`, the block's own `compensate`, `pivot`
    _edged      `catch` and `finally`
    _timed      `timeout` and `output`
    _tried      `retry`
    run         what the kind does
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow

from dsl.expressions import Expression, Template
from dsl.model.common import BodyStep, StepBase
from interpreter.errors import Answered, Leaving, StepError
from interpreter.evaluation import evaluate, evaluate_bool, holds
from interpreter.logs import log
from interpreter.retries import Retries
from interpreter.saga import Entry, Group, Undo, unwind
from interpreter.scope import NOTHING, Act, Rec, Stopped, Token

if TYPE_CHECKING:
    from interpreter.execution import Execution
    from interpreter.program import Compiler

__all__ = ["Clause", "Edge", "Ending", "Node", "Place", "sequence"]

Ending = StepError | Stopped | Leaving
"""How a step ends that does not complete."""


async def sequence(nodes: Sequence[Node], act: Act) -> Any:
    """Runs steps one after the other; gives the last one's output."""
    output = None
    for node in nodes:
        output = await node.execute(act)
    return output


@dataclass(frozen=True, slots=True)
class Clause:
    """A `catch`, compiled."""

    errors: tuple[str, ...]
    when: Expression | None
    body: tuple[Node, ...]
    output: Template | None

    async def matches(self, act: Act, rec: Rec, error: StepError) -> bool:
        """Whether it is for this error."""
        if self.errors and error.type not in self.errors:
            return False
        return self.when is None or await holds(act, rec, self.when)

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
        activation: Tells the steps of an activation from those of others.
        part: The part of the block that it is in: a branch, a case, a `catch`.
    """

    key: str
    path: str
    inside: str
    activation: int
    part: str = ""


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
    retries_itself: ClassVar[bool] = False
    """Whether the kind makes its own attempts: an activity's are Temporal's."""
    waits: ClassVar[bool] = False
    """Whether it waits for something that is no activity."""
    keeps: ClassVar[tuple[str, ...]] = ()
    """What its kind keeps in the record of a try, by name."""

    def __init__(
        self, step: StepBase, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        self.key = place.key
        self.address = step.id or f"{owner.address if owner else ''}/{place.key}"
        """Which step of the definition it is, whatever run or try it is in."""
        self.is_read = False  # whether anything may read its output; set when all are compiled
        self.path = place.path
        self.inside = place.inside
        self.activation = place.activation
        self.part = place.part
        self.id = step.id
        self.description = step.description
        self.grouped = isinstance(step, BodyStep) and bool(step.id or step.description)
        """Whether the events of what is inside it are marked as those of one block."""
        self.owner = owner
        self.within: tuple[Node, ...] = ()  # the steps inside; set when all are compiled
        self.undo_limit = compiler.undoing.timeout
        self.undo_parallel = compiler.undoing.parallel
        self.undo_apart = compiler.undoing.among_parallel and isinstance(step, BodyStep)
        self.guard = compiler.expression(step.if_)
        self.output = compiler.template(step.output) if step.has("output") else None
        self.timeout = compiler.duration(step.timeout)
        self.variables: tuple[tuple[str, Template], ...] = (
            tuple((name, compiler.template(value)) for name, value in step.vars.items())
            if isinstance(step, BodyStep)
            else ()
        )
        self.retries = Retries(step.retry, compiler) if step.retry is not None else None
        self.edge = compiler.edge(self, step.catch, step.finally_)
        self.undo: Undo | None = compiler.undo(self, step.compensate)
        self.pivot = step.pivot is True
        self.plain = not self.enclosing()

    def enclosing(self) -> bool:
        """Whether there is anything round what the kind does."""
        return bool(
            self.output
            or self.timeout
            or self.variables
            or self.edge
            or self.pivot
            or self.undo_parallel
            or self.undo_apart
            or (self.retries is not None and not self.retries_itself)
            or (self.undo is not None and not self.registers)
        )

    def shape(self) -> tuple[Any, ...]:
        """What may not change in another revision while the step is open: what it keeps fits it."""
        edge = self.edge
        clauses = 0 if edge is None else len(edge.clauses)
        cleans = edge is not None and bool(edge.cleanup)
        tries = self.retries is not None and not self.retries_itself
        undone = (self.undo is not None, self.undo_parallel, self.undo_apart, self.pivot)
        return (self.kind, clauses, cleans, tries, undone)

    def beside(self) -> Iterator[str]:
        """The keys of the steps inside it whose records stand beside its own."""
        return (one.key for one in self.within if one.activation == self.activation)

    def tries_here(self) -> bool:
        """Whether the interpreter makes its attempts, and waits between them."""
        return self.retries is not None and (
            self.retries.when is not None or not self.retries_itself
        )

    async def run(self, act: Act, rec: Rec) -> Any:
        """What the kind does; gives the raw output."""
        raise NotImplementedError

    async def finish(self, act: Act, rec: Rec) -> None:
        """What is left to do at the end of the block: the definition waits for what runs on."""

    async def execute(self, act: Act) -> Any:
        """Runs the step with all its common keys; gives its output, null where it was skipped."""
        rec = act.recs.get(self.key)
        if rec is None or not rec.resumed:  # one that is open is stopped where it stands
            act.token.check()
            rec = act.recs[self.key] = Rec(self, act.prefix + self.path)
        elif rec.ended is not None:
            assert rec.status not in ("failed", "timed_out", "cancelled"), rec.path
            return None if rec.output is NOTHING else rec.output
        execution = act.execution
        try:
            if rec.resumed:
                rec.resumed = False
            else:
                execution.burst += 1
                if execution.burst > execution.LONGEST_BURST:
                    await execution.breathe(act, rec)
            if rec.started is None:
                if self.guard is not None and not await evaluate_bool(act, rec, self.guard):
                    rec.status = "skipped"
                    rec.ended = execution.clock()
                    if execution.watched:
                        execution.touch(self)
                    return None
                rec.started = execution.clock()
            rec.status = "running"
            if execution.watched:
                execution.touch(self)
            if self.grouped:
                output = await self._in_group(act, rec)
            else:
                output = await (self.run(act, rec) if self.plain else self.enclosed(act, rec))
        except (StepError, Stopped, Leaving) as ending:
            if isinstance(ending, Answered) and ending.rec is rec:
                return self._answered(execution, rec, ending)
            self._ended(execution, rec, ending)
            rec.ended = execution.clock()
            if execution.watched:
                execution.touch(self)
            raise
        rec.complete(output)
        rec.ended = execution.clock()
        if execution.watched:
            execution.touch(self)
        return output

    async def _in_group(self, act: Act, rec: Rec) -> Any:
        """The step as a group of events, for Temporal's UI."""
        with workflow.create_event_group(rec.path, label=self.description or None).scope():
            return await (self.run(act, rec) if self.plain else self.enclosed(act, rec))

    def _answered(self, execution: Execution, rec: Rec, answered: Answered) -> Any:
        """Ends the step as an operator said; gives its output."""
        if answered.done:
            rec.complete(answered.output)
        else:
            rec.status = "skipped"
        rec.ended = execution.clock()
        if execution.watched:
            execution.touch(self)
        return answered.output

    def _ended(self, execution: Execution, rec: Rec, ending: Ending) -> None:
        match ending:
            case StepError():
                if ending.step is None:
                    ending.step = self.id
                # What only lets a timeout pass has failed.
                rec.status = "timed_out" if ending.timed_out and ending.new else "failed"
                rec.error = ending.data()
                if ending.new:
                    log(execution, logging.WARNING, "%s: %s", rec.status, ending, step=rec.path)
                ending.new = False
            case Stopped():
                rec.status = "cancelled"
                rec.error = ending.stop.error().data()
            case Leaving():
                rec.status = "completed"

    async def enclosed(self, act: Act, rec: Rec) -> Any:
        """The step inside its variables, and how it stands in the saga log."""
        if self.variables:
            if rec.keeps("vars"):
                await self._missing_variables(act, rec, rec.kept("vars"))
            else:
                rec.keep("vars", await self._fresh_variables(act, rec))
            act = act.inner(variables=rec.kept("vars"))
        if self.undo_apart:
            act = act.inner(group=rec.group("apart", act.group))
        if self.undo_parallel and self.edge is None:
            act = act.inner(group=rec.group("own", act.group, parallel=True))
        if self.undo is None or self.registers:
            output = await self._edged(act, rec)
        else:
            output = await self._undoable(self.undo, act, rec)
        if self.pivot and rec.status != "caught":
            # The point of no return: from here on nothing before it is undone.
            act.execution.act.group.drop(act.execution.settled)
        return output

    async def _fresh_variables(self, act: Act, rec: Rec) -> dict[str, Any]:
        return {name: await evaluate(act, rec, value) for name, value in self.variables}

    async def _missing_variables(self, act: Act, rec: Rec, known: dict[str, Any]) -> None:
        """Adds variables that an earlier revision of an open block did not have."""
        for name, value in self.variables:
            if name not in known:
                known[name] = await evaluate(act, rec, value)

    async def _undoable(self, undo: Undo, act: Act, rec: Rec) -> Any:
        """A step whose own compensation stands for all that was done in it, once it completed."""
        entry: Entry = rec.kept("entry") or rec.keep("entry", Entry(self, undo, act, rec.path))
        inside = rec.group("inside", act.group, self.undo_parallel)
        try:
            output = await self._edged(act.inner(group=inside), rec)
        except Answered as answered:
            if answered.rec is rec and answered.done:
                self._stand_for(entry, inside, answered.output)
            raise
        if rec.status != "caught":
            self._stand_for(entry, inside, output)
        return output

    def _stand_for(self, entry: Entry, inside: Group, output: Any) -> None:
        """Puts a completed block's own entry in the place of those inside it."""
        # What is in flight is of a join whose losers run on: it stays.
        inside.drop(entry.act.execution.settled)
        entry.status = "completed"
        entry.output = output
        inside.members.append(entry)

    async def _edged(self, act: Act, rec: Rec) -> Any:
        """The step with its `catch` and `finally`. What was done is undone before they run."""
        edge = self.edge
        if edge is None:
            return await self._timed(act, rec)
        outside = act.group
        act = act.inner(group=rec.group("edge", outside, self.undo_parallel))
        pending: Ending | None
        if rec.keeps("ending"):
            pending, output = rec.kept("ending")
        else:
            pending, output = await self._inside(edge, act, rec)
        if edge.cleanup:
            rec.keep("ending", (pending, output))
            failure = await self._clean_up(edge, act, rec, pending)
            if failure is not None:
                if edge.always:
                    data = failure.data() if isinstance(failure, StepError) else None
                    await unwind(act, rec, self.undo_limit, data)
                if pending is None or isinstance(pending, Leaving):
                    pending = failure
        if not act.group.members:
            outside.remove(act.group)
        if pending is not None:
            raise pending
        return output

    async def _inside(self, edge: Edge, act: Act, rec: Rec) -> tuple[Ending | None, Any]:
        """What is inside the edge, and its `catch`; gives what goes on outward."""
        if rec.keeps("caught"):
            error, index = cast("tuple[StepError, int]", rec.kept("caught"))
            inside = act.inner(names={"error": error.data()})
            return await self._run_clause(edge, edge.clauses[index], inside, rec, error)
        if rec.keeps("error"):
            return await self._caught(edge, act, rec, rec.kept("error"))
        try:
            return None, await self._timed(act, rec)
        except Leaving as leaving:
            return leaving, None
        except Stopped as stopped:
            if edge.cleanup or edge.always:
                await unwind(act, rec, self.undo_limit, None)
            return stopped, None
        except StepError as error:
            return await self._caught(edge, act, rec, error)

    async def _caught(
        self, edge: Edge, act: Act, rec: Rec, error: StepError
    ) -> tuple[Ending | None, Any]:
        """Undoes and runs the `catch` that is for the error; gives what goes on outward."""
        if error.step is None:
            error.step = self.id
        rec.keep("error", error)
        inside = act.inner(names={"error": error.data()})
        clause: Clause | None = None
        ending: Ending = error
        try:
            for candidate in edge.clauses:
                if await candidate.matches(inside, rec, error):
                    clause = candidate
                    break
        except (StepError, Stopped) as fault:
            ending = fault  # its `when` met a fault, or the run was stopped while it stood there
        except Leaving as answered:
            return answered, None
        if clause is not None or edge.cleanup or edge.always:
            data = ending.data() if isinstance(ending, StepError) else None
            await unwind(act, rec, self.undo_limit, data)
        if clause is None:
            stop = act.token.stop if edge.always else None
            if stop is None:
                return ending, None
            rec.error = error.data()  # what it was undone for at first
            return Stopped(stop), None
        rec.keep("caught", (error, edge.clauses.index(clause)))
        return await self._run_clause(edge, clause, inside, rec, error)

    async def _run_clause(
        self, edge: Edge, clause: Clause, inside: Act, rec: Rec, error: StepError
    ) -> tuple[Ending | None, Any]:
        try:
            inside.token.check()
            output = await clause.execute(inside, rec)
            await self.finish(inside, rec)
        except (StepError, Stopped, Leaving) as again:
            if not isinstance(again, Leaving) and (edge.cleanup or edge.always):
                data = again.data() if isinstance(again, StepError) else None
                await unwind(inside, rec, self.undo_limit, data)
            return again, None
        rec.status = "caught"
        rec.error = error.data()
        return None, output

    async def _clean_up(
        self, edge: Edge, act: Act, rec: Rec, pending: Ending | None
    ) -> Ending | None:
        """Runs `finally`, shielded; gives its own error. It counts only where there is no other."""
        error = pending.data() if isinstance(pending, StepError) else None
        names = {"error": error, "status": _status(pending)}
        shielded = act.inner(token=Token(None, act.token.deadline), names=names)
        try:
            await sequence(edge.cleanup, shielded)
            await self.finish(shielded, rec)
        except (StepError, Stopped, Leaving) as failure:
            return failure
        return None

    async def _timed(self, act: Act, rec: Rec) -> Any:
        """The step inside its `timeout`: all its attempts together."""
        if self.timeout is None:
            output = await self._tried(act, rec)
        else:
            if not rec.keeps("deadline"):
                seconds = await self.timeout.seconds(act, rec)
                rec.keep("deadline", act.execution.clock() + seconds)
            output = await self._in_time(act, rec, rec.kept("deadline"))
        if self.output is not None:
            output = await evaluate(act.inner(names={"result": output}), rec, self.output)
        return output

    async def _in_time(self, act: Act, rec: Rec, deadline: float) -> Any:
        """Runs the step until a time: then it is stopped, settles, and has timed out.

        Raises:
            StepError: of type `Timeout`, also where the step completed after its time.
        """
        token = Token(act.token)
        summary = f"timeout of {rec.path or self.what}"
        seconds = max(0.001, deadline - act.execution.clock())
        timer = act.execution.timer(
            seconds, lambda: token.cancel("timeout", self.what), summary, is_timeout=True
        )
        output = None
        ending: Ending | None = None
        try:
            output = await self._tried(act.inner(token=token), rec)
        except (StepError, Stopped, Leaving) as raised:
            ending = raised
        timer.cancel()
        token.close()
        if isinstance(ending, Leaving):
            raise ending
        if token.stop is not None and token.stop.target is token:
            raise token.stop.error()
        if ending is not None:
            raise ending
        return output

    async def _tried(self, act: Act, rec: Rec) -> Any:
        """The step with its `retry`: a further try is another act, after the last was undone."""
        retries = self.retries
        if retries is None or self.retries_itself:
            return await self.run(act, rec)
        outside = act.group
        while True:
            if not rec.keeps("failed"):
                inside = act.inner(
                    group=rec.group("try", outside, self.undo_parallel),
                    names={"attempt": rec.attempt},
                )
                if rec.attempt > 1:
                    inside.prefix = f"{act.prefix}{self.path}~{rec.attempt}."
                try:
                    output = await self.run(inside, rec)
                    if not inside.group.members:
                        outside.remove(inside.group)
                    return output
                except Stopped:
                    await unwind(inside, rec, self.undo_limit, None)
                    raise
                except StepError as error:
                    await unwind(inside, rec, self.undo_limit, error.data())
                    outside.remove(inside.group)
                    rec.keep("failed", error)
            await retries.pause(act, rec, f"before try {rec.attempt + 1} of {rec.path}")
            rec.release("try", *self.keeps)
            rec.acts = None
            for key in self.beside():
                act.recs.pop(key, None)
            if self.variables:
                await self._renew_variables(act, rec)

    async def _renew_variables(self, act: Act, rec: Rec) -> None:
        variables = rec.kept("vars")
        while act.variables is not variables:  # what is round the step sees others
            assert act.parent is not None
            act = act.parent
        assert act.parent is not None
        variables.update(await self._fresh_variables(act.parent, rec))


def _status(pending: Ending | None) -> str:
    """How a step ended so far, for its `finally`."""
    match pending:
        case StepError():
            return "timed_out" if pending.timed_out else "failed"
        case Stopped():
            return "cancelled"
        case Leaving() | None:
            return "completed"
