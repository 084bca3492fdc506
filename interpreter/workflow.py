"""The one workflow that runs every definition. Its Workflow Type is the definition's name."""

from __future__ import annotations

import asyncio
import collections.abc
import json
import logging
import threading
import time
from datetime import timedelta
from typing import Any, cast

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from dsl.diagnostics import did_you_mean
from dsl.expressions import ExpressionError
from dsl.model.definition import Definition, canonical
from interpreter import operators
from interpreter.checkpoint import MOST_PACKED, Writer, packed, restore
from interpreter.definitions.packed import MOST_UNPACKED, unpack
from interpreter.definitions.resolver import ENGINE, RESOLVE
from interpreter.details import Shown, table
from interpreter.errors import REFUSED, Fault, StepError, legible
from interpreter.execution import Execution, GoesOn, Origin
from interpreter.handlers import refusal, unknown_update
from interpreter.headers import Lineage, lineage, without_storage
from interpreter.journal import journal
from interpreter.logs import log
from interpreter.messages import Mailbox
from interpreter.payloads import (
    INLINE,
    LARGEST_STORED,
    MAX_BYTES,
    NAME_STORAGE,
    Budget,
    payload,
    value_of,
)
from interpreter.program import Program
from interpreter.redriver import REDRIVE, TAKE_UP
from interpreter.revising import STATE, NotRedrivable, reopened, revised
from interpreter.status import status
from interpreter.steps.batch import SliceNode
from interpreter.steps.workflow import UNDO

__all__ = ["DslWorkflow", "forget_programs"]

_CACHED = 1000
_QUERIES = ("status", "definition", "journal")
"""What every run can be asked."""
_MOST_REPORTED = 200
"""How many entries of the saga log a failure carries. `status` has them all."""
_OF_A_RUN = frozenset(("input", "search_attributes"))
"""What stands in a marker beside the definition, and may be another in the next run."""
_changing = threading.Lock()  # workers that are not ours give each task to a thread
_by_text: dict[bytes, Program] = {}
_by_digest: dict[tuple[str, str, int | None, Budget], Program] = {}


def _program(pinned: bytes) -> tuple[Program, dict[str, Any] | None]:
    """The compiled definition of a marker; with its content where it had to be read."""
    program = _by_text.get(pinned)
    if program is not None:
        return program, None
    content = json.loads(pinned)
    if content["engine"] > ENGINE:
        # Not the run's fault: fail the task, a newer worker will take it.
        raise RuntimeError(f"this run needs engine {content['engine']}, this worker has {ENGINE}")
    budget = Budget(*content["payloads"]) if "payloads" in content else INLINE
    key = (content["digest"], content["revision"], content.get("continue_after"), budget)
    program = _by_digest.get(key)
    if program is None:
        definition = Definition.model_validate(content["definition"])
        program = _keep(_by_digest, key, Program(definition, *key))
    if not content.keys() & _OF_A_RUN:
        _keep(_by_text, pinned, program)
    return program, content


def _keep(cache: dict[Any, Program], key: Any, program: Program) -> Program:
    with _changing:
        if len(cache) >= _CACHED:
            del cache[next(iter(cache))]
        cache[key] = program
    return program


def forget_programs() -> None:
    """Empties the cache of compiled definitions."""
    _by_text.clear()
    _by_digest.clear()


@workflow.defn(dynamic=True, sandboxed=False)
class DslWorkflow(Shown):
    """Runs the definition that its Workflow Type names.

    Argument 1 is the input. Argument 2 is the interpreter's own: `{revision}` or `{alias}`, and
    `{redrive}`, the id of the run that failed, to go on where that one did.
    """

    def __init__(self) -> None:
        self._mailbox = Mailbox()
        self._execution: Execution | None = None
        self._cancelled = False
        self.root: str | None = None
        """The root of idempotency keys, where the run goes on as new or is a child."""
        self._lineage = Lineage()
        self._refused: ApplicationError | None = None
        self._args: collections.abc.Sequence[RawValue] = ()
        self._pinned = b""
        self._revised: tuple[bytes, Program] | None = None
        """The revision that it is to go on under."""

    @property
    def begun(self) -> bool:
        """Whether it is known what it is, and with which root of idempotency keys."""
        return self._execution is not None

    @workflow.run
    async def run(self, args: collections.abc.Sequence[RawValue]) -> Any:
        """Runs the definition; gives its output.

        Raises:
            ApplicationError: of the type of the error that left the definition. Its details
                are those of the error, and `{status, step, saga}`.
            CancelledError: if it was cancelled, after everything was undone.
        """
        execution, wanted = await self._begin(args)
        self._execution = execution
        execution.start(self._write)
        try:
            output = await self._ended(execution)
        except GoesOn as goes_on:
            checkpoint = {
                "from": workflow.info().run_id,
                "wanted": wanted,
                "pinned": (self._pinned if self._revised is None else self._revised[0]).decode(),
                "root": self._root(),
                "state": goes_on.state,
            }
            if execution.origin.depth:
                checkpoint |= {"depth": execution.origin.depth, "leaves": execution.origin.leaves}
            if isinstance(execution.root, SliceNode):
                checkpoint["slice"] = execution.root.address
            workflow.continue_as_new(args=[*self._args, {"checkpoint": checkpoint}])
        error = execution.error
        if execution.status == "completed":
            return self._undoable(execution, output)
        saga = execution.saga[-_MOST_REPORTED:]
        report: dict[str, Any] = {"status": execution.status, "saga": saga}
        if isinstance(execution.root, SliceNode):
            report |= {"saga": execution.saga, "state": execution.left}
            if error is None and (execution.left is not None or saga):
                error = StepError("Cancelled", "the slice was cancelled")  # and what it leaves
        if error is None and (execution.status == "cancelled" or workflow.info().parent is None):
            raise CancelledError("cancelled")
        if error is None:  # a cancelled child can say nothing, and its parent must know
            error = StepError("Cancelled", "it was cancelled, and could not undo all it had done")
        report["step"] = error.step
        if error.final:
            report["final"] = True
        raise ApplicationError(
            error.message, error.details, report, type=error.type, non_retryable=True
        )

    def _undoable(self, execution: Execution, output: Any) -> Any:
        """The output; and beside it, where a parent may have it undone, what is needed for that."""
        if execution.left is None or execution.origin.part is not None:
            return output
        result = payload(output, "the output", execution.program.budget.largest)
        result.payload.metadata[UNDO] = execution.left.encode()
        return result

    async def _begin(
        self, args: collections.abc.Sequence[RawValue]
    ) -> tuple[Execution, dict[str, str] | None]:
        """The run as its arguments say; and the revision or alias that was asked for."""
        try:
            value, options = (_decode(arg) for arg in (*args, None, None)[:2])
            given, options = _given(options)
            redriven, options = _redriven(options)
            wanted = _wanted(options)
        except ValueError as error:
            message = f"the input cannot be read: {legible(str(error), 500)}"
            raise await self._refuse(refusal(message, "InvalidInput")) from None
        if redriven is not None:
            given = json.loads(await self._redrive(redriven, wanted))
        if given is not None and "input" in given:
            value = given["input"]
            args = [payload(value, "the input")]
        self._args = args[:1] or [payload({}, "the input")]
        self._lineage = lineage()
        self.root = self._lineage.root
        if given is None:
            self._pinned = await self._pin(wanted)
        else:
            self.root = given["root"]
            depth = given.get("depth", self._lineage.depth)
            self._lineage = Lineage(self.root, depth, given.get("leaves", self._lineage.leaves))
            self._pinned = given["pinned"].encode()
        program, content = _program(self._pinned)
        if program.budget.stored_from is not None and without_storage.get():
            # It would send what it takes for stored: fail the task, another worker will take it.
            raise RuntimeError(f"this run needs external storage. {NAME_STORAGE}")
        if content is not None:
            value = content.get("input", value)
        if given is not None and "redrive" in given:
            given |= await self._taken_up(given["redrive"])
        execution = self._made(program, value, given or {})
        if content is not None:
            execution.attribute_types = content.get("search_attributes", {})
        return execution, wanted

    def _made(self, program: Program, value: Any, given: dict[str, Any]) -> Execution:
        """The run, from its beginning or from where it stood."""
        address: str | None = given.get("slice")
        part = None if address is None else program.places[address]
        assert part is None or isinstance(part, SliceNode)
        undo: dict[str, Any] | None = given.get("undo")
        about = self._lineage
        origin = Origin(self._pinned, self._root(), part, about.depth, about.leaves, undo)
        if "state" in given:
            execution = restore(program, value, self._mailbox, given["state"], origin)
        else:
            known = given.get("workflow")
            execution = Execution(program, value, self._mailbox, origin, known)
        if part is not None:
            part.begin(execution.rec, given)
        return execution

    def _root(self) -> str:
        return self.root or workflow.info().original_execution_run_id

    def _write(self, execution: Execution) -> str | None:
        """Writes the run down, under the revision that it is to go on under."""
        if self._revised is None:
            state = packed(Writer(execution).data(), *self._room(execution, self._pinned))
        else:
            pinned, program = self._revised
            state, conflicts = revised(execution, program, self._room(execution, pinned))
            if state is None:  # something was done since it was looked at
                self._revised = None
                why = "; ".join(map(str, conflicts)) or "it is too large to go on as new"
                log(execution, logging.ERROR, "not resumed: %s", why)
                return None
        if state is None:
            log(execution, logging.WARNING, "too large to go on as new; it will be tried again")
        return state

    def _room(self, execution: Execution, pinned: bytes) -> tuple[int, int]:
        """How large the state of a run may be, packed and as it is: it is sent with its input."""
        budget = execution.program.budget
        if budget.stored_from is not None:
            return budget.largest // 2, budget.largest
        beside = budget.sent(self._args) + len(json.dumps(pinned.decode()))
        return min(MOST_PACKED, MAX_BYTES - beside), MOST_UNPACKED

    async def _pin(self, wanted: dict[str, str] | None) -> bytes:
        """Which definition, by value."""
        return await self._first(self._resolve(wanted))

    async def _redrive(self, run_id: str, wanted: dict[str, str] | None) -> bytes:
        """The state of the run that failed, and under which definition it goes on."""
        asked = workflow.execute_activity(
            REDRIVE,
            args=[run_id, wanted],
            result_type=RawValue,
            start_to_close_timeout=timedelta(seconds=60),
        )
        return await self._first(asked)

    async def _taken_up(self, run_id: str) -> dict[str, Any]:
        """What a slice had done that did not complete; nothing where that is gone."""
        asked = workflow.execute_activity(
            TAKE_UP,
            args=[run_id, self._pinned.decode()],
            result_type=RawValue,
            start_to_close_timeout=timedelta(seconds=60),
        )
        found = json.loads(await self._first(asked))
        return found if found["state"] is not None else {}

    def _resolve(self, wanted: dict[str, str] | None) -> collections.abc.Awaitable[RawValue]:
        return workflow.execute_local_activity(
            RESOLVE,
            args=[workflow.info().workflow_type, wanted, *self._args],
            result_type=RawValue,
            start_to_close_timeout=timedelta(seconds=10),
        )

    async def _first(self, asked: collections.abc.Awaitable[RawValue]) -> bytes:
        """The answer without which the run does not begin."""
        try:
            pinned = await asked
        except ActivityError as error:
            if not isinstance(error.cause, ApplicationError):
                self._mailbox.turn_away(refusal("the run did not begin", "Ending"))
                raise
            raise await self._refuse(error.cause) from None
        except ApplicationError as error:
            raise await self._refuse(error) from None
        return pinned.payload.data

    async def _refuse(self, error: ApplicationError) -> ApplicationError:
        """Notes why there is no run; updates that wait for it are told the same."""
        report = {"status": REFUSED}  # for the run that it is a child of
        error = ApplicationError(error.message, None, report, type=error.type, non_retryable=True)
        self._refused = error
        if self._mailbox.turn_away(error):
            await asyncio.sleep(0)  # they answer before the run ends
        return error

    async def _ended(self, execution: Execution) -> Any:
        """Waits for the end. This is the only task that asyncio ever cancels."""
        while True:
            try:
                return await asyncio.shield(execution.done)
            except asyncio.CancelledError:
                # A worker that evicts the run cancels too, without a reason.
                if self._cancelled or workflow.cancellation_reason() is None:
                    raise
                self._cancelled = True
                execution.token.cancel("cancel")

    @workflow.signal(dynamic=True)
    async def _signal(self, name: str, args: collections.abc.Sequence[RawValue]) -> None:
        size = len(args[0].payload.data) if args else 0
        execution = self._execution
        if execution is not None:
            execution.received(size)
        given: Any = None
        handled = False
        try:
            given = _decode(args[0]) if args else None
        except ValueError as error:  # it must not fail the task
            self._mailbox.refuse(name, legible(str(error), 200))
        else:
            handled = self._mailbox.deliver(name, given, size)
        if execution is None:
            return
        if not handled:
            execution.wake(("signal", name))
            execution.took()
        elif execution.handlers is not None:
            await execution.handlers.signalled(name, given)

    @workflow.update(dynamic=True)
    async def _update(self, name: str, args: collections.abc.Sequence[RawValue]) -> Any:
        given = _decode(args[0]) if args else None
        execution = self._execution
        if execution is None:
            await self._mailbox.waiter()
        elif execution.handlers is not None and not execution.handlers.opened:
            await execution.handlers.waiter()
        else:
            assert execution.handlers is not None  # the validator saw to it
            return _answer_of(execution, await execution.handlers.update(name, given))
        assert self._execution is not None and self._execution.handlers is not None
        handlers = self._execution.handlers
        handlers.check(name, given)
        return _answer_of(self._execution, await handlers.update(name, given))

    @_update.validator
    def _check_update(self, name: str, args: collections.abc.Sequence[RawValue]) -> None:
        try:
            given = _decode(args[0]) if args else None
        except ValueError as error:
            raise refusal(f"the payload cannot be read: {error}", "InvalidPayload") from None
        if self._refused is not None:
            raise refusal("the run did not begin", "Ending")
        if self._execution is None:
            return  # it is looked at when the definition is known
        handlers = self._execution.handlers
        if handlers is None:
            raise unknown_update(name, {})
        if handlers.opened:
            handlers.check(name, given)

    @workflow.update(name=operators.ANSWER)
    def _answer(self, request: RawValue) -> dict[str, Any]:
        assert self._execution is not None  # the validator saw to it
        return {"answered": operators.give(self._execution, operators.read(_decode(request)))}

    @_answer.validator
    def _check_answer(self, request: RawValue) -> None:
        try:
            operators.accept(self._execution, operators.read(_decode(request)))
        except ValueError as error:
            raise ApplicationError(str(error), type="NotSuspended", non_retryable=True) from None

    @workflow.update(name=operators.RESUME)
    async def _resume(self, request: RawValue) -> dict[str, Any]:
        execution = self._begun()
        resumption = operators.read_resumption(_decode(request))
        pinned = (await self._resolve(resumption.wanted)).payload.data
        program, _ = _program(pinned)
        try:
            operators.accept_resumption(execution)
        except ValueError as error:  # it was answered meanwhile
            raise refusal(str(error), "NotSuspended") from None
        if program.digest == execution.program.digest:
            text = f"it runs revision {execution.program.revision} already: answer `retry`"
            raise refusal(text, "NotResumable")
        state, conflicts = revised(execution, program, self._room(execution, pinned))
        if conflicts:
            text = f"revision {program.revision} does not fit what it has done"
            raise refusal("\n".join([text, *map(str, conflicts)]), "NotResumable")
        if state is None:
            raise refusal("its state is too large to go on as new", "NotResumable")
        self._revised = (pinned, program)
        steps = operators.note_resumption(execution, resumption)
        execution.go_on()
        return {"steps": steps, "revision": program.revision}

    @_resume.validator
    def _check_resume(self, request: RawValue) -> None:
        try:
            operators.read_resumption(_decode(request))
            operators.accept_resumption(self._execution)
        except ValueError as error:
            raise refusal(str(error), "NotSuspended") from None

    @workflow.query(dynamic=True)
    def _query(self, name: str, args: collections.abc.Sequence[RawValue]) -> RawValue:
        execution = self._begun()
        template = execution.program.queries.get(name)
        if template is None:
            known = (*execution.program.queries, *_QUERIES)
            there = ", ".join(f"`{one}`" for one in known)
            hint = did_you_mean(name, known)
            hint = f"; {hint}" if hint else ""
            raise refusal(f"there is no query `{name[:100]}`{hint}; there are {there}", "NoQuery")
        act = execution.handlers.seen() if execution.handlers is not None else None
        if act is None:
            raise refusal("the run has not begun yet", "NotBegun")
        try:
            return _answer_of(execution, template.evaluate(act))
        except (ExpressionError, Fault) as error:
            text = f"`{name}` cannot be answered: {error}"
            raise refusal(text, "ExpressionFailed") from None

    @workflow.query(name="definition")
    def _definition(self) -> RawValue:
        program = self._begun().program
        about = {"name": program.name, "revision": program.revision, "digest": program.digest}
        content = json.loads(canonical(program.definition))
        return payload(about | {"definition": content}, "the definition")

    @workflow.query(name="journal")
    def _journal(self) -> RawValue:
        execution = self._begun()
        return _answer_of(execution, journal(execution), "the journal")

    @workflow.query(name=STATE)
    def _state(self, part: bool = False) -> RawValue:
        execution = self._begun()
        try:
            state = reopened(execution, part=part)
        except NotRedrivable as error:
            raise refusal(str(error), "NotRedrivable") from None
        about = {
            "root": self._root(),
            "pinned": self._pinned.decode(),
            "input": execution.act.lookup("input"),
            "state": state,
        }
        return _answer_of(execution, about, "the state")

    def _begun(self) -> Execution:
        """The run, for a query about it."""
        if self._execution is None:
            why = "has not begun yet" if self._refused is None else "did not begin"
            raise refusal(f"the run {why}", "NotBegun")
        return self._execution

    def details(self) -> str:
        """See `Shown.details`."""
        # Nothing of the run comes of it, so it may know how late it is.
        return table(self._status(), time.time())

    @workflow.query(name="status")
    def _status(self) -> dict[str, Any]:
        if self._execution is not None:
            return status(self._execution)
        state: dict[str, Any] = {"definition": workflow.info().workflow_type, "steps": []}
        if self._refused is None:
            cancelled = workflow.cancellation_reason() is not None
            return state | {"status": "cancelled" if cancelled else "pending"}
        error = {"type": self._refused.type, "message": self._refused.message}
        return state | {"status": "failed", "error": error}


def _answer_of(execution: Execution, value: Any, what: str = "the answer") -> RawValue:
    return payload(value, what, execution.program.budget.largest)


def _decode(value: RawValue | None) -> Any:
    """The value of an argument; an empty object where there is none."""
    if value is None:
        return {}
    return value_of(value.payload)


def _given(options: Any) -> tuple[dict[str, Any] | None, Any]:
    """What argument 2 brings from another run, where it comes from that run itself; and the rest.

    A run that goes on as new brings its checkpoint, and one that divides a `foreach` what its
    children need. Nobody else may bring one; and a cron's next run has the argument of the last,
    but begins anew.
    """
    info = workflow.info()
    match options:
        case {"checkpoint": {"from": sender, **given}} if info.continued_run_id is not None:
            wanted: Any = given.pop("wanted")
            return (given if sender == info.continued_run_id else None), wanted
        case {"slice": dict()} if info.parent is not None:
            return cast("dict[str, Any]", options["slice"]), None
        case {"undo": {"log": str(log), "pinned": str(pinned), **undo}} if info.parent is not None:
            own = json.loads(unpack(log, LARGEST_STORED))
            return own | {"pinned": unpack(pinned, LARGEST_STORED), "undo": undo}, None
        case _:
            return None, options


def _redriven(options: Any) -> tuple[str | None, Any]:
    """Which run argument 2 asks to take up, and the rest of it."""
    if not isinstance(options, dict):
        return None, options
    rest = dict(cast("dict[str, Any]", options))
    if "redrive" not in rest:
        return None, rest
    run_id = rest.pop("redrive")
    if not isinstance(run_id, str):
        raise ValueError("`redrive` must be the id of a run")
    return run_id, rest


def _wanted(options: Any) -> dict[str, str] | None:
    """The revision or the alias that argument 2 asks for."""
    if options == {} or options is None:
        return None
    if not isinstance(options, dict):
        raise ValueError("argument 2 must be an object with a revision or an alias")
    given = cast("dict[str, Any]", options)
    match given:
        case {"revision": int(number), **rest} if not rest and not isinstance(number, bool):
            return {"revision": str(number)}
        case {"revision": str(revision), **rest} if not rest:
            return {"revision": revision}
        case {"alias": str(alias), **rest} if not rest:
            return {"alias": alias}
        case _:
            raise ValueError("argument 2 must be {revision} or {alias}")
