"""`wait_signal`: wait for a message from outside."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from dsl.model.common import StepBase
from dsl.model.leaves import EXPRESSION, FLAG, MESSAGE_NAME, Leaf, Role, mistake
from dsl.model.leaves import count as whole_number

__all__ = ["WaitSignalStep"]


def _names(value: Any) -> str | list[str]:
    if isinstance(value, list) and value:
        names: list[str] = [MESSAGE_NAME.read(name) for name in value]  # pyright: ignore[reportUnknownVariableType]
        if len(set(names)) < len(names):
            raise mistake("DSL106", "must not name a signal twice")
        return names
    return MESSAGE_NAME.read(value)


_SIGNALS = Leaf(
    Role.PLAIN,
    _names,
    {
        "if": {"type": "array"},
        "then": {"minItems": 1, "uniqueItems": True, "items": MESSAGE_NAME.schema},
        "else": MESSAGE_NAME.schema,
    },
)


class WaitSignalStep(StepBase):
    """Waits for a signal, and consumes it. Its output is the signal's payload.

    For a list of names it is `{signal, payload}`; with `count` a list of these.
    """

    kind: ClassVar[str] = "wait_signal"
    example: ClassVar[str] = """
        signals:
          approval:
            payload:
              type: object
              required: [approved]
              properties: {approved: {type: boolean}}
        steps:
          - id: approval
            wait_signal: approval
            timeout: 24h
            catch:
              - errors: [Timeout]
                output: {approved: false}
    """

    wait_signal: Annotated[str | list[str], _SIGNALS] = Field(
        description="The name of the signal, or a list of several, declared under `signals`. One "
        "that came before the wait was kept and is taken at once.",
        examples=["approval", ["approved", "refused"]],
    )
    where: Annotated[str | None, EXPRESSION] = Field(
        None,
        description="An expression: which of the signals are taken. Sees `payload` and `signal`, "
        "its name. The others are kept.",
        examples=["payload.approved"],
    )
    count: Annotated[int | None, whole_number(1)] = Field(
        None,
        description="How many to wait for. The output is then a list of them. Default: one, which "
        "is the output itself.",
        examples=[2],
    )
    fresh: Annotated[bool | None, FLAG] = Field(
        None,
        description="`true` takes only what arrives after the wait began, and none that was kept. "
        "Default `false`.",
    )
