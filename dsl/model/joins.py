"""What steps with members that run at the same time have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dsl.model.common import BodyStep
from dsl.model.leaves import Leaf, Role, choice, count, describe, mistake, whole_number

__all__ = ["JoinStep"]


def _join(value: Any) -> str | int:
    if isinstance(value, str) and value in ("all", "any"):
        return value
    number = whole_number(value)
    if number is None:
        raise mistake("DSL105", f"must be `all`, `any` or a number, is {describe(value)}")
    if number < 1:
        raise mistake("DSL106", f"must be 1 or more, is {number}")
    return number


_JOIN = Leaf(
    Role.PLAIN,
    _join,
    {
        "if": {"type": "integer"},
        "then": {"minimum": 1},
        "else": {"enum": ["all", "any"]},
    },
)


class JoinStep(BodyStep):
    """A step with members."""

    join: Annotated[str | int | None, _JOIN] = Field(
        None,
        description="How many members must succeed: `all` (the default), `any` for one, or a "
        "number.",
        examples=["all", "any", 2],
    )
    on_error: Annotated[str | None, choice("fail_fast", "wait_all")] = Field(
        None,
        description="`fail_fast`, the default: the step ends once it cannot succeed any more. "
        "`wait_all`: when all members have ended.",
    )
    losers: Annotated[str | None, choice("cancel", "finish")] = Field(
        None,
        description="Members still open when enough have succeeded: `cancel` (the default) cancels "
        "and undoes them; `finish` lets them run on, and the definition waits for them at its end.",
    )
    concurrency: Annotated[int | None, count(1)] = Field(
        None,
        description="How many members run at the same time. Default: all branches of a "
        "`parallel`, one item of a `foreach`.",
        examples=[10],
    )
