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

    value: Annotated[Any, TEMPLATE] = Field(description="The value.")
