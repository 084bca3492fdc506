"""Durations that do not fit together, and long attempts that nobody would miss."""

from __future__ import annotations

from dsl.check.report import Report
from dsl.check.tree import Item, Tree
from dsl.durations import parse_duration
from dsl.model.common import Retry
from dsl.steps import ActivityStep, SleepStep
from dsl.syntax import Mapping

__all__ = ["check_timeouts"]

_LONG = 600.0
"""From how many seconds on an attempt should heartbeat."""


def check_timeouts(tree: Tree, report: Report) -> None:
    """Reports timeouts that never come to act, and long attempts without heartbeats."""
    definition = tree.definition
    whole = _seconds(definition.timeout)
    defaults, given = definition.defaults, tree.document.get("defaults")
    if defaults is not None and given is not None and isinstance(given.value, Mapping):
        _retry(defaults.retry, given.value, report)
        _silent(defaults.start_to_close_timeout, defaults.heartbeat_timeout, given.value, report)
        _exceeds(given.value, "heartbeat_timeout", "start_to_close_timeout", report)
    for item in tree.walk():
        _retry(item.step.retry, item.node, report)
        own = _seconds(item.step.timeout)
        if whole is not None and own is not None and own > whole:
            _add(item.node, "timeout", tree.document, "timeout", report)
        if isinstance(item.step, SleepStep):
            _sleep(item, tree, report)
        if isinstance(item.step, ActivityStep):
            for key in ("start_to_close_timeout", "schedule_to_start_timeout", "heartbeat_timeout"):
                _exceeds(item.node, key, "timeout", report)
            _exceeds(item.node, "heartbeat_timeout", "start_to_close_timeout", report)
            beats = item.step.heartbeat_timeout
            if beats is None and defaults is not None:
                beats = defaults.heartbeat_timeout
            if not item.step.local:
                _silent(item.step.start_to_close_timeout, beats, item.node, report)


def _seconds(text: object) -> float | None:
    return parse_duration(text) if isinstance(text, str) and "${" not in text else None


def _exceeds(node: Mapping, key: str, limit: str, report: Report) -> None:
    """Reports a duration that is longer than the one that ends it."""
    one, other = node.get(key), node.get(limit)
    if one is None or other is None:
        return
    seconds, most = _seconds(one.value.data()), _seconds(other.value.data())
    if seconds is not None and most is not None and seconds > most:
        _add(node, key, node, limit, report)


def _sleep(item: Item, tree: Tree, report: Report) -> None:
    for owner in (item.node, tree.document):
        limit = owner.get("timeout")
        most = _seconds(limit.value.data()) if limit is not None else None
        seconds = _seconds(item.step.sleep if isinstance(item.step, SleepStep) else None)
        if seconds is not None and most is not None and seconds > most:
            _add(item.node, "sleep", owner, "timeout", report)
            return


def _retry(retry: Retry | None, owner: Mapping, report: Report) -> None:
    entry = owner.get("retry")
    if retry is not None and entry is not None and isinstance(entry.value, Mapping):
        _exceeds(entry.value, "initial_interval", "maximum_interval", report)


def _add(node: Mapping, key: str, owner: Mapping, limit: str, report: Report) -> None:
    one, other = node.get(key), owner.get(limit)
    assert one is not None and other is not None
    message = f"`{key}` is longer than the `{limit}` that ends it"
    if owner is not node:
        message += " for the whole definition"
    report.add("DSL206", message, one.value.span, None, "it ends here", other.value.span)


def _silent(attempt: str | None, beats: str | None, node: Mapping, report: Report) -> None:
    seconds, entry = _seconds(attempt), node.get("start_to_close_timeout")
    if seconds is None or seconds <= _LONG or beats is not None or entry is None:
        return
    message = "if the worker dies, nobody notices until this long attempt is over"
    hint = "let the activity heartbeat, and say `heartbeat_timeout`"
    report.add("DSL507", message, entry.value.span, hint)
