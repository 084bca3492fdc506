"""`return`: end the definition."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import TEMPLATE

__all__ = ["ReturnStep"]


class ReturnStep(StepBase):
    """Ends the definition as completed. Branches that are still open are undone."""

    kind: ClassVar[str] = "return"
    example: ClassVar[str] = """
        - if: input.lines == []
          return: nothing to ship
        - id: ship
          activity: shipping.ship
    """

    return_: Annotated[Any, TEMPLATE] = Field(
        alias="return",
        description="The definition's output: any value, with `${ expression }` in its texts.",
        examples=["${ steps.charge.output }"],
    )
