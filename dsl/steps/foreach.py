"""`foreach`: the same steps for each item of a list."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import AnyStep, BodyStep
from dsl.model.leaves import EXPRESSION_OR_LIST, LOCAL_NAME, TEMPLATE, count

__all__ = ["ForeachStep"]


class ForeachStep(BodyStep):
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
    concurrency: Annotated[int | None, count(1)] = Field(
        None, description="How many items are worked on at the same time. Default 1."
    )
