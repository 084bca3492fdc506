"""`sleep` and `sleep_until`: wait for a time."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import DURATION, TIME

__all__ = ["SleepStep", "SleepUntilStep"]


class SleepStep(StepBase):
    """Waits. Its output is null."""

    kind: ClassVar[str] = "sleep"
    example: ClassVar[str] = """
        - sleep: 1h30m
    """

    sleep: Annotated[str, DURATION] = Field(
        description="How long: `250ms`, `30s`, `1h30m`, `2d`, or a template that gives one of "
        "these or seconds."
    )


class SleepUntilStep(StepBase):
    """Waits until a time. A time that is past is now. Its output is null."""

    kind: ClassVar[str] = "sleep_until"
    example: ClassVar[str] = """
        - sleep_until: ${ input.due }
    """

    sleep_until: Annotated[Any, TIME] = Field(
        description="When: RFC 3339, such as `2030-01-01T09:00:00Z`, seconds since 1970, or a "
        "template that gives one of these.",
    )
