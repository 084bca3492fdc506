"""`rollback`: undo now."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, cast

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import Leaf, Role, describe, mistake

__all__ = ["RollbackStep"]


def _ids(value: Any) -> str | list[str]:
    if value == "all":
        return "all"
    ids = cast("list[object]", value)
    if not isinstance(value, list) or not ids:
        raise mistake("DSL105", f"must be `all` or a list of ids, is {describe(ids)}")
    for id in ids:
        if not isinstance(id, str):
            raise mistake("DSL105", f"must be a list of ids, has {describe(id)}")
    return cast("list[str]", ids)


_TARGETS = Leaf(
    Role.PLAIN,
    _ids,
    {
        "if": {"type": "string"},
        "then": {"const": "all"},
        "else": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    },
)


class RollbackStep(StepBase):
    """Undoes what was done, now, without an error. Its output is null."""

    kind: ClassVar[str] = "rollback"
    example: ClassVar[str] = """
        - id: seat
          activity: seats.hold
          compensate: {activity: seats.free}
        - id: answer
          activity: desk.ask
        - if: steps.answer.output == "no"
          rollback: [seat]
    """

    rollback: Annotated[str | list[str], _TARGETS] = Field(
        description="`all`, or the ids of steps. An id inside an iteration means this iteration's.",
        examples=["all", ["seat"]],
    )
