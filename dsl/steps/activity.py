"""`activity`: run a Python function, or an activity of any other worker."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from dsl.model.common import THERE, Model, StepBase
from dsl.model.leaves import (
    DURATION,
    FLAG,
    POSITIVE,
    TEXT_TEMPLATE,
    count,
    positional,
    template_map,
)
from dsl.model.patterns import TEMPLATE
from dsl.model.rules import forbids, needs

__all__ = ["NOT_LOCAL", "ActivityStep"]


NOT_LOCAL = ("task_queue", "heartbeat_timeout", "priority")
"""Options that a local activity cannot have."""
_RULES: list[JsonValue] = [
    {
        "if": {"required": ["with"]},
        "then": forbids("args", why="`with` and `args` exclude one another."),
    },
    {
        "if": {"properties": {"activity": {"type": "string", "pattern": TEMPLATE}}},
        "then": needs("one_of", why="An activity whose name is an expression needs `one_of`."),
        "else": forbids("one_of", why="`one_of` is for an activity whose name is an expression."),
    },
    {
        "if": {"required": ["local"], "properties": {"local": {"const": True}}},
        "then": forbids(
            *NOT_LOCAL,
            why="A local activity has no `task_queue`, `heartbeat_timeout` or `priority`.",
        ),
    },
]


class Priority(Model):
    """Temporal's priority of an activity."""

    priority_key: Annotated[int | None, count(1)] = Field(
        None,
        description="A lower number goes first, from 1. Temporal's default is 3.",
        examples=[1],
    )
    fairness_key: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None,
        description="Activities with the same key share their turns, so that none starves the "
        "others: a customer's id for example.",
        examples=["${ input.customer }"],
    )
    fairness_weight: Annotated[float | None, POSITIVE] = Field(
        None,
        description="How many turns the key gets, against others. Temporal's default is 1.",
        examples=[2],
    )


class ActivityStep(StepBase):
    """Runs an activity. Its output is the activity's result."""

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})
    kind: ClassVar[str] = "activity"
    example: ClassVar[str] = """
        - id: charge
          activity: payments.charge
          with:
            order_id: ${ input.order_id }
            amount: ${ input.amount }
          timeout: 10m                  # all its attempts together
          start_to_close_timeout: 20s   # one attempt
          retry:
            maximum_attempts: 3
            non_retryable_error_types: [CardDeclined]
    """

    activity: Annotated[str, TEXT_TEMPLATE] = Field(
        description="The name of the activity, as its worker registers it. An expression needs "
        "`one_of` beside it.",
        examples=["payments.charge"],
    )
    with_: Annotated[dict[str, Any] | None, template_map()] = Field(
        None,
        alias="with",
        description="The arguments by name: any values, with `${ expression }` in their texts. "
        "They are sent as one JSON object.",
    )
    args: Annotated[list[Any] | None, positional()] = Field(
        None,
        description="The arguments by position, for activities of other SDKs, instead of `with`.",
    )
    task_queue: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None,
        description="The task queue whose workers run it. Default: that of `defaults`, else that "
        "of the workflow.",
        examples=["payments"],
    )
    start_to_close_timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="How long one attempt may take. Default: that of `defaults`, else `60s`. For "
        "all attempts together there is `timeout`.",
    )
    schedule_to_start_timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="How long an attempt may wait for a worker. Default: no bound.",
    )
    heartbeat_timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="The longest silence of an activity that heartbeats; over it the attempt has "
        "failed. Without it an attempt learns of no cancellation.",
    )
    one_of: list[Annotated[str, TEXT_TEMPLATE]] = Field(
        default_factory=list[str],
        description="The names that may come out, where the activity's name is an expression.",
        min_length=1,
        examples=[["mail.send", "chat.send"]],
    )
    local: Annotated[bool | None, FLAG] = Field(
        None,
        description="`true` runs it as a local activity, in the worker that runs the workflow: "
        "quicker, for short acts.",
    )
    priority: Annotated[Priority | None, THERE] = Field(
        None, description="Which activities of a busy task queue go first."
    )
