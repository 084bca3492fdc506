"""`set_search_attributes`: how the run is found among others."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import ATTRIBUTE, TEMPLATE

__all__ = ["SetSearchAttributesStep"]


class SetSearchAttributesStep(StepBase):
    """Sets search attributes of the run, by which it is found and listed. Its output is null."""

    kind: ClassVar[str] = "set_search_attributes"
    example: ClassVar[str] = """
        - set_search_attributes:
            OrderStatus: shipped
            OrderAmount: ${ input.amount }
            WaitsFor: null                # removes it
    """

    set_search_attributes: dict[Annotated[str, ATTRIBUTE], Annotated[Any, TEMPLATE]] = Field(
        description="The attributes and their values, which fit the types that the server has "
        "registered: a text for `Keyword` and `Text`, numbers for `Int` and `Double`, true or "
        "false for `Bool`, a time for `Datetime`, a list of texts for `KeywordList`. Null removes "
        "the attribute. Those that are not named stay as they are.",
        min_length=1,
        examples=[{"OrderStatus": "shipped"}],
    )
