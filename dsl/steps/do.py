"""`do`: steps in sequence, as one step."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dsl.model.common import AnyStep, BodyStep

__all__ = ["DoStep"]


class DoStep(BodyStep):
    """Runs steps one after the other. Its output is the last one's."""

    kind: ClassVar[str] = "do"

    do: list[AnyStep] = Field(description="The steps, in order.", min_length=1)
