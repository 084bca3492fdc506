"""What an activity's worker must know beyond the arguments, sent as headers only where needed."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import temporalio.api.common.v1
from temporalio import workflow
from temporalio.converter import DefaultPayloadConverter
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from interpreter.activities.context import ARGS_HEADER, ROOT_HEADER

__all__ = ["HeaderInterceptor", "Positional", "without_storage"]

_to_payload = DefaultPayloadConverter().to_payload


class Positional(list[Any]):
    """Arguments by position."""


without_storage: ContextVar[bool] = ContextVar("without_storage", default=False)
"""Whether a run is on a worker that has no external storage."""


class HeaderInterceptor(Interceptor):
    """Adds the headers to activities that definitions run.

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


class _Inbound(WorkflowInboundInterceptor):
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

    def _add(self, input: StartActivityInput | StartLocalActivityInput) -> None:
        headers = self._of_run
        if headers is None:
            headers = _root()
            if getattr(workflow.instance(), "begun", True):  # before that a redrive may bring one
                self._of_run = headers
        if isinstance(input.args, Positional):
            headers = {**headers, ARGS_HEADER: _to_payload(True)}
        if headers:
            input.headers = {**input.headers, **headers}


def _root() -> dict[str, temporalio.api.common.v1.Payload]:
    """What all activities of a run are sent."""
    info = workflow.info()
    # After a reset, or as it goes on as new, the run has a new id, but its acts are the same acts.
    root = getattr(workflow.instance(), "root", None) or info.original_execution_run_id
    return {} if root == info.run_id else {ROOT_HEADER: _to_payload(root)}
