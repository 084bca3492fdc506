"""What steps with members that run at the same time have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dsl.model.common import BodyStep
from dsl.model.leaves import Leaf, Role, choice, count, describe, mistake

__all__ = ["JoinStep"]


def _join(value: Any) -> str | int:
    if isinstance(value, str) and value in ("all", "any"):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise mistake("DSL105", f"must be `all`, `any` or a number, is {describe(value)}")
    if value < 1:
        raise mistake("DSL106", f"must be 1 or more, is {value}")
    return value


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
        None, description="How many members must succeed: `all` (the default), `any`, or a number."
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
        None, description="How many members run at the same time."
    )
