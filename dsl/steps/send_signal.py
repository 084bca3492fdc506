"""`send_signal`: tell another workflow something."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import SIGNAL_ELSEWHERE, TEMPLATE, TEXT_TEMPLATE

__all__ = ["SendSignalStep"]


class SendSignalStep(StepBase):
    """Sends a signal to another workflow, one of any language. Its output is null.

    If that does not exist, or has ended, it fails with an error of type `SignalFailed`. A signal
    that arrived is undone by `compensate`, like any act.
    """

    kind: ClassVar[str] = "send_signal"
    example: ClassVar[str] = """
        - id: tell_customer
          send_signal: order_shipped
          workflow_id: customer-${ input.customer }
          payload: {order_id: "${ input.order_id }"}
          catch:
            - errors: [SignalFailed]    # it has ended: nobody is there to be told
              output: null
    """

    send_signal: Annotated[str, SIGNAL_ELSEWHERE] = Field(
        description="The name of the signal, as the other workflow knows it.",
        examples=["order_shipped"],
    )
    workflow_id: Annotated[str, TEXT_TEMPLATE] = Field(
        description="The id of the workflow that it is sent to, whichever of its runs is open. "
        "`${ workflow.id }` is the workflow itself.",
        examples=["customer-${ input.customer }"],
    )
    payload: Annotated[Any, TEMPLATE] = Field(
        None,
        description="What is sent with it: any value, with `${ expression }` in its texts. "
        "Default: nothing, which a workflow of ours reads as null.",
        examples=["${ steps.ship.output }"],
    )
