"""The normal form: what is stored, and what the interpreter runs.

Leaves are in their normal form when they are read (durations in seconds, expressions without
their braces). Here the defaults are merged into the activities, so that what is stored says
all by itself, and a later change of a default of ours changes no running or stored definition.
"""

from __future__ import annotations

from typing import Any

from dsl.model.common import Catch, Retry, StepBase
from dsl.model.definition import (
    DEFAULT_START_TO_CLOSE,
    Defaults,
    Definition,
    Signal,
    Update,
)
from dsl.steps import ActivityStep, Case
from dsl.steps.activity import NOT_LOCAL

__all__ = ["normalise"]

_OPTIONS = (
    "task_queue",
    "start_to_close_timeout",
    "schedule_to_start_timeout",
    "heartbeat_timeout",
)
_NOTHING = Defaults.model_validate({})
_UNDO_RETRY = Retry.model_validate(
    {"initial_interval": "1s", "backoff_coefficient": 2, "maximum_interval": "60s"}
)
"""The retry of a compensation without one of its own: no end, at last once a minute."""


def normalise(definition: Definition) -> Definition:
    """A definition with its defaults merged into its activities. Idempotent."""
    defaults = definition.defaults or _NOTHING
    changed = {
        name: _value(getattr(definition, name), defaults)
        for name in ("steps", "catch", "finally_", "signals", "updates")
        if definition.has(name)
    }
    normal = definition.model_copy(update=changed)
    fields = normal.model_fields_set - {"defaults"}
    return Definition.model_construct(
        fields, **{name: value for name, value in normal if name in fields}
    )


def _value(value: Any, defaults: Defaults | None) -> Any:
    """A part of the model, with `defaults`; without them inside a compensation."""
    match value:
        case list():
            return [_value(item, defaults) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {key: _value(item, defaults) for key, item in value.items()}  # pyright: ignore
        case StepBase() | Catch() | Case() | Signal() | Update():
            changed: dict[str, Any] = {}
            for name in value.model_fields_set:
                part = getattr(value, name)
                if name == "compensate":
                    changed[name] = _value(part, None)
                elif _holds_steps(part):
                    changed[name] = _value(part, defaults)
            if isinstance(value, ActivityStep):
                changed |= _options(value, defaults)
            return value.model_copy(update=changed) if changed else value
        case _:
            return value


def _holds_steps(part: Any) -> bool:
    if isinstance(part, dict):
        return any(_holds_steps(item) for item in part.values())  # pyright: ignore
    return isinstance(part, list) and any(isinstance(p, StepBase | Catch | Case) for p in part)  # pyright: ignore


def _options(step: ActivityStep, defaults: Defaults | None) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    given = defaults or _NOTHING
    for name in _OPTIONS:
        if step.local and name in NOT_LOCAL:
            continue
        if not step.has(name) and given.has(name):
            changed[name] = getattr(given, name)
    if not step.has("start_to_close_timeout") and "start_to_close_timeout" not in changed:
        changed["start_to_close_timeout"] = DEFAULT_START_TO_CLOSE
    retry = given.retry if defaults is not None else (None if step.retry else _UNDO_RETRY)
    if retry is not None:
        merged = {n: getattr(retry, n) for n in retry.model_fields_set}
        if step.retry is not None:
            merged |= {n: getattr(step.retry, n) for n in step.retry.model_fields_set}
        changed["retry"] = Retry.model_construct(set(merged), **merged)
    return changed
