"""The words of a picture: what people read who do not know the language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

from dsl.durations import format_duration, parse_duration
from dsl.expressions import parts
from dsl.graph.parts import Icon, Mark
from dsl.model.common import BodyStep, Catch, Retry, StepBase
from dsl.model.joins import JoinStep
from dsl.steps import ActivityStep, ForeachStep

__all__ = [
    "duration",
    "errors",
    "facts",
    "joined",
    "listed",
    "marks",
    "members",
    "one_line",
    "readable",
    "shown",
    "tries",
]

_UNITS = {"h": "h", "m": "min", "s": "s", "ms": "ms"}
_PART = re.compile(r"([0-9.]+)(ms|[dhms])")
_JOINERS = "\u200c\u200d"
"""Characters without a shape of their own that words and emojis need."""
_MOST = 300
"""The longest value that is shown, in characters: pictures cut it shorter still."""


def readable(name: str) -> str:
    """A name as the beginning of a sentence: `ship_all` is `Ship all`."""
    words = re.sub(r"[_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def one_line(text: str) -> str:
    """A text without line breaks, and without characters that are only there to control."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)
    return " ".join(text.split())


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names in a row: `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def duration(text: str) -> str:
    """A duration in its normal form: `2 days`, `1 h 30 min`; or the expression that gives it."""
    seconds = parse_duration(text)
    if seconds is None:
        return shown(text)
    found: list[tuple[str, str]] = _PART.findall(format_duration(seconds))
    return " ".join(f"{n} {_UNITS.get(unit) or _days(n)}" for n, unit in found)


def _days(number: str) -> str:
    return "day" if number == "1" else "days"


def shown(value: Any) -> str:
    """A template on one line: expressions bare, and in braces inside other text."""
    text = _shown(value, [_MOST], outermost=True)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _shown(value: Any, left: list[int], outermost: bool = False) -> str:
    """See `shown`. Stops where what is left is spent, for a value may be large."""
    if left[0] <= 0:
        return "…"
    match value:
        case str():
            text = _text(value)
            left[0] -= len(text)
            return text
        case dict():
            items = cast("dict[str, Any]", value).items()
            inner = _cut((f"{key}: {_shown(item, left)}" for key, item in items), left)
            return inner if outermost and inner else f"{{{inner}}}"
        case list():
            return f"[{_cut((_shown(item, left) for item in cast('list[Any]', value)), left)}]"
        case _:
            left[0] -= 5
            return json.dumps(value)


def _cut(texts: Iterable[str], left: list[int]) -> str:
    found: list[str] = []
    for text in texts:
        found.append(text)
        if left[0] <= 0:
            break
    return ", ".join(found)


def _text(text: str) -> str:
    found = list(parts(text)) if "${" in text else [text]
    alone = sum(isinstance(part, tuple) for part in found) == 1
    alone = alone and not any(isinstance(part, str) and part.strip() for part in found)
    words: list[str] = []
    for part in found:
        if isinstance(part, tuple):
            expression = text[part[0] : part[1]]
            words.append(expression if alone else f"{{{expression}}}")
        elif isinstance(part, str):
            words.append(part)
    return one_line("".join(words))


def tries(retry: Retry) -> str:
    """How often something is tried, and on which condition."""
    match retry.maximum_attempts:
        case None | "unlimited":
            text = "tried again until it succeeds"
        case number:
            text = "tried once" if number == 1 else f"up to {number} tries"
    if retry.when is not None:
        text += f", again if {one_line(retry.when)}"
    return text


def errors(clause: Catch) -> str:
    """What a `catch` is for."""
    return f"On {listed(clause.errors, 'or')}" if clause.errors else "On any error"


def marks(step: StepBase) -> tuple[Mark, ...]:
    """What the picture shows of the common keys of a step."""
    found: list[Mark] = []
    if step.timeout is not None:
        found.append(Mark(Icon.CLOCK, f"within {duration(step.timeout)}"))
    # Every activity is tried again, and Temporal does it: that is no part of the flow.
    if step.retry is not None and not isinstance(step, ActivityStep):
        found.append(Mark(Icon.REPEAT, tries(step.retry)))
    order = step.compensation.order if isinstance(step, BodyStep) and step.compensation else None
    if order == "parallel":
        found.append(Mark(Icon.UNDO, "undone all at once"))
    return tuple(found)


def members(step: JoinStep) -> tuple[Mark, ...]:
    """How the members of a step run, and how many must succeed."""
    found: list[Mark] = []
    if isinstance(step, ForeachStep):
        many = (step.concurrency or 1) > 1
        how = f"{step.concurrency} at a time" if many else "one after the other"
        found.append(Mark(Icon.PARALLEL if many else Icon.NEXT, how))
        if step.tolerated_failures:
            found.append(Mark(Icon.ERROR, f"up to {step.tolerated_failures} may fail"))
    elif step.concurrency is not None:
        found.append(Mark(Icon.PARALLEL, f"{step.concurrency} at a time"))
    else:
        found.append(Mark(Icon.PARALLEL, "at the same time"))
    return tuple(found)


def joined(step: JoinStep, count: int | None) -> str:
    """When the flow goes on after the members of a step.

    Args:
        step: The step.
        count: How many members there are, where that is known.
    """
    match step.join or "all":
        case "all":
            text = "when all are done"
        case "any" | 1:
            text = "when the first is done"
        case number:
            text = (
                f"when {number} are done" if count is None else f"when {number} of {count} are done"
            )
    if (step.join or "all") != "all":
        finish = step.losers == "finish"
        text += "; the others run on" if finish else "; the others are cancelled and undone"
    if step.on_error == "wait_all":
        text += "; an error waits for the others"
    return text


def facts(step: StepBase) -> tuple[str, ...]:
    """What tables say of a step beside what the picture shows."""
    found: list[str] = []
    if isinstance(step, ActivityStep):
        if step.start_to_close_timeout is not None:
            found.append(f"each try within {duration(step.start_to_close_timeout)}")
        if step.retry is not None:
            found.append(tries(step.retry))
            if step.retry.non_retryable_error_types:
                types = listed(step.retry.non_retryable_error_types, "or")
                found.append(f"not tried again after {types}")
        if step.task_queue is not None:
            found.append(f"on {shown(step.task_queue)}")
    if isinstance(step, BodyStep) and step.compensation is not None:
        match step.compensation.on_failure:
            case "halt":
                found.append("undoing stops when it fails")
            case "suspend":
                found.append("undoing waits for an operator when it fails")
            case _:
                pass
    return tuple(found)
