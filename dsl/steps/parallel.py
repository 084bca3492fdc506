"""`parallel`: named branches at the same time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import AnyStep
from dsl.model.joins import JoinStep
from dsl.model.leaves import BRANCH

__all__ = ["ParallelStep"]


class ParallelStep(JoinStep):
    """Runs branches at the same time. Its output is an object of their outputs by name."""

    kind: ClassVar[str] = "parallel"
    example: ClassVar[str] = """
        - id: prices
          timeout: 1m
          parallel:
            north:
              - id: ask_north
                activity: north.price
            south:
              - id: ask_south
                activity: south.price
        - value: ${ min(steps.prices.output.north, steps.prices.output.south) }
    """

    parallel: dict[Annotated[str, BRANCH], Annotated[list[AnyStep], Field(min_length=1)]] = Field(
        description="The branches by name, each a list of steps. A step in one sees no output of "
        "a step in another.",
        min_length=1,
    )
