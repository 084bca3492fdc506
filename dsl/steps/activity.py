"""`activity`: run a Python function, or an activity of any other worker."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import Model, StepBase
from dsl.model.leaves import (
    DURATION,
    FLAG,
    POSITIVE,
    TEXT_TEMPLATE,
    Leaf,
    Role,
    count,
    describe,
    mistake,
    template_map,
)

__all__ = ["ActivityStep"]


def _arguments(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise mistake("DSL105", f"must be a list, is {describe(value)}")
    return value  # pyright: ignore[reportUnknownVariableType]


class Priority(Model):
    """Temporal's priority of an activity."""

    priority_key: Annotated[int | None, count(1)] = Field(
        None, description="A lower number goes first. Temporal's default is 3."
    )
    fairness_key: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None, description="Those with the same key share their turns."
    )
    fairness_weight: Annotated[float | None, POSITIVE] = Field(
        None, description="How many turns the key gets, against others."
    )


class ActivityStep(StepBase):
    """Runs an activity. Its output is the activity's result."""

    kind: ClassVar[str] = "activity"

    activity: Annotated[str, TEXT_TEMPLATE] = Field(description="The name of the activity.")
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
    one_of: list[Annotated[str, TEXT_TEMPLATE]] = Field(
        default_factory=list[str],
        description="The names that may come out, where the activity's name is an expression.",
        min_length=1,
    )
    local: Annotated[bool | None, FLAG] = Field(
        None, description="Run it as a local activity, in the worker that runs the workflow."
    )
    priority: Priority | None = Field(None, description="Temporal's priority.")
