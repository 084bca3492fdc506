"""`workflow`: another definition, or any other workflow, as a child."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from dsl.steps import WorkflowStep
from interpreter.children import Child, child_id
from interpreter.definitions.packed import pack, unpack
from interpreter.definitions.store import is_number
from interpreter.errors import Answered, ChildFailure, Fault, StepError, from_child, not_undone
from interpreter.evaluation import evaluate
from interpreter.headers import Lineage
from interpreter.nodes import Node, Place
from interpreter.payloads import LARGEST_STORED, payload, value_of
from interpreter.saga import LONGEST_UNDO, Entry, Undo, check_undone
from interpreter.scope import Act, Rec
from interpreter.steps.acting import ActingNode

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["DEEPEST", "UNDO", "UNDONE", "WorkflowNode"]

DEEPEST = 32
"""How many levels of definitions may call one another."""
UNDO = "temporal-dsl-undo"
"""What in the metadata of a result is needed to undo the child that gave it."""
UNDONE = "dsl.undone"
"""The name of the local activity that says whether a child undid what it had done."""
_NONE: dict[str, Any] = {}
_CANCELLED = "the child workflow was cancelled"


@dataclass(frozen=True, slots=True)
class _Call:
    """A child that is to be run, and with which arguments."""

    child: Child
    given: Any


class WorkflowNode(ActingNode):
    """A child workflow.

    A child that completed may bring along what is needed to undo it, in the metadata of its
    result. Where the step has no `compensate` that is kept in the saga log, and sent to another
    child of the same type which does it.
    """

    kind: ClassVar[str] = "workflow"
    waits: ClassVar[bool] = True
    keeps: ClassVar[tuple[str, ...]] = ("child",)

    def __init__(
        self, step: WorkflowStep, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.workflow = step.workflow
        self.chosen = compiler.template(step.workflow) if step.one_of else None
        self.one_of = tuple(step.one_of)
        self.positional = step.args is not None
        given = step.args if self.positional else step.with_ or _NONE
        self.arguments = compiler.template(given)
        self.id_given = compiler.template(step.workflow_id) if step.workflow_id else None
        self.task_queue = compiler.template(step.task_queue) if step.task_queue else None
        self.revision = compiler.template(step.revision) if step.revision is not None else None
        self.detached = step.detached is True
        if self.undo is None:
            self.undo = Undo(self._undo, (), (), False, True, False, compiler.undoing.on_failure)

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution
        entry: Entry | None = rec.kept("entry")
        given: Any = rec.kept("given")
        try:
            while True:
                if rec.keeps("suspended"):
                    await execution.suspend(act, rec, rec.kept("suspended"))
                    rec.release("suspended")
                if execution.parks:
                    await execution.park(act, rec)
                act.token.check()
                try:
                    call = await self._call(act, rec)
                    given = call.given
                    size = execution.program.budget.sent(call.child.sent)
                    await execution.admit(act, rec, size)
                    entry = self.registered(act, rec, given, entry)
                    return await self._child(act, rec, call.child, entry)
                except Fault as fault:
                    entry = self.refused(entry, fault)
                    rec.keep("entry", entry)
                    rec.keep("given", given)
                    rec.keep("suspended", fault)
        except Answered as answered:
            if answered.done:
                # Somebody acted by hand: it is undone like any act.
                entry = self.registered(act, rec, given, entry)
                self.completed(act, entry, answered.output)
            raise

    async def _call(self, act: Act, rec: Rec) -> _Call:
        """What is to be run, as the step says it now."""
        execution = act.execution
        type = self.workflow
        if self.chosen is not None:
            type = await evaluate(act, rec, self.chosen)
            if type not in self.one_of:
                shown = ", ".join(self.one_of)
                raise Fault("ExpressionFailed", f"the workflow {type!r} is none of {shown}")
        given = await evaluate(act, rec, self.arguments)
        values = cast("list[Any]", given) if self.positional else [given]
        if "asked" in rec.kept("child", _NONE):
            await self._ask(rec)
        options = await self._options(act, rec, type)
        if options:
            values = [*values, options]
        depth = execution.origin.depth + 1
        if depth > DEEPEST:
            message = f"more than {DEEPEST} definitions have called one another"
            raise Fault("LimitExceeded", message)
        before: dict[str, Any] = rec.kept("child", _NONE)
        again = before.get("again", 0)
        root = f"{execution.origin.keys}/{rec.tried}" + (f"+{again}" if again else "")
        most = execution.program.budget.largest
        sent = [payload(value, "the input", most) for value in values]
        id = child_id(rec.tried)
        if self.id_given is not None:
            id = await evaluate(act, rec, self.id_given)
            if not isinstance(id, str):
                raise Fault("ExpressionFailed", f"the id must be a text, is {id!r:.60}")
        queue = await evaluate(act, rec, self.task_queue) if self.task_queue else None
        summary = self.description or rec.path
        queue = None if queue is None else str(queue)
        child = Child(
            type,
            id,
            sent,
            summary,
            queue,
            Lineage(root, depth, not (self.detached or self.compensates)),
        )
        child.check()
        rec.child = id
        return _Call(child, given)

    async def _ask(self, rec: Rec) -> None:
        """Finds out whether a child that was cancelled, before the redrive, undid what it did."""
        before: dict[str, Any] = rec.kept("child")
        undone: bool | None = await workflow.execute_local_activity(
            UNDONE,
            args=[rec.child, before["asked"]],
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=5),
        )
        if undone is None:
            why = f"whether {rec.child} undid what it had done is not known any more"
            raise Fault("NotRedrivable", f"{why}: say `skip`, `resolve` or `fail`")
        rec.keep("child", {"again": before["again"] + undone})

    async def _options(self, act: Act, rec: Rec, type: str) -> dict[str, Any]:
        """Argument 2 for a definition: which revision, and what it takes up."""
        options: dict[str, Any] = {}
        program = act.execution.program
        if self.revision is not None:
            revision = await evaluate(act, rec, self.revision)
            named = isinstance(revision, str) and not revision.isdecimal()
            options["alias" if named else "revision"] = str(revision)
        elif type == program.name and is_number(program.revision) and not self.positional:
            options["revision"] = program.revision
        before: dict[str, Any] = rec.kept("child", _NONE)
        if "run_id" in before:
            options["redrive"] = before["run_id"]
        return options

    async def _child(self, act: Act, rec: Rec, child: Child, entry: Entry | None) -> Any:
        """Runs it, waits until it settled, and notes in the saga log how."""
        try:
            if self.detached:
                run_id = await child.start(act)
                output = {"workflow_id": child.id, "run_id": run_id}
                self.completed(act, entry, output)
                return output
            result = await child.result(act)
        except WorkflowAlreadyStartedError:
            if entry is not None:
                entry.group.remove(entry)
                rec.release("entry")
            details = {"workflow_id": child.id}
            message = f"there is a workflow with the id {child.id} already"
            raise StepError("WorkflowAlreadyStarted", message, details) from None
        except ChildWorkflowError as error:
            failure = from_child(error)
            if isinstance(failure, Fault):
                raise failure from None
            self._failed(act, rec, entry, failure)
        try:
            output = value_of(result)
        except ValueError as error:
            message = f"the result of {child.type} is no JSON: {error}"
            raise Fault("InvalidResult", message, ran=True) from None
        self.completed(act, entry, output)
        log = result.metadata.get(UNDO)
        if log is not None and not self.compensates:
            self._register_undo(act, rec, child, json.loads(log))
        return output

    def _failed(self, act: Act, rec: Rec, entry: Entry | None, failure: ChildFailure) -> NoReturn:
        """Notes that a child did not complete; and how it is taken up where the run is redriven."""
        before: dict[str, Any] = rec.kept("child", _NONE)
        if failure.status == "failed":
            rec.keep("child", {"run_id": failure.run_id, "again": before.get("again", 0)})
        elif failure.status == "cancelled":  # whether anything was undone it could not say
            again = before.get("again", 0)
            rec.keep("child", {"asked": failure.run_id, "again": again})
        elif failure.status is not None:  # what it did was undone: it would be another act
            rec.keep("child", {"status": failure.status, "again": before.get("again", 0) + 1})
        stuck = not_undone(failure.saga)
        if stuck is not None and not self.compensates:
            self._register(act, rec, {"stuck": f"{stuck} by {rec.child}"}, "failed")
        stop = act.token.stop
        error = failure.error
        if entry is not None and error is None and stop is not None:
            entry.status = "cancelled"
            entry.error = stop.error().data()
        elif entry is not None:
            entry.status = "timed_out" if error is not None and error.timed_out else "failed"
            entry.error = (error or StepError("Cancelled", _CANCELLED)).data()
        act.token.check()  # what was stopped ends stopped
        raise error or StepError("Cancelled", _CANCELLED)

    # Undoing a child that completed.

    def _register_undo(self, act: Act, rec: Rec, child: Child, log: dict[str, str]) -> None:
        """Notes how a child is undone that says so itself."""
        assert self.undo is not None
        # Of many children there are many logs, and one definition.
        pinned = sys.intern(log["pinned"])
        kept = {"type": child.type, "queue": child.task_queue, **log, "pinned": pinned}
        self._register(act, rec, kept, "completed")

    def _register(self, act: Act, rec: Rec, kept: dict[str, Any], status: str) -> None:
        assert self.undo is not None
        entry = Entry(self, self.undo, act, rec.path, kept)
        entry.status = status
        act.group.members.append(entry)

    async def _undo(self, act: Act) -> None:
        """Has a child undone, by another one of its type."""
        step: dict[str, Any] = act.lookup("step")
        kept: dict[str, Any] = step["input"]
        if "stuck" in kept:  # what it did it could not undo by itself
            raise StepError("CompensationFailed", kept["stuck"])
        prefix = act.prefix.removesuffix(".")
        rec = act.recs["undo"] = Rec(self, prefix)
        execution = act.execution
        deadline = act.token.deadline
        seconds = LONGEST_UNDO if deadline is None else max(1.0, deadline - execution.clock())
        undo = {"error": act.lookup("error"), "seconds": seconds}
        undo |= {"pinned": kept["pinned"], "log": _without(kept["log"], kept.get("done", []))}
        while True:
            act.token.check()
            try:
                most = execution.program.budget.largest
                sent = [payload({}, "the input"), payload({"undo": undo}, "the undoing", most)]
                child = Child(kept["type"], child_id(prefix), sent, "", kept["queue"])
                child.check()
                await execution.admit(act, rec, execution.program.budget.sent(sent))
                try:
                    answer = value_of(await child.result(act))
                except WorkflowAlreadyStartedError:
                    message = f"there is a workflow with the id {child.id} already"
                    raise Fault("LimitExceeded", message) from None
                except ChildWorkflowError as error:
                    failure = from_child(error)
                    if isinstance(failure, Fault):
                        raise failure from None
                    raise failure.error or StepError("Cancelled", _CANCELLED) from None
                break
            except Fault as fault:
                try:
                    await execution.suspend(act, rec, fault, always=True)
                except Answered as answered:
                    rec.status = "completed" if answered.done else "skipped"
                    return
        kept["done"] = kept.get("done", []) + _done(answer["saga"])
        rec.status = "completed" if check_undone(answer["saga"]) else "skipped"


def _done(saga: list[dict[str, Any]]) -> list[str]:
    """The paths of what a child has undone."""
    return [one["step"] for one in saga if one["compensation"] == "compensated"]


def _without(log: str, done: list[str]) -> str:
    """What is needed to undo a child, where some of it was undone already."""
    if not done:
        return log
    content = json.loads(unpack(log, LARGEST_STORED))
    state = json.loads(unpack(content["state"], LARGEST_STORED))
    gone = {index for index, entry in enumerate(state["entries"]) if entry["path"] in done}
    for group in state["groups"]:
        group[2] = [one for one in group[2] if one.get("entry") not in gone]
    content["state"] = pack(json.dumps(state, ensure_ascii=False))
    return pack(json.dumps(content, ensure_ascii=False))
