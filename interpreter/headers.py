"""What an activity's worker must know beyond the arguments, sent as headers only where needed."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, NamedTuple

import temporalio.api.common.v1
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from interpreter.activities.context import ARGS_HEADER, ROOT_HEADER
from interpreter.details import DetailsInbound

__all__ = [
    "HeaderInterceptor",
    "Lineage",
    "Positional",
    "child_lineage",
    "lineage",
    "without_storage",
]

CHILD_HEADER = "temporal-dsl-child"
"""Header of a child workflow: `[root, depth, leaves]`."""
_converter = DefaultPayloadConverter()
_to_payload = _converter.to_payload


class _ByPosition(RawValue):
    """An argument by position."""


class Positional(list[RawValue]):
    """Arguments by position. They say so one by one: the SDK makes a list of its own of them."""

    def __init__(self, values: Iterable[RawValue]) -> None:
        super().__init__(_ByPosition(value.payload) for value in values)


class Lineage(NamedTuple):
    """What a child is to the definition that runs it.

    Args:
        root: The root of its idempotency keys: the child is an act of its parent, and its acts
            keep their keys where the parent is reset or redriven.
        depth: How many definitions have called one another.
        leaves: Whether its parent has it undone: then it says with its result what that needs.
    """

    root: str | None = None
    depth: int = 0
    leaves: bool = False


child_lineage: ContextVar[Lineage | None] = ContextVar("child_lineage", default=None)
"""Of the child that is being started."""


def lineage() -> Lineage:
    """What the running workflow is to the definition that runs it, if one does."""
    info = workflow.info()
    given = info.headers.get(CHILD_HEADER)
    if given is None or info.parent is None:
        return Lineage()
    match _converter.from_payload(given):
        case [str(root), int(depth), bool(leaves)]:
            return Lineage(root, depth, leaves)
        case _:
            return Lineage()


without_storage: ContextVar[bool] = ContextVar("without_storage", default=False)
"""Whether a run is on a worker that has no external storage."""


_INTERPRETER = "interpreter.workflow"
"""The module of the workflow that runs definitions. It imports this one."""


class HeaderInterceptor(Interceptor):
    """Adds the headers to activities that definitions run, and to none of other workflows.

    Args:
        stores: Whether the worker has external storage, if a run needs that. What only replays
            sends nothing.
    """

    def __init__(self, stores: bool = True) -> None:
        self._stores = stores

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """The SDK asks for a class, and makes an instance of it for each run."""
        return _Inbound if self._stores else _InboundWithoutStorage


class _Inbound(DetailsInbound):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _InboundWithoutStorage(_Inbound):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        without_storage.set(True)
        return await super().execute_workflow(input)


class _Outbound(WorkflowOutboundInterceptor):
    _of_run: dict[str, temporalio.api.common.v1.Payload] | None = None

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        self._add(input)
        return super().start_local_activity(input)

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        self._add(input)
        return super().start_activity(input)

    async def start_child_workflow(
        self, input: StartChildWorkflowInput
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        given = child_lineage.get()
        if given is not None:
            input.headers = {**input.headers, CHILD_HEADER: _to_payload(list(given))}
        return await super().start_child_workflow(input)

    def _add(self, input: StartActivityInput | StartLocalActivityInput) -> None:
        instance = workflow.instance()
        if type(instance).__module__ != _INTERPRETER:
            return
        headers = self._of_run
        if headers is None:
            headers = _root()
            if getattr(instance, "begun", True):  # before that a redrive may bring one
                self._of_run = headers
        if len(input.args) == 1 and isinstance(input.args[0], _ByPosition):
            headers = {**headers, ARGS_HEADER: _to_payload(True)}
        if headers:
            input.headers = {**input.headers, **headers}


def _root() -> dict[str, temporalio.api.common.v1.Payload]:
    """What all activities of a run are sent."""
    info = workflow.info()
    # After a reset, or as it goes on as new, the run has a new id, but its acts are the same acts.
    root = getattr(workflow.instance(), "root", None) or info.original_execution_run_id
    return {} if root == info.run_id else {ROOT_HEADER: _to_payload(root)}
