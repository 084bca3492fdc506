"""`workflow`: run another definition, or any other workflow."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from dsl.model.common import StepBase
from dsl.model.leaves import (
    FLAG,
    REVISION,
    TEXT_TEMPLATE,
    positional,
    template_map,
)
from dsl.model.patterns import TEMPLATE
from dsl.model.rules import forbids, needs

__all__ = ["WorkflowStep"]

_RULES: list[JsonValue] = [
    {
        "if": {"required": ["with"]},
        "then": forbids("args", why="`with` and `args` exclude one another."),
    },
    {
        "if": {"required": ["args"]},
        "then": forbids(
            "revision", why="`args` are for other workflows than definitions: no `revision`."
        ),
    },
    {
        "if": {"properties": {"workflow": {"type": "string", "pattern": TEMPLATE}}},
        "then": needs("one_of", why="A workflow whose name is an expression needs `one_of`."),
        "else": forbids("one_of", why="`one_of` is for a workflow whose name is an expression."),
    },
]


class WorkflowStep(StepBase):
    """Runs another definition, or any other workflow, as a child. Its output is the child's.

    An error of the child is an error of the step, with its type, message and details. Where the
    step is stopped, the child is cancelled, and undoes what it did before the step has ended.

    A child that completed is undone by the step's `compensate`; without one by the child itself,
    if its definition says `compensation: {on_parent_rollback: true}`.
    """

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})
    kind: ClassVar[str] = "workflow"
    example: ClassVar[str] = """
        - id: pay
          workflow: pay-invoice
          with: {invoice: "${ input.invoice }"}
          timeout: 2d                   # then it is cancelled, and undone
          catch:
            - errors: [CardDeclined]    # as the child raised it
              do:
                - id: remind            # nobody waits for this one
                  workflow: remind-customer
                  with: {customer: "${ input.customer }"}
                  detached: true
    """

    workflow: Annotated[str, TEXT_TEMPLATE] = Field(
        description="The name of the definition, or the type of any other workflow that a worker "
        "of the task queue knows. An expression needs `one_of` beside it.",
        examples=["pay-invoice"],
    )
    with_: Annotated[dict[str, Any] | None, template_map()] = Field(
        None,
        alias="with",
        description="The input: any values, with `${ expression }` in their texts. They are sent "
        "as one JSON object. Default: an empty one.",
    )
    args: Annotated[list[Any] | None, positional()] = Field(
        None,
        description="The arguments by position, for workflows that are written in code, instead "
        "of `with`. `[]` for one that takes none.",
    )
    workflow_id: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None,
        description="The id of the child. Where a workflow with this id is open, the step fails "
        "with an error of type `WorkflowAlreadyStarted`. Default: the id of the run and the path "
        "of the step, as in `order-17/pay`.",
        examples=["invoice-${ input.invoice }"],
    )
    revision: Annotated[int | str | None, REVISION] = Field(
        None,
        description="Which revision of the definition: its number, or an alias such as `live`, "
        "which is followed from run to run. Default: the one that is live when the definition "
        "with this step is deployed; `deploy` writes its number here. A definition that runs "
        "itself runs its own revision.",
        examples=["live", 7],
    )
    task_queue: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None,
        description="The task queue whose workers run it. Default: that of the run.",
        examples=["reports"],
    )
    one_of: list[Annotated[str, TEXT_TEMPLATE]] = Field(
        default_factory=list[str],
        description="The names that may come out, where the workflow's name is an expression.",
        min_length=1,
        examples=[["pay-by-card", "pay-by-invoice"]],
    )
    detached: Annotated[bool | None, FLAG] = Field(
        None,
        description="`true` only starts it: it lives on by itself, whatever becomes of the run. "
        "The step's output is `{workflow_id, run_id}`.",
    )
