"""`foreach`: the same steps for each item of a list."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from dsl.model.common import AnyStep
from dsl.model.joins import JoinStep
from dsl.model.leaves import (
    EXPRESSION_OR_LIST,
    LOCAL_NAME,
    TEMPLATE,
    Leaf,
    Role,
    count,
    describe,
    mistake,
    whole_number,
)
from dsl.model.patterns import whole
from dsl.model.rules import forbids

__all__ = ["ForeachStep"]

_PERCENT = re.compile(r"([0-9]{1,2}(\.[0-9]+)?|100)%")


def _tolerance(value: Any) -> int | str:
    number = whole_number(value)
    if number is not None and number >= 0:
        return number
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return value
    raise mistake("DSL106", f"must be a number or a share such as 5%, is {describe(value)}")


_TOLERANCE = Leaf(
    Role.PLAIN,
    _tolerance,
    {
        "if": {"type": "string"},
        "then": {
            "pattern": whole(_PERCENT.pattern),
            "patternErrorMessage": "This must be a number, or a share such as `5%`.",
        },
        "else": {"type": "integer", "minimum": 0},
    },
)


_RULES: list[JsonValue] = [
    {
        "if": {"required": ["join"], "properties": {"join": {"not": {"const": "all"}}}},
        "then": forbids("tolerated_failures", why="`tolerated_failures` is for `join: all`."),
    },
    {
        "if": {"required": ["batch"]},
        "then": forbids("join", "losers", why="A `batch` waits for all its items."),
    },
]


class ForeachStep(JoinStep):
    """Runs its body for each item of a list. Its output is a list, by index."""

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})
    kind: ClassVar[str] = "foreach"
    example: ClassVar[str] = """
        - id: shipments
          foreach: input.lines
          as: line
          concurrency: 10
          do:
            - id: ship
              activity: shipping.ship
              with: {item: "${ line.item }", number: "${ index + 1 }"}
          collect: ${ steps.ship.output.tracking }
    """

    foreach: Annotated[str | list[Any], EXPRESSION_OR_LIST] = Field(
        description="The items: an expression that gives a list, or a list.",
        examples=["input.items", "range(5)"],
    )
    do: list[AnyStep] = Field(
        description="The steps for each item. They see it as `item`, or by the name of `as`.",
        min_length=1,
    )
    as_: Annotated[str, LOCAL_NAME] = Field(
        "item",
        alias="as",
        description="The name of the item in the body. Default `item`.",
        examples=["line_item"],
    )
    index_as: Annotated[str, LOCAL_NAME] = Field(
        "index", description="The name of its index, from 0. Default `index`."
    )
    collect: Annotated[Any, TEMPLATE] = Field(
        None,
        description="What the output holds for each item: any value, with `${ expression }` in its "
        "texts. Sees the steps of the iteration. Default: the last step's output.",
        examples=["${ steps.ship.output.tracking }"],
    )
    tolerated_failures: Annotated[int | str | None, _TOLERANCE] = Field(
        None,
        description="How many items may fail, or which share of them (`5%`). Their output is null, "
        "and what they did is undone. Default 0.",
        examples=[1, "5%"],
    )
    batch: Annotated[int | None, count(1)] = Field(
        None,
        description="For very many items: so many at a time run in a child workflow of their own, "
        "which keeps every history and payload small. `foreach: range(...)` is then never made "
        "as a whole.",
        examples=[500],
    )
