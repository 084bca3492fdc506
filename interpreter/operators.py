"""What operators answer to steps and compensations that are suspended."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from interpreter.logs import log

if TYPE_CHECKING:
    from interpreter.execution import Execution, Suspension

__all__ = [
    "ACTIONS",
    "ANSWER",
    "RESUME",
    "Answer",
    "Resumption",
    "accept",
    "accept_resumption",
    "give",
    "note_resumption",
    "read",
    "read_resumption",
]

ANSWER = "dsl.answer"
"""The name of the update. No message of a definition can have it."""
RESUME = "dsl.resume"
"""The name of the update that lets a suspended run go on under another revision."""
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
    _check_texts(fields, "step", "by", "reason")
    if answer.action in ("skip", "resolve") and not answer.step:
        raise ValueError(f"`{answer.action}` needs the path of the step")
    if "output" in fields and answer.action != "resolve":
        raise ValueError("only `resolve` takes an `output`")
    return answer


def _check_texts(fields: dict[str, Any], *names: str) -> None:
    for name in names:
        text = fields.get(name)
        if text is not None and not (isinstance(text, str) and len(text) <= _LONGEST):
            raise ValueError(f"`{name}` must be a text of at most {_LONGEST} characters")


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
        _note(execution, suspension, answer.action, answer.by, answer.reason)
        suspension.give(answer)
    return [suspension.rec.path for suspension in found]


def _note(
    execution: Execution, suspension: Suspension, action: str, by: str | None, reason: str | None
) -> None:
    """Puts an answer on record."""
    record = {
        "time": execution.clock(),
        "action": action,
        "step": suspension.rec.path,
        "fault": suspension.fault.type,
        "by": by,
        "reason": reason,
    }
    execution.answers.append(record)
    log(execution, logging.WARNING, "%s by %s", action, by or "an operator",
        step=suspension.rec.path)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resumption:
    """An operator's wish that a suspended run goes on under another revision.

    Args:
        wanted: `{revision}` or `{alias}`; None for that of the alias `live`.
        by: Who.
        reason: Why.
    """

    wanted: dict[str, str] | None
    by: str | None = None
    reason: str | None = None


def read_resumption(given: Any) -> Resumption:
    """A wish as it was sent.

    Raises:
        ValueError: What is wrong with it.
    """
    if not isinstance(given, dict):
        raise ValueError("it must be an object with a `revision` or an `alias`")
    fields = cast("dict[str, Any]", given)
    unknown = sorted(fields.keys() - {"revision", "alias", "by", "reason"})
    if unknown:
        raise ValueError(f"`{unknown[0]}` is unknown")
    if {"revision", "alias"} <= fields.keys():
        raise ValueError("give a `revision` or an `alias`, not both")
    _check_texts(fields, "revision", "alias", "by", "reason")
    wanted = {name: fields[name] for name in ("revision", "alias") if fields.get(name)}
    return Resumption(wanted or None, fields.get("by"), fields.get("reason"))


def accept_resumption(execution: Execution | None) -> None:
    """Looks whether something is suspended that may go on under another revision.

    Raises:
        ValueError: There is nothing.
    """
    if execution is None or not execution.suspensions:
        raise ValueError("nothing is suspended")
    if execution.origin.part is not None:
        raise ValueError(
            "a slice of a `batch` ends as it began; answer `retry`, `skip`, `resolve` or `fail`"
        )
    if execution.undoing or execution.token.stopping():
        raise ValueError(
            "it is being undone, and that ends as it began; answer `retry`, `skip` or `resolve`"
        )
    for suspension in execution.suspensions:
        if "#" in suspension.rec.path:
            raise ValueError(
                f"`{suspension.rec.path}` handles a message, and that ends as it began; "
                "answer `retry`, `skip`, `resolve` or `fail`"
            )


def note_resumption(execution: Execution, resumption: Resumption) -> list[str]:
    """Puts it on record; gives the paths of the steps that were suspended."""
    found = list(execution.suspensions)
    for suspension in found:
        _note(execution, suspension, "resume", resumption.by, resumption.reason)
    return [suspension.rec.path for suspension in found]
