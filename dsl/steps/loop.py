"""`while` and `until`: the same steps again and again."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from dsl.model.common import AnyStep, BodyStep
from dsl.model.leaves import EXPRESSION, LOCAL_NAME, count

__all__ = ["LoopStep", "UntilStep", "WhileStep"]


class LoopStep(BodyStep):
    """What both loops have."""

    do: list[AnyStep] = Field(
        description="The steps of an iteration. `index` is its number, from 0.", min_length=1
    )
    max_iterations: Annotated[int | None, count(1)] = Field(
        None,
        description="How many iterations there may be; over it the step fails with an error of "
        "type `MaxIterations`. Default: no bound.",
        examples=[100],
    )
    index_as: Annotated[str, LOCAL_NAME] = Field(
        "index", description="The name of the iteration's index, from 0. Default `index`."
    )


class WhileStep(LoopStep):
    """Runs its body as long as a condition is true. Its output is the last iteration's."""

    kind: ClassVar[str] = "while"
    example: ClassVar[str] = """
        vars: {next: start}
        steps:
          - while: vars.next != null
            do:
              - id: page
                activity: orders.page
                with: {from: "${ vars.next }"}
              - set: {next: "${ steps.page.output.next }"}
    """

    while_: Annotated[str, EXPRESSION] = Field(
        alias="while",
        description="An expression, looked at before each iteration.",
        examples=["vars.next != null"],
    )


class UntilStep(LoopStep):
    """Runs its body until a condition is true. Its output is the last iteration's."""

    kind: ClassVar[str] = "until"
    example: ClassVar[str] = """
        - until: steps.job.output.done
          max_iterations: 100
          do:
            - sleep: 30s
            - id: job
              activity: jobs.look
    """

    until: Annotated[str, EXPRESSION] = Field(
        description="An expression, looked at after each iteration, whose steps it sees.",
        examples=["steps.job.output.done"],
    )
