"""`foreach` with `batch`: slices of its items run in child workflows of the same definition.

Three nodes stand for the one step. `BatchNode` is the step: its members are slices. `CallNode`
is one slice as the run sees it: a child workflow that is started, waited for, and undone.
`SliceNode` is what the child runs: the loop over its items, in scopes that were sent along.

However a child ends, it gives its saga log back, and undoes nothing by itself: that is done where
and when the run does it, by another child that goes through the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import CancelledError as ChildCancelled

from dsl.expressions import range_arguments
from dsl.steps import DoStep, ForeachStep
from interpreter.children import Child, child_id
from interpreter.errors import Answered, Fault, StepError
from interpreter.evaluation import evaluate
from interpreter.nodes import Node, Place
from interpreter.payloads import payload, value_of
from interpreter.saga import LONGEST_UNDO, Entry, Undo, check_undone, unwind
from interpreter.scope import NOTHING, Act, Rec, Stopped
from interpreter.steps.foreach import ForeachNode, listed
from interpreter.steps.join import Join, JoinRule

if TYPE_CHECKING:
    from interpreter.program import Compiler, Reads

__all__ = ["BatchNode", "CallNode", "SliceNode"]

Data = dict[str, Any]
_SLICE = " slice"
"""The name by which a call finds which slice it is: no expression can read it."""
_SENT = ("path", "first", "items", "collects", "tolerated", "names", "vars", "steps")
"""What a slice keeps of what it was sent."""


class BatchNode(Node):
    """The same steps for each of very many items."""

    kind: ClassVar[str] = "foreach"
    keeps: ClassVar[tuple[str, ...]] = ("items", "failed_items", "join")

    def __init__(self, step: ForeachStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        assert step.batch is not None
        self.size = step.batch
        source = step.foreach if isinstance(step.foreach, str) else None
        bounds = None if source is None else range_arguments(source)
        self.bounds = tuple(map(compiler.known_expression, bounds or ()))
        self.items = (
            None if bounds else compiler.expression(source) or compiler.template(step.foreach)
        )
        concurrency = step.concurrency or 1
        self.abreast = max(1, concurrency // self.size)
        self.rule = JoinRule(step)
        self.tolerance = JoinRule(step, step.tolerated_failures)
        self.tolerates = bool(step.tolerated_failures)
        self.variables = ()  # those of the items
        self.call = CallNode(step, compiler, self)
        self.body = (self.call,)
        self.slice = SliceNode(step, compiler, self)
        self.plain = not self.enclosing()

    def shape(self) -> tuple[Any, ...]:
        return (*super().shape(), "batch", self.size)

    async def run(self, act: Act, rec: Rec) -> Any:
        if not rec.keeps("items"):
            rec.keep("items", await self._items(act, rec))
        items = self.all_items(rec)
        join = self.join(act, rec)
        await join.run()
        if not self.is_read:
            return None
        outputs: list[Any] = []
        for index, output in enumerate(join.outputs):
            size = len(items[index * self.size : (index + 1) * self.size])
            outputs += [None] * size if output is None else output
        return outputs

    def join(self, act: Act, rec: Rec) -> Join:
        """The slices as members."""
        count = -(-len(self.all_items(rec)) // self.size)

        async def run(index: int, member: Act) -> Any:
            iteration = member.iteration(rec, index, {_SLICE: index})
            first, items = self.chunk(rec, index)
            iteration.prefix = f"{rec.tried}[{first}-{first + len(items) - 1}]"
            output = await self.call.execute(iteration)
            rec.close(index)
            return output

        return Join(act, rec, count, self.abreast, self.rule, run)

    def all_items(self, rec: Rec) -> Sequence[Any]:
        """The items of a run. Those of `range` are never made as a whole."""
        items: Any = rec.kept("items")
        return _items_of(items)

    def chunk(self, rec: Rec, index: int) -> tuple[int, Sequence[Any]]:
        """The first index and the items of a slice."""
        first = index * self.size
        return first, self.all_items(rec)[first : first + self.size]

    def left(self, rec: Rec) -> int | None:
        """How many items may still fail; None where none may."""
        if not self.tolerates:
            return None
        count = len(self.all_items(rec))
        return count - self.tolerance.needed(count) - rec.kept("failed_items", 0)

    async def _items(self, act: Act, rec: Rec) -> Any:
        if self.items is not None:
            return await listed(act, rec, self.items)
        while True:
            bounds = [await evaluate(act, rec, bound) for bound in self.bounds]
            wrong = _not_a_range(bounds)
            if wrong is None:
                return {"range": bounds}
            fault = Fault("ExpressionFailed", f"`foreach` needs {wrong}")
            await act.execution.suspend(act, rec, fault)


def _items_of(items: Any) -> Sequence[Any]:
    """Items as they are kept and sent: a list, or the bounds of a `range`."""
    if isinstance(items, dict):
        return range(*cast("dict[str, list[int]]", items)["range"])
    return cast("list[Any]", items)


def _not_a_range(bounds: list[Any]) -> str | None:
    if not all(type(bound) is int for bound in bounds):
        return f"whole numbers in `range`, has {bounds!r:.60}"
    if len(bounds) == 3 and bounds[2] == 0:
        return "a `range` that does not go by steps of 0"
    try:
        len(range(*bounds))
    except OverflowError:
        return "a smaller `range`"
    return None


class CallNode(Node):
    """A slice, as the run sees it that is divided."""

    kind: ClassVar[str] = "batch"
    registers: ClassVar[bool] = True

    def __init__(self, step: ForeachStep, compiler: Compiler, batch: BatchNode) -> None:
        compiler.all.append(self)
        compiler.activations += 1
        place = Place("batch", "", "", compiler.activations)
        super().__init__(DoStep.model_construct(set(), do=[]), place, compiler, batch)
        self.batch = batch
        self.undo = Undo(self._undo, (), (), False, True, False, compiler.undoing.on_failure)
        self.compensating = compiler.compensating
        self.plain = True

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution
        while True:
            if execution.parks:
                await execution.park(act, rec, drains=True)
            act.token.check()
            try:
                index: int = act.lookup(_SLICE)
                given = self._slice(act, index)
                if rec.keeps("failed_run"):  # the run is redriven: its items that are done stand
                    given["redrive"] = rec.kept("failed_run")
                answer = await self._child(act, rec, rec.path, given)
                break
            except Fault as fault:
                await execution.suspend(act, rec, fault)
            except _Failed as failed:
                stop = act.token.stop
                status = "failed" if stop is None else "cancelled"
                self._register(act, rec, failed.state, status)
                rec.keep("failed_run", failed.run_id)
                raise (failed.error if stop is None else Stopped(stop)) from None
        self._register(act, rec, answer["state"], "completed")
        batch = self._batch_rec(act)
        if answer["failed"]:
            if (self.batch.left(batch) or 0) < answer["failed"]:
                raise StepError(*answer["error"])
            batch.keep("failed_items", batch.kept("failed_items", 0) + answer["failed"])
        return answer["outputs"]

    def _register(self, act: Act, rec: Rec, state: str | None, status: str) -> None:
        """Notes what a child did that may have to be undone."""
        assert self.undo is not None
        if state is not None:
            kept = {"id": rec.path, "state": state}
            entry = Entry(self, self.undo, act, rec.path, kept)
            entry.status = status
            act.group.members.append(entry)

    def _batch_rec(self, act: Act) -> Rec:
        rec = act.record(self.batch.key)
        assert rec is not None
        return rec

    def _slice(self, act: Act, index: int) -> Data:
        """What the child needs to know."""
        rec = self._batch_rec(act)
        first, items = self.batch.chunk(rec, index)
        left = self.batch.left(rec)
        given = {
            "path": rec.tried,
            "first": first,
            "items": {"range": [items.start, items.stop, items.step]}
            if isinstance(items, range)
            else items,
            "collects": self.batch.is_read,
        }
        if left is not None:
            given["tolerated"] = max(0, left)
        return given | self.batch.slice.scopes(act)

    async def _child(self, act: Act, rec: Rec, path: str, given: Data) -> Data:
        """Runs a child and waits until it settled."""
        execution = act.execution
        program = execution.program
        whole = {
            "slice": self.batch.slice.address,
            "root": execution.origin.keys,
            "depth": execution.origin.depth,
            "pinned": execution.pinned_apart(),
            "workflow": act.lookup("workflow"),
            **given,
        }
        sent = [
            payload(whole.pop("input", {}), "the input", program.budget.largest),
            payload({"slice": whole}, "the slice", program.budget.largest),
        ]
        summary = f"{self.batch.description or self.batch.key}: {path}"
        child = Child(workflow.info().workflow_type, child_id(path), sent, summary)
        child.check()
        rec.child = child.id
        await execution.admit(act, rec, program.budget.sent(sent))
        execution.slices += 1
        try:
            result = await child.result(act)
        except WorkflowAlreadyStartedError:
            execution.slices -= 1
            message = f"there is a workflow with the id {child.id} already"
            raise Fault("LimitExceeded", message) from None
        except ChildWorkflowError as error:
            execution.slices -= 1
            raise _failed(error, execution.saga) from None
        execution.slices -= 1
        return cast("Data", value_of(result))

    async def _undo(self, act: Act) -> None:
        """Undoes what a slice did, in a child of its own."""
        step: Data = act.lookup("step")
        kept: Data = step["input"]
        execution = act.execution
        path = f"{kept['id']}!undo"
        rec = act.recs["undo"] = Rec(self, path)
        deadline = act.token.deadline
        seconds = LONGEST_UNDO if deadline is None else max(1.0, deadline - execution.clock())
        given = {
            "input": self.batch.slice.reads.of_input(act),
            "state": kept["state"],
            "undo": {"error": act.lookup("error"), "seconds": seconds},
        }
        while True:
            act.token.check()
            try:
                answer = await self._child(act, rec, path, given)
                break
            except Fault as fault:
                try:
                    await execution.suspend(act, rec, fault, always=True)
                except Answered as answered:
                    rec.status = "completed" if answered.done else "skipped"
                    return
            except _Failed as failed:
                raise failed.error from None
        execution.saga += answer["saga"]
        rec.status = "completed" if check_undone(answer["saga"]) else "skipped"


class _Failed(Exception):
    """A child that did not complete.

    Args:
        error: Why.
        run_id: Its run.
        state: What is needed to undo what it did.
    """

    def __init__(self, error: StepError, run_id: str, state: str | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.run_id = run_id
        self.state = state


def _failed(error: ChildWorkflowError, saga: list[Data]) -> _Failed:
    """What it means that a child did not complete; what it has undone is added to the log."""
    cause = error.cause
    if isinstance(cause, ChildCancelled):
        return _Failed(StepError("Cancelled", "the child workflow was cancelled"), error.run_id)
    if not isinstance(cause, ApplicationError):
        message = cause.message if isinstance(cause, FailureError) else str(cause)
        return _Failed(StepError(type(cause).__name__, message), error.run_id)
    details = [*cause.details, None, None]
    report = cast("Data", details[1] or {})
    saga += report.get("saga", [])
    step, final = report.get("step"), bool(report.get("final"))
    failure = StepError(cause.type or "Error", cause.message, details[0], step, final=final)
    return _Failed(failure, error.run_id, report.get("state"))


class SliceNode(Node):
    """What a child runs: the loop over its items, and the undoing of all of them."""

    kind: ClassVar[str] = "slice"
    what: ClassVar[str] = "slice"

    def __init__(self, step: ForeachStep, compiler: Compiler, batch: BatchNode) -> None:
        block = DoStep.model_construct(set(), do=[])
        super().__init__(block, Place("", "", "", 0), compiler, None)
        self.address = f"{batch.address}/slice"
        self.plain = False
        said = {"collect", "vars", "compensation", "on_error"} & step.model_fields_set
        loop = ForeachStep.model_construct(
            said | {"foreach", "do"},
            foreach=[],
            do=step.do,
            as_=step.as_,
            index_as=step.index_as,
            concurrency=step.concurrency and min(step.concurrency, batch.size),
            **{name: getattr(step, name) for name in said},
        )
        with compiler.reading() as reads:
            items = compiler.apart(loop, batch, batch.key, batch.path, batch.inside)
        assert isinstance(items, ForeachNode)
        self.items = items
        self.body = (items,)
        self.reads = _Needs(reads, compiler, {one.id for one in items.within})
        compiler.all.append(self)

    def scopes(self, act: Act) -> Data:
        """What its items see of what is round them."""
        return self.reads.of(act)

    def begin(self, rec: Rec, given: Data) -> None:
        """Notes in its record what is to be done.

        Args:
            rec: The record.
            given: What was sent along.
        """
        if "state" not in given:  # one that goes on has its own
            rec.keep("slice", {name: given[name] for name in _SENT if name in given})

    async def enclosed(self, act: Act, rec: Rec) -> Any:
        try:
            return await super().enclosed(act, rec)
        except (StepError, Stopped) as error:
            await self._left(act, rec, error)
            raise

    async def _left(self, act: Act, rec: Rec, error: StepError | Stopped) -> None:
        """Notes what is needed to undo it, where it did not complete."""
        execution = act.execution
        await execution.settle(act.group)
        try:
            execution.left = self._undoable_state(act)
        except Fault:  # too much to give back: it is undone here
            data = error.data() if isinstance(error, StepError) else None
            await unwind(act, rec, self.undo_limit, data)

    async def run(self, act: Act, rec: Rec) -> Any:
        given: Data = rec.kept("slice")
        loop = act.recs.get(self.items.key)
        if loop is None:
            loop = self._begun(act, given)
        loop.resumed = False
        loop.status = "running"
        inside = act.inner(names=given["names"], variables=given["vars"])
        outputs = await self.items.run(inside, loop)
        await act.execution.all_ended(act, rec)
        act.token.check()  # the last act may have completed although it was cancelled
        failed, error = loop.kept("failures", (0, None))
        loop.complete(None)
        loop.ended = act.execution.clock()
        rec.release("slice")
        answer: Data = {
            "outputs": outputs if given["collects"] else None,
            "failed": failed,
            "error": None if error is None else (error.type, error.message, error.details),
        }
        while True:
            try:
                answer["state"] = self._undoable_state(act)
                payload(answer, "what a slice gives back", act.execution.program.budget.largest)
                return answer
            except Fault as fault:
                await act.execution.suspend(act, rec, fault)

    @staticmethod
    def _undoable_state(act: Act) -> str | None:
        """What is needed to undo it; None where there is nothing to undo."""
        if next(act.execution.act.group.entries(), None) is None:
            return None
        state = act.execution.written()
        if state is None:
            raise Fault("LimitExceeded", "a slice has too much to undo: take a smaller `batch`")
        return state

    def _begun(self, act: Act, given: Data) -> Rec:
        """The record of the loop; and those of the steps outside that it reads."""
        nodes = act.execution.program.nodes
        for id, state in given["steps"].items():
            seen = act.recs[id] = Rec(nodes[id], id)
            seen.status, seen.error = state["status"], state["error"]
            seen.output = state.get("output", NOTHING)
            seen.ended = act.execution.clock()
        loop = act.recs[self.items.key] = Rec(self.items, given["path"])
        loop.started = act.execution.clock()
        loop.keep("items", list(_items_of(given["items"])))
        loop.keep("first", given["first"])
        if "tolerated" in given:
            loop.keep("tolerated", given["tolerated"])
        return loop


class _Needs:
    """What the items of a slice read of what is round the loop.

    Args:
        reads: All that they read.
        compiler: Knows the steps.
        own: The ids of the steps among them.
    """

    def __init__(self, reads: Reads, compiler: Compiler, own: set[str | None]) -> None:
        self.names = sorted({path[0] for path in reads.paths} - {"vars", "steps", "workflow"})
        self.variables = sorted({path[1] for path in reads.paths if path[0] == "vars"})
        read = {path[1] for path in reads.paths if path[0] == "steps" and len(path) > 1}
        self.steps = sorted(read - own)
        self.input_keys = reads.input_keys

    def of(self, act: Act) -> Data:
        """The values in an act."""
        names = dict(self._names(act))
        names.pop("input", None)
        given: Data = {"input": self.of_input(act), "names": names}
        given["vars"] = dict(self._variables(act))
        given["steps"] = {id: self._step(act, id) for id in self.steps}
        return given

    def of_input(self, act: Act) -> Any:
        """The input, as far as it is read."""
        value = act.lookup("input")
        if self.input_keys is None or not isinstance(value, dict):
            return value
        fields = cast("Data", value)
        return {key: fields[key] for key in fields if key in self.input_keys}

    def _names(self, act: Act) -> Iterator[tuple[str, Any]]:
        for name in self.names:
            try:
                yield name, act.lookup(name)
            except KeyError:
                continue  # one that an item has

    def _variables(self, act: Act) -> Iterator[tuple[str, Any]]:
        for name in self.variables:
            try:
                yield name, act.variable(name)
            except KeyError:
                continue

    @staticmethod
    def _step(act: Act, id: str) -> Data:
        state: Data = {"status": act.step(id, "status"), "error": act.step(id, "error")}
        rec = act.record(id)
        if rec is not None and rec.output is not NOTHING:
            state["output"] = rec.output
        return state
