"""`wait_condition`: wait for something inside the run."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import EXPRESSION

__all__ = ["WaitConditionStep"]


class WaitConditionStep(StepBase):
    """Waits until a condition is true. Its output is null."""

    kind: ClassVar[str] = "wait_condition"
    example: ClassVar[str] = """
        vars: {paid: false}
        steps:
          - parallel:
              pay:
                - id: charge
                  activity: payments.charge
                - set: {paid: true}
              ship:
                - id: pack
                  activity: stock.pack
                - wait_condition: vars.paid
                - id: ship
                  activity: shipping.ship
    """

    wait_condition: Annotated[str, EXPRESSION] = Field(
        description="An expression, looked at again whenever a variable or a step's status that it "
        "reads changed.",
        examples=["vars.paid"],
    )
