"""`activity`: run a Python function, or an activity of any other worker."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import Retry, StepBase
from dsl.model.leaves import (
    DURATION,
    TEXT_TEMPLATE,
    Leaf,
    Role,
    describe,
    mistake,
    template_map,
)

__all__ = ["ActivityStep"]


def _arguments(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise mistake("DSL105", f"must be a list, is {describe(value)}")
    return value  # pyright: ignore[reportUnknownVariableType]


class ActivityStep(StepBase):
    """Runs an activity. Its output is the activity's result."""

    kind: ClassVar[str] = "activity"

    activity: Annotated[
        str, Leaf(Role.PLAIN, TEXT_TEMPLATE.read, {"type": "string", "minLength": 1})
    ] = Field(description="The name of the activity.")
    with_: Annotated[dict[str, Any] | None, template_map()] = Field(
        None, alias="with", description="The arguments by name."
    )
    args: Annotated[list[Any] | None, Leaf(Role.TEMPLATE, _arguments, {"type": "array"})] = Field(
        None, description="The arguments by position, for activities of other SDKs."
    )
    task_queue: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None, description="The task queue whose workers run it. Default: that of the workflow."
    )
    start_to_close_timeout: Annotated[str | None, DURATION] = Field(
        None, description="How long one attempt may take. Default 60s."
    )
    schedule_to_start_timeout: Annotated[str | None, DURATION] = Field(
        None, description="How long an attempt may wait for a worker."
    )
    heartbeat_timeout: Annotated[str | None, DURATION] = Field(
        None, description="The longest silence of an activity that heartbeats."
    )
    retry: Retry | None = Field(None, description="Temporal's retry policy.")
