"""Taking up a run that failed: its state, and under which definition it goes on.

It is an activity of the new run, and its result in the history is all that a replay needs. The
state comes from the run itself, which is asked for it: nobody can bring another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from interpreter.checkpoint import packed
from interpreter.definitions.packed import unpack
from interpreter.definitions.resolver import Resolver
from interpreter.payloads import LARGEST_STORED, written
from interpreter.program import Program
from interpreter.revising import STATE, NotRedrivable, adopt, program_of
from interpreter.steps.workflow import UNDONE

__all__ = ["REDRIVE", "TAKE_UP", "Redriver", "failed_state", "fitted", "under"]

REDRIVE = "dsl.redrive"
TAKE_UP = "dsl.take_up"
"""The names of the activities: for a run, and for a slice of one."""
_PATIENCE = timedelta(seconds=20)


class Redriver:
    """Takes up runs that failed.

    Args:
        resolver: Answers for their definitions.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.redrive, self.take_up, self.undone]

    @activity.defn(name=REDRIVE)
    async def redrive(self, run_id: str, wanted: dict[str, str] | None) -> RawValue:
        """The state of a run of the same workflow id that failed.

        Args:
            run_id: Its id.
            wanted: `{revision}` or `{alias}`, where it is to go on under another definition.

        Returns:
            `{root, pinned, input, state}`.

        Raises:
            ApplicationError: `NotRedrivable`, `UnknownDefinition` or `InvalidInput`, not to be
                tried again.
        """
        info = activity.info()
        assert info.workflow_id is not None and info.workflow_type is not None
        try:
            given = await failed_state(
                activity.client(),
                info.workflow_id,
                run_id,
                info.workflow_type,
                info.workflow_run_id,
            )
            if wanted is not None:
                resolved = await self._resolver.resolve(info.workflow_type, wanted, given["input"])
                given = under(given, resolved.payload.data)
        except NotRedrivable as error:
            raise ApplicationError(str(error), type="NotRedrivable", non_retryable=True) from None
        return written(given, "the state", LARGEST_STORED)

    @activity.defn(name=TAKE_UP)
    async def take_up(self, run_id: str, pinned: str) -> RawValue:
        """The state of a slice that did not complete, for one that takes it up.

        Args:
            run_id: The child's run.
            pinned: The definition under which it goes on.

        Returns:
            `{state}`; null where there is none any more: then all of its items are done again.

        Raises:
            ApplicationError: `NotRedrivable`: what it did does not fit the definition.
        """
        info = activity.info()
        assert info.workflow_id is not None
        handle = activity.client().get_workflow_handle(info.workflow_id, run_id=run_id)
        state: str | None = None
        try:
            found: Any = await handle.query(STATE, True, rpc_timeout=_PATIENCE)
            state = found["state"]
            if found["pinned"] != pinned:
                state = fitted(found, program_of(pinned))
        except WorkflowQueryFailedError:
            pass
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        except NotRedrivable as error:
            raise ApplicationError(str(error), type="NotRedrivable", non_retryable=True) from None
        return written({"state": state}, "the state", LARGEST_STORED)

    @activity.defn(name=UNDONE)
    async def undone(self, id: str, run_id: str) -> bool | None:
        """Whether a child that was cancelled undid anything; None where nobody knows any more.

        Args:
            id: The child's workflow id.
            run_id: Its first run.
        """
        handle: Any = activity.client().get_workflow_handle(id, first_execution_run_id=run_id)
        try:
            state = await handle.query("status", rpc_timeout=_PATIENCE)
        except WorkflowQueryFailedError:
            return False  # it is no definition: of those nothing is known
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None
        return bool(state.get("compensations"))


async def failed_state(
    client: Client, id: str, run_id: str, type: str, own: str | None = None
) -> dict[str, Any]:
    """The state of a run that failed: `{root, pinned, input, state}`.

    Args:
        client: A client.
        id: The workflow id.
        run_id: The run.
        type: Its Workflow Type.
        own: The run that takes it up, where there is one already.

    Raises:
        NotRedrivable: There is none.
        RPCError: if the server or a worker does not answer.
    """
    handle = client.get_workflow_handle(id, run_id=run_id)
    try:
        about = await handle.describe()
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise NotRedrivable(f"there is no run {run_id} of {id}") from None
        raise
    if about.workflow_type != type:
        raise NotRedrivable(f"the run {run_id} is one of {about.workflow_type}, not of {type}")
    if about.status is not WorkflowExecutionStatus.FAILED:
        how = about.status.name.lower() if about.status else "unknown"
        raise NotRedrivable(f"only a run that failed can be redriven; {run_id} is {how}")
    later = await _later(client, id, {run_id, own}, about.close_time)
    if later is not None:
        raise NotRedrivable(f"the run {later} of {id} came after it: redrive that one")
    try:
        found: Any = await handle.query(STATE, rpc_timeout=_PATIENCE)
    except WorkflowQueryFailedError as error:
        raise NotRedrivable(str(error)) from None
    return cast("dict[str, Any]", found)


async def _later(
    client: Client, id: str, known: set[str | None], after: datetime | None
) -> str | None:
    """A run of the same id that began after another had ended: what it did would be done again.

    Who redrives takes up the last run; this is for those who name one that was the last once.
    """
    if after is None:
        return None
    query = f"WorkflowId = {json.dumps(id)} AND StartTime >= '{after.isoformat()}'"
    async for run in client.list_workflows(query):
        if run.run_id in known:
            continue
        handle: Any = client.get_workflow_handle(id, run_id=run.run_id)
        state = await handle.query("status", rpc_timeout=_PATIENCE)
        if "revision" in state:  # others did not begin
            return run.run_id
    return None


def under(given: dict[str, Any], pinned: bytes) -> dict[str, Any]:
    """The state of a run that failed, to go on under another definition.

    Args:
        given: The state.
        pinned: The definition, as the resolver gives it.

    Raises:
        NotRedrivable: It does not fit what was done.
    """
    state = fitted(given, program_of(pinned))
    return given | {"pinned": pinned.decode(), "state": state}


def fitted(given: dict[str, Any], new: Program) -> str:
    """What the run had done, as the state of a run of another revision; packed.

    Raises:
        NotRedrivable: It does not fit. The first line says so, each other is a conflict.
    """
    data = json.loads(unpack(given["state"]))
    conflicts = adopt(data, program_of(given["pinned"]), new)
    if conflicts:
        text = f"revision {new.revision} does not fit what it has done"
        raise NotRedrivable("\n".join([text, *map(str, conflicts)]))
    state = packed(data)
    assert state is not None  # it only became smaller
    return state
