"""`set`: change variables."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import TEMPLATE, VARIABLE

__all__ = ["SetStep"]


class SetStep(StepBase):
    """Gives variables new values, all at once. Its output is the map."""

    kind: ClassVar[str] = "set"
    example: ClassVar[str] = """
        vars: {last: 0, next: 1}
        steps:
          - foreach: range(5)
            do:
              - set:
                  last: ${ vars.next }
                  next: ${ vars.last + vars.next }
    """

    set: dict[Annotated[str, VARIABLE], Annotated[Any, TEMPLATE]] = Field(
        description="The variables and their new values, which are made from the old state. Each "
        "is declared under `vars`.",
        min_length=1,
    )
