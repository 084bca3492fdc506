"""`switch`: the first case whose condition is true."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from dsl.model.common import AnyStep, BodyStep, Model
from dsl.model.leaves import EXPRESSION, mistake

__all__ = ["Case", "SwitchStep"]


class Case(Model):
    """A case with its condition, or the `else` that stands last."""

    when: Annotated[str | None, EXPRESSION] = Field(None, description="Its condition.")
    do: list[AnyStep] = Field(default_factory=list[AnyStep], description="Its steps.", min_length=1)
    else_: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        alias="else",
        description="The steps where no case matched.",
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

    switch: Annotated[list[Case], BeforeValidator(_cases)] = Field(
        description="The cases in order: `{when, do}`, the last may be `{else: [steps]}`.",
        min_length=1,
    )
