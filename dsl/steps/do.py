"""`do`: steps in sequence, as one step."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from dsl.model.common import AnyStep, BodyStep

__all__ = ["DoStep"]


class DoStep(BodyStep):
    """Runs steps one after the other. Its output is the last one's."""

    kind: ClassVar[str] = "do"
    example: ClassVar[str] = """
        - id: booking
          do:
            - id: flight
              activity: flights.book
              compensate: {activity: flights.cancel}
            - id: hotel
              activity: hotels.book
          catch:
            - errors: [NoRoom]          # the flight has been cancelled by then
              output: no room
    """

    do: list[AnyStep] = Field(
        description="The steps, one after the other. Each sees the outputs of those before it.",
        min_length=1,
    )
