"""`break` and `continue`: leave a loop, or an iteration of it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import constant

__all__ = ["BreakStep", "ContinueStep"]


class BreakStep(StepBase):
    """Ends the nearest loop. Where items are worked on at the same time, no more are begun."""

    kind: ClassVar[str] = "break"
    example: ClassVar[str] = """
        - foreach: input.carriers
          as: carrier
          do:
            - id: offer
              activity: carriers.ask
              with: {name: "${ carrier }"}
            - if: steps.offer.output.accepted
              break: true
    """

    break_: Annotated[bool, constant(True)] = Field(alias="break", description="Always `true`.")


class ContinueStep(StepBase):
    """Ends the iteration of the nearest loop."""

    kind: ClassVar[str] = "continue"
    example: ClassVar[str] = """
        - foreach: input.lines
          as: line
          do:
            - if: line.count == 0
              continue: true
            - id: ship
              activity: shipping.ship
              with: {item: "${ line.item }"}
    """

    continue_: Annotated[bool, constant(True)] = Field(
        alias="continue", description="Always `true`."
    )
