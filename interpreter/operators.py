"""What operators answer to steps and compensations that are suspended."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from interpreter.logs import log

if TYPE_CHECKING:
    from interpreter.execution import Execution, Suspension

__all__ = ["ACTIONS", "ANSWER", "Answer", "accept", "give", "read"]

ANSWER = "dsl.answer"
"""The name of the update. No message of a definition can have it."""
ACTIONS = ("retry", "fail", "skip", "resolve")
_KEYS = frozenset(("action", "step", "output", "by", "reason"))
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """An operator's answer.

    Args:
        action: `retry`: try it again. `fail`: take the fault for an error, which may be caught
            and undoes what was done. `skip`: go on without the step. `resolve`: somebody did by
            hand what it should have done.
        step: The path of the step; None for all that are suspended.
        output: What `resolve` gives as the step's output.
        by: Who.
        reason: Why.
    """

    action: str
    step: str | None = None
    output: Any = None
    by: str | None = None
    reason: str | None = None


def read(given: Any) -> Answer:
    """An answer as it was sent.

    Raises:
        ValueError: What is wrong with it.
    """
    if not isinstance(given, dict):
        raise ValueError("an answer is an object with an `action`")
    fields = cast("dict[str, Any]", given)
    unknown = sorted(fields.keys() - _KEYS)
    if unknown:
        raise ValueError(f"`{unknown[0]}` is unknown; an answer has {', '.join(sorted(_KEYS))}")
    if fields.get("action") not in ACTIONS:
        raise ValueError(f"`action` must be one of {', '.join(ACTIONS)}")
    answer = Answer(**fields)
    for name in ("step", "by", "reason"):
        text = fields.get(name)
        if text is not None and not (isinstance(text, str) and len(text) <= _LONGEST):
            raise ValueError(f"`{name}` must be a text of at most {_LONGEST} characters")
    if answer.action in ("skip", "resolve") and not answer.step:
        raise ValueError(f"`{answer.action}` needs the path of the step")
    if "output" in fields and answer.action != "resolve":
        raise ValueError("only `resolve` takes an `output`")
    return answer


def accept(execution: Execution | None, answer: Answer) -> list[Suspension]:
    """The suspensions that an answer is for.

    Raises:
        ValueError: There are none.
    """
    suspended = execution.suspensions if execution is not None else []
    if answer.step is None:
        found = list(suspended)
    else:
        found = [one for one in suspended if one.rec.path == answer.step]
    # The answer to one that was answered already, and has not gone on yet, would be lost.
    found = [one for one in found if one.answer is None]
    if not found:
        what = "nothing" if answer.step is None else f"the step `{answer.step}` is not"
        known = ", ".join(f"`{one.rec.path}`" for one in suspended if one.answer is None)
        known = f"; suspended: {known}" if known else ""
        raise ValueError(f"{what} {'is ' if answer.step is None else ''}suspended{known}")
    return found


def give(execution: Execution, answer: Answer) -> list[str]:
    """Answers; gives the paths of the steps that go on."""
    found = accept(execution, answer)
    for suspension in found:
        record = {
            "time": execution.clock(),
            "action": answer.action,
            "step": suspension.rec.path,
            "fault": suspension.fault.type,
            "by": answer.by,
            "reason": answer.reason,
        }
        execution.answers.append(record)
        log(execution, logging.WARNING, "%s by %s", answer.action, answer.by or "an operator",
            step=suspension.rec.path)  # fmt: skip
        suspension.give(answer)
    return [suspension.rec.path for suspension in found]
