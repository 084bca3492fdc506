"""The one workflow that runs every definition. Its Workflow Type is the definition's name."""

from __future__ import annotations

import asyncio
import collections.abc
import json
from datetime import timedelta
from typing import Any, cast

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from dsl.model.definition import Definition
from interpreter import operators
from interpreter.checkpoint import restore, write
from interpreter.definitions.resolver import ENGINE, RESOLVE
from interpreter.errors import legible
from interpreter.execution import Execution, GoesOn
from interpreter.messages import Mailbox
from interpreter.payloads import value_of
from interpreter.program import Program
from interpreter.status import status

__all__ = ["DslWorkflow", "forget_programs"]

_CACHED = 1000
_MOST_REPORTED = 200
"""How many entries of the saga log a failure carries. `status` has them all."""
_by_text: dict[bytes, Program] = {}
_by_digest: dict[tuple[str, str, int | None], Program] = {}


def _program(pinned: bytes) -> tuple[Program, dict[str, Any] | None]:
    """The compiled definition of a marker; with its content where it had to be read."""
    program = _by_text.get(pinned)
    if program is not None:
        return program, None
    content = json.loads(pinned)
    if content["engine"] > ENGINE:
        # Not the run's fault: fail the task, a newer worker will take it.
        raise RuntimeError(f"this run needs engine {content['engine']}, this worker has {ENGINE}")
    key = (content["digest"], content["revision"], content.get("continue_after"))
    program = _by_digest.get(key)
    if program is None:
        definition = Definition.model_validate(content["definition"])
        program = _keep(_by_digest, key, Program(definition, *key))
    if "input" not in content:
        _keep(_by_text, pinned, program)
    return program, content


def _keep(cache: dict[Any, Program], key: Any, program: Program) -> Program:
    if len(cache) >= _CACHED:
        del cache[next(iter(cache))]
    cache[key] = program
    return program


def forget_programs() -> None:
    """Empties the cache of compiled definitions."""
    _by_text.clear()
    _by_digest.clear()


@workflow.defn(dynamic=True, sandboxed=False)
class DslWorkflow:
    """Runs the definition that its Workflow Type names.

    Argument 1 is the input. Argument 2 is the interpreter's own: `{revision}` or `{alias}`.
    """

    def __init__(self) -> None:
        self._mailbox = Mailbox()
        self._execution: Execution | None = None
        self._cancelled = False
        self.root: str | None = None
        """The root of idempotency keys, where the run goes on as new."""
        self._refused: ApplicationError | None = None

    @workflow.run
    async def run(self, args: collections.abc.Sequence[RawValue]) -> Any:
        """Runs the definition; gives its output.

        Raises:
            ApplicationError: of the type of the error that left the definition. Its details
                are those of the error, and `{status, step, saga}`.
            CancelledError: if it was cancelled, after everything was undone.
        """
        try:
            value, options = (_decode(arg) for arg in (*args, None, None)[:2])
            checkpoint = _checkpoint(options)
            wanted = None if checkpoint else _wanted(options)
        except ValueError as error:
            message = f"the input cannot be read: {legible(str(error), 500)}"
            self._refused = ApplicationError(message, type="InvalidInput", non_retryable=True)
            raise self._refused from None
        if checkpoint is None:
            pinned = await self._pin(args, wanted)
            program, content = _program(pinned)
            if content is not None and "input" in content:
                value = content["input"]
            execution = Execution(program, value, self._mailbox)
        else:
            self.root = checkpoint["root"]
            pinned = checkpoint["pinned"].encode()
            program, content = _program(pinned)
            if content is not None and "input" in content:
                value = content["input"]
            execution = restore(program, value, self._mailbox, checkpoint["state"])
        self._execution = execution
        execution.start(write)
        try:
            output = await self._ended(execution)
        except GoesOn as goes_on:
            checkpoint = {
                "pinned": pinned.decode(),
                "root": self.root or workflow.info().original_execution_run_id,
                "state": goes_on.state,
            }
            workflow.continue_as_new(args=[*(args[:1] or [{}]), {"checkpoint": checkpoint}])
        if execution.status == "completed":
            return output
        error = execution.error
        if error is None:
            raise CancelledError("cancelled")
        saga = execution.saga[-_MOST_REPORTED:]
        report = {"status": execution.status, "step": error.step, "saga": saga}
        raise ApplicationError(
            error.message, error.details, report, type=error.type, non_retryable=True
        )

    async def _pin(
        self, args: collections.abc.Sequence[RawValue], wanted: dict[str, str] | None
    ) -> bytes:
        """Which definition, by value."""
        try:
            pinned: RawValue = await workflow.execute_local_activity(
                RESOLVE,
                args=[workflow.info().workflow_type, wanted, *args[:1]],
                result_type=RawValue,
                start_to_close_timeout=timedelta(seconds=10),
            )
        except ActivityError as error:
            if not isinstance(error.cause, ApplicationError):
                raise
            self._refused = error.cause
            raise error.cause from None
        except ApplicationError as error:
            self._refused = error
            raise
        return pinned.payload.data

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
    def _signal(self, name: str, args: collections.abc.Sequence[RawValue]) -> None:
        try:
            payload = _decode(args[0]) if args else None
        except ValueError as error:  # it must not fail the task
            self._mailbox.refuse(name, legible(str(error), 200))
            return
        self._mailbox.deliver(name, payload)
        if self._execution is not None:
            self._execution.wake(("signal", name))

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


def _decode(value: RawValue | None) -> Any:
    """The value of an argument; an empty object where there is none."""
    if value is None:
        return {}
    return value_of(value.payload)


def _checkpoint(options: Any) -> dict[str, Any] | None:
    """What argument 2 of a run that goes on as new brings."""
    if isinstance(options, dict) and "checkpoint" in options:
        return cast("dict[str, Any]", options["checkpoint"])
    return None


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
