"""`switch`: the first case whose condition is true."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field

from dsl.model.common import AnyStep, BodyStep, Model
from dsl.model.leaves import EXPRESSION, mistake
from dsl.model.rules import forbids

__all__ = ["Case", "SwitchStep"]


class Case(Model):
    """A case with its condition, or the `else` that stands last."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"required": ["else"]},
            "then": forbids("when", "do", why="An `else` has neither `when` nor `do`."),
            "else": {"required": ["when", "do"]},
        }
    )
    when: Annotated[str | None, EXPRESSION] = Field(
        None,
        description="An expression: the case is taken if it is true, and no case before was.",
        examples=["input.amount > 1000"],
    )
    do: list[AnyStep] = Field(
        default_factory=list[AnyStep], description="The steps of the case.", min_length=1
    )
    else_: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        alias="else",
        description="The steps where no case matched. Stands alone, in the last case.",
        min_length=1,
    )


def _cases(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise mistake("DSL105", "must be a list of cases", "- when: expression\n  do: [steps]")
    for index, case in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if not isinstance(case, dict):
            continue
        keys = set(case)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if "else" in keys:
            if keys & {"when", "do"}:
                raise mistake(
                    "DSL107", "an `else` has neither `when` nor `do`: its steps stand in it"
                )
            if index != len(value) - 1:  # pyright: ignore[reportUnknownArgumentType]
                raise mistake("DSL107", "`else` must be the last case")
        elif not {"when", "do"} <= keys and keys <= {"when", "do"}:
            raise mistake("DSL102", "a case needs `when` and `do`, or is the `else`")
    return value  # pyright: ignore[reportUnknownVariableType]


class SwitchStep(BodyStep):
    """Runs the first case whose condition is true. Its output is that case's, else null."""

    kind: ClassVar[str] = "switch"
    example: ClassVar[str] = """
        - id: size
          switch:
            - when: input.amount > 1000
              do:
                - value: large
            - when: input.amount > 100
              do:
                - value: medium
            - else:
                - value: small
    """

    switch: Annotated[list[Case], BeforeValidator(_cases)] = Field(
        description="The cases in order: `{when, do}`, the last may be `{else: [steps]}`.",
        min_length=1,
    )
