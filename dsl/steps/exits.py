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

    break_: Annotated[bool, constant(True)] = Field(alias="break", description="Always `true`.")


class ContinueStep(StepBase):
    """Ends the iteration of the nearest loop."""

    kind: ClassVar[str] = "continue"

    continue_: Annotated[bool, constant(True)] = Field(
        alias="continue", description="Always `true`."
    )
