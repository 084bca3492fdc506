"""`parallel`: named branches at the same time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import AnyStep, BodyStep
from dsl.model.leaves import BRANCH, choice, count

__all__ = ["ParallelStep"]


class ParallelStep(BodyStep):
    """Runs branches at the same time. Its output is an object of their outputs by name."""

    kind: ClassVar[str] = "parallel"

    parallel: dict[Annotated[str, BRANCH], Annotated[list[AnyStep], Field(min_length=1)]] = Field(
        description="The branches by name, each a list of steps.", min_length=1
    )
    join: Annotated[str | None, choice("all")] = Field(
        None, description="How many branches must succeed: `all`, the default."
    )
    concurrency: Annotated[int | None, count(1)] = Field(
        None, description="How many branches run at the same time. Default: all."
    )
