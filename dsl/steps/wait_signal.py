"""`wait_signal`: wait for a message from outside."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import MESSAGE_NAME

__all__ = ["WaitSignalStep"]


class WaitSignalStep(StepBase):
    """Waits for a signal, and consumes it. Its output is the signal's payload."""

    kind: ClassVar[str] = "wait_signal"

    wait_signal: Annotated[str, MESSAGE_NAME] = Field(
        description="The name of the signal, declared under `signals`. One that came before the "
        "wait was kept and is taken at once."
    )
