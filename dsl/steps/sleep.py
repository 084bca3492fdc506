"""`sleep`: wait for a time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import DURATION

__all__ = ["SleepStep"]


class SleepStep(StepBase):
    """Waits. Its output is null."""

    kind: ClassVar[str] = "sleep"

    sleep: Annotated[str, DURATION] = Field(description="How long, such as `30s` or `2d`.")
