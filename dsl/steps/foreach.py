"""`foreach`: the same steps for each item of a list."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import AnyStep
from dsl.model.joins import JoinStep
from dsl.model.leaves import (
    EXPRESSION_OR_LIST,
    LOCAL_NAME,
    TEMPLATE,
    Leaf,
    Role,
    describe,
    mistake,
)

__all__ = ["ForeachStep"]

_PERCENT = re.compile(r"([0-9]{1,2}(\.[0-9]+)?|100)%")


def _tolerance(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return value
    raise mistake("DSL106", f"must be a number or a share such as 5%, is {describe(value)}")


_TOLERANCE = Leaf(
    Role.PLAIN,
    _tolerance,
    {
        "if": {"type": "string"},
        "then": {"pattern": f"^{_PERCENT.pattern}$"},
        "else": {"type": "integer", "minimum": 0},
    },
)


class ForeachStep(JoinStep):
    """Runs its body for each item of a list. Its output is a list, by index."""

    kind: ClassVar[str] = "foreach"

    foreach: Annotated[str | list[Any], EXPRESSION_OR_LIST] = Field(
        description="The items: an expression that gives a list, or a list."
    )
    do: list[AnyStep] = Field(description="The steps for each item.", min_length=1)
    as_: Annotated[str, LOCAL_NAME] = Field(
        "item", alias="as", description="The name of the item in the body. Default `item`."
    )
    index_as: Annotated[str, LOCAL_NAME] = Field(
        "index", description="The name of its index, from 0. Default `index`."
    )
    collect: Annotated[Any, TEMPLATE] = Field(
        None, description="What the output holds for each item. Default: the last step's output."
    )
    tolerated_failures: Annotated[int | str | None, _TOLERANCE] = Field(
        None, description="How many items may fail, or which share (`5%`). Their output is null."
    )
