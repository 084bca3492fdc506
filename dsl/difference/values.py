"""Values and their changes as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, cast

from dsl.durations import format_duration, parse_duration

__all__ = ["MISSING", "changes", "joined", "text_of"]

MISSING: Final = object()
"""Stands for a value that is not there."""

_MOST = 60
"""How much of a value is shown, in characters."""
_CONTEXT = 20
"""How much of what is the same is shown before a difference that comes late."""
_PLAIN_KEY = re.compile(r"[\w$-]+")
_DURATIONS = frozenset(
    (
        "timeout",
        "sleep",
        "start_to_close_timeout",
        "schedule_to_start_timeout",
        "heartbeat_timeout",
        "retry.initial_interval",
        "retry.maximum_interval",
        "compensation.timeout",
        "schedule.every",
        "schedule.offset",
        "schedule.catchup",
        "schedule.jitter",
    )
)
"""The fields that are durations, which are shown without quotes."""


def text_of(value: Any) -> str:
    """A value as compact JSON. Two values are the same if their texts are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def joined(path: str, key: str) -> str:
    """The path of a key below a path."""
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{text_of(key)}]"
    return f"{path}.{key}" if path else key


def changes(at: str, path: str, old: Any, new: Any) -> Iterator[str]:
    """What changed in a value, a line for each part of it.

    Args:
        at: What stands before the path in every line.
        path: The path of the value.
        old: The old value, or `MISSING`.
        new: The new value, or `MISSING`.
    """
    if old is new:
        return
    if old is MISSING:
        yield f"{at}{path} added: {_cut(_shown(path, new))}"
    elif new is MISSING:
        yield f"{at}{path} removed, was {_cut(_shown(path, old))}"
    elif text_of(old) == text_of(new):
        pass
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _map(at, path, cast("dict[str, Any]", old), cast("dict[str, Any]", new))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list(at, path, cast("list[Any]", old), cast("list[Any]", new))
    else:
        yield _change(at, path, old, new)


def _map(at: str, path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in new | old:
        yield from changes(at, joined(path, key), old.get(key, MISSING), new.get(key, MISSING))
    if [key for key in old if key in new] != [key for key in new if key in old]:
        yield f"{at}{path} has its keys in another order"


def _list(at: str, path: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    """A list is shown whole if it is short, or if its items do not stand for one another."""
    short = max(len(text_of(old)), len(text_of(new))) <= _MOST
    if short or len(old) != len(new):
        yield _change(at, path, old, new)
        return
    for index, (before, after) in enumerate(zip(old, new, strict=True)):
        yield from changes(at, f"{path}[{index}]", before, after)


def _change(at: str, path: str, old: Any, new: Any) -> str:
    before, after = _shown(path, old), _shown(path, new)
    pairs = enumerate(zip(before, after, strict=False))
    same = next((place for place, (a, b) in pairs if a != b), min(len(before), len(after)))
    long = max(len(before), len(after)) > _MOST
    start = same - _CONTEXT if long and same > 2 * _CONTEXT else 0
    return f"{at}{path} {_cut(before, start)} -> {_cut(after, start)}"


def _shown(path: str, value: Any) -> str:
    if path in _DURATIONS and isinstance(value, str) and "${" not in value:
        seconds = parse_duration(value)
        return value if seconds is None else format_duration(seconds)
    return text_of(value)


def _cut(text: str, start: int = 0) -> str:
    text = "..." + text[start:] if start else text
    return text if len(text) <= _MOST else text[: _MOST - 3] + "..."
