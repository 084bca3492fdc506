"""`raise`: fail with an error."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from dsl.model.common import StepBase
from dsl.model.leaves import ERROR_TYPE, TEMPLATE, TEXT_TEMPLATE, Leaf, Role
from dsl.model.rules import forbids

__all__ = ["RaiseStep"]


_RULES: list[JsonValue] = [
    {
        "if": {
            "properties": {"raise": {"type": "string", "pattern": r"^\s*\$\{\s*error\s*\}\s*$"}}
        },
        "then": forbids(
            "message", "details", why="An error that is raised again takes no message or details."
        ),
    }
]


class RaiseStep(StepBase):
    """Fails with an error, which a `catch` round it may catch."""

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})
    kind: ClassVar[str] = "raise"
    example: ClassVar[str] = """
        - if: input.stock < input.wanted
          raise: OutOfStock
          message: ${ input.wanted } were wanted, ${ input.stock } are there
          details: {missing: "${ input.wanted - input.stock }"}
    """

    raise_: Annotated[str, Leaf(Role.TEMPLATE, ERROR_TYPE.read, ERROR_TYPE.schema)] = Field(
        alias="raise",
        description="The error's type, or `${ error }` to raise a caught one again.",
        examples=["OutOfStock", "${ error }"],
    )
    message: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None,
        description="What went wrong, for people. A text in which `${ expression }` may stand.",
        examples=["only ${ input.stock } are there"],
    )
    details: Annotated[Any, TEMPLATE] = Field(
        None,
        description="Any data that explains it, read as `error.details`: any value, with "
        "`${ expression }` in its texts.",
        examples=["${ steps.ask.output }"],
    )
