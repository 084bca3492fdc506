"""Evaluating the expressions of a definition in a run. A fault suspends it where it stands."""

from __future__ import annotations

from typing import Any

from dsl.durations import MAX_SECONDS, parse_duration
from dsl.expressions import Expression, ExpressionError, MissingError, Template
from interpreter.errors import Fault
from interpreter.scope import Act, Rec

__all__ = ["Duration", "evaluate", "evaluate_bool", "holds"]


async def evaluate(act: Act, rec: Rec, source: Expression | Template) -> Any:
    """The value of an expression or a template in an act."""
    while True:
        try:
            return source.evaluate(act)
        except ExpressionError as error:
            await _suspend(act, rec, str(error))


async def evaluate_bool(act: Act, rec: Rec, condition: Expression) -> bool:
    """The value of a condition."""
    while True:
        try:
            value = condition.evaluate(act)
        except ExpressionError as error:
            await _suspend(act, rec, str(error))
            continue
        if value is True or value is False:
            return value
        message = f"`{condition.source}` must be true or false, is {value!r:.60}"
        await _suspend(act, rec, message)


async def holds(act: Act, rec: Rec, condition: Expression) -> bool:
    """The value of the `when` of a `catch` or a `retry`: a missing key makes it false."""
    while True:
        try:
            value = condition.evaluate(act)
        except MissingError:
            return False
        except ExpressionError as error:
            await _suspend(act, rec, str(error))
            continue
        if value is True or value is False:
            return value
        await _suspend(act, rec, f"`{condition.source}` must be true or false")


async def _suspend(act: Act, rec: Rec, message: str) -> None:
    await act.execution.suspend(act, rec, Fault("ExpressionFailed", message))


def _in_seconds(value: Any) -> float | None:
    """A value as a duration, or None where it is none."""
    if isinstance(value, str):
        value = parse_duration(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_SECONDS else None


class Duration:
    """A duration that is known at load, or a template that gives it.

    Args:
        text: Its normal form in the model.
        template: Parsed, where it is one.
    """

    __slots__ = ("constant", "template")

    def __init__(self, text: str, template: Template | None) -> None:
        self.template = template
        self.constant = parse_duration(text) if template is None else None

    async def seconds(self, act: Act, rec: Rec) -> float:
        """Its value in seconds."""
        if self.constant is not None:
            return self.constant
        assert self.template is not None
        while True:
            seconds = _in_seconds(await evaluate(act, rec, self.template))
            if seconds is not None:
                return seconds
            message = "a duration must be like 30s, or seconds from 0 to 100 years"
            await _suspend(act, rec, message)

    def seconds_or(self, act: Act, otherwise: float) -> float:
        """Its value in seconds; `otherwise` where it cannot be had."""
        if self.constant is not None:
            return self.constant
        assert self.template is not None
        try:
            seconds = _in_seconds(self.template.evaluate(act))
        except ExpressionError:
            return otherwise
        return otherwise if seconds is None else seconds
