"""`while` and `until`: the same steps again and again."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import AnyStep, BodyStep
from dsl.model.leaves import EXPRESSION, LOCAL_NAME, count

__all__ = ["LoopStep", "UntilStep", "WhileStep"]


class LoopStep(BodyStep):
    """What both loops have."""

    do: list[AnyStep] = Field(description="The steps of an iteration.", min_length=1)
    max_iterations: Annotated[int | None, count(1)] = Field(
        None, description="Over it the step fails with `MaxIterations`."
    )
    index_as: Annotated[str, LOCAL_NAME] = Field(
        "index", description="The name of the iteration's index, from 0. Default `index`."
    )


class WhileStep(LoopStep):
    """Runs its body as long as a condition is true. Its output is the last iteration's."""

    kind: ClassVar[str] = "while"

    while_: Annotated[str, EXPRESSION] = Field(
        alias="while", description="Looked at before each iteration."
    )


class UntilStep(LoopStep):
    """Runs its body until a condition is true. Its output is the last iteration's."""

    kind: ClassVar[str] = "until"

    until: Annotated[str, EXPRESSION] = Field(
        description="Looked at after each iteration; sees its steps."
    )
