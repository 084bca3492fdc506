"""Every key of the language, each in the smallest definition that can have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dsl.model.common import BodyStep, Catch, Compensation, Model, Retry, RunCompensation
from dsl.model.definition import Check, Defaults, Definition, Signal, Update
from dsl.model.schedule import Schedule
from dsl.steps import KINDS, Case
from dsl.steps.activity import Priority

__all__ = ["PLACES", "keys_of", "with_key"]

_VALUE = {"value": 1}
_ACTIVITY = {"id": "a", "activity": "a"}
_RULE = {"check": "true", "message": "m"}
_CASE = {"when": "true", "do": [_VALUE]}
_STEPS: dict[str, Any] = {
    "activity": _ACTIVITY,
    "do": {"do": [_VALUE]},
    "parallel": {"parallel": {"a": [_VALUE]}},
    "foreach": {"foreach": "[1]", "do": [_VALUE]},
    "while": {"while": "true", "do": [_VALUE]},
    "until": {"until": "true", "do": [_VALUE]},
    "switch": {"switch": [_CASE]},
    "sleep": {"sleep": "1s"},
    "sleep_until": {"sleep_until": 0},
    "wait_signal": {"wait_signal": "s"},
    "wait_condition": {"wait_condition": "true"},
    "workflow": {"id": "w", "workflow": "w"},
    "send_signal": {"send_signal": "s", "workflow_id": "w"},
    "value": _VALUE,
    "set": {"set": {"v": 1}},
    "set_search_attributes": {"set_search_attributes": {"A": 1}},
    "raise": {"raise": "E"},
    "return": {"return": 1},
    "rollback": {"rollback": "all"},
    "break": {"break": True},
    "continue": {"continue": True},
}
_COMMON = frozenset(field.alias or name for name, field in BodyStep.model_fields.items())


def _step(step: Any) -> Any:
    return {"dsl": 1, "name": "n", "steps": [{"foreach": "[1]", "do": [step]}]}


def _definition(**more: Any) -> Any:
    return {"dsl": 1, "name": "n", "steps": [_VALUE], **more}


PLACES: dict[str, tuple[type[Model], Callable[[Any], Any]]] = {
    **{kind.kind: (kind, lambda it, base=_STEPS[kind.kind]: _step(base | it)) for kind in KINDS},
    "retry": (Retry, lambda it: _step(_VALUE | {"retry": it})),
    "catch": (Catch, lambda it: _step(_VALUE | {"catch": [it]})),
    "compensation": (RunCompensation, lambda it: _definition(compensation=it)),
    "compensation of a step": (
        Compensation,
        lambda it: _definition(steps=[{"do": [_VALUE], "compensation": it}]),
    ),
    "priority": (Priority, lambda it: _step(_ACTIVITY | {"priority": it})),
    "case": (Case, lambda it: _step({"switch": [_CASE | it]})),
    "else": (Case, lambda it: _step({"switch": [_CASE, it]})),
    "defaults": (Defaults, lambda it: _definition(defaults=it)),
    "schedule": (Schedule, lambda it: _definition(schedule={"every": "1h"} | it)),
    "schedule by cron": (Schedule, lambda it: _definition(schedule={"cron": "0 6 * * *"} | it)),
    "signal": (Signal, lambda it: _definition(signals={"s": it})),
    "update": (Update, lambda it: _definition(updates={"u": {"do": [_VALUE], **it}})),
    "check": (
        Check,
        lambda it: _definition(updates={"u": {"do": [_VALUE], "validate": [_RULE | it]}}),
    ),
    "definition": (Definition, lambda it: _definition(**it)),
}
"""What has keys: its model, and how it gets into a definition."""


def keys_of(place: str) -> Iterator[str]:
    """The keys of it. Those that every step has are those of two kinds only."""
    for name, field in PLACES[place][0].model_fields.items():
        key = field.alias or name
        if key not in _COMMON or place not in _STEPS or place in ("activity", "do"):
            yield key


def with_key(place: str, key: str, value: Any) -> Any:
    """A definition with the key."""
    return PLACES[place][1]({key: value})
