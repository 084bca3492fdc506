"""`value`: a value and nothing else."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import TEMPLATE

__all__ = ["ValueStep"]


class ValueStep(StepBase):
    """Computes a value. Its output is the value."""

    kind: ClassVar[str] = "value"
    example: ClassVar[str] = """
        - id: total
          value: ${ sum([line.price * line.count for line in input.lines]) }
    """

    value: Annotated[Any, TEMPLATE] = Field(
        description="Any value, with `${ expression }` in its texts.",
        examples=["${ input.amount * 2 }"],
    )
