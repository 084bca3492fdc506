"""`raise`: fail with an error."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import ERROR_TYPE, TEMPLATE, TEXT_TEMPLATE, Leaf, Role

__all__ = ["RaiseStep"]


class RaiseStep(StepBase):
    """Fails with an error, which a `catch` round it may catch."""

    kind: ClassVar[str] = "raise"

    raise_: Annotated[str, Leaf(Role.TEMPLATE, ERROR_TYPE.read, ERROR_TYPE.schema)] = Field(
        alias="raise", description="The error's type, or `${ error }` to raise a caught one again."
    )
    message: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None, description="What went wrong, for people."
    )
    details: Annotated[Any, TEMPLATE] = Field(None, description="Any data that explains it.")
