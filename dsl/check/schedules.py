"""The schedule of a definition: its times, its zone, and whether its input fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from dsl.check.report import Report
from dsl.diagnostics import did_you_mean
from dsl.durations import format_duration
from dsl.model.definition import Definition
from dsl.model.inputs import check_input, with_defaults
from dsl.model.schedule import CronError, Schedule, read_cron, seconds_of
from dsl.source import Span
from dsl.syntax import Entry, Mapping, Node, Scalar, Sequence, locate

__all__ = ["check_schedule"]

_SHORTEST_CATCHUP = 10.0
"""What Temporal takes instead of less, in seconds."""
_PLACE = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")


def check_schedule(definition: Definition, document: Mapping, report: Report) -> None:
    """Checks the schedule of a definition, where it has one.

    Args:
        definition: What was read of it.
        document: Its nodes.
        report: Takes what is wrong.
    """
    owner, schedule = document.get("schedule"), definition.schedule
    if owner is None or not isinstance(owner.value, Mapping) or schedule is None:
        return
    node = owner.value
    _one_of(owner, node, schedule, report)
    _crons(node, report)
    _zone(node, report)
    _times(node, schedule, report)
    if not any(found.code == "DSL204" for found in report.diagnostics):
        _input(owner, node, definition, document, report)


def _one_of(owner: Entry, node: Mapping, schedule: Schedule, report: Report) -> None:
    """Checks that there is exactly one of `cron` and `every`, with what goes with it."""
    cron, every = node.get("cron"), node.get("every")
    if cron is not None and every is not None:
        other = max((cron, every), key=lambda entry: entry.key.span.start)
        report.add("DSL107", "`cron` and `every` exclude one another", other.key.span)
    elif cron is None and every is None and not (schedule.has("cron") or schedule.has("every")):
        message = "a schedule needs `cron` or `every`"
        report.add("DSL102", message, owner.key.span, 'cron: "0 6 * * *"')
    offset, zone = node.get("offset"), node.get("timezone")
    if offset is not None and cron is not None and every is None:
        message = "`offset` is for `every`"
        report.add("DSL107", message, offset.key.span, "`cron` says the minute itself")
    if zone is not None and cron is None and every is not None:
        message = "`timezone` is for `cron`"
        report.add("DSL107", message, zone.key.span, "`every` is counted in UTC, with an `offset`")


def _crons(node: Mapping, report: Report) -> None:
    entry = node.get("cron")
    if entry is None:
        return
    nodes = entry.value.items if isinstance(entry.value, Sequence) else (entry.value,)
    for one in nodes:
        if not isinstance(one, Scalar) or not isinstance(one.value, str) or not one.value:
            continue
        try:
            read_cron(one.value)
        except CronError as error:
            message = f"this is no cron expression: {error}"
            report.add("DSL208", message, one.span, error.hint)


@cache
def _zones() -> frozenset[str]:
    """The time zones that are known here; none where the system has no such data."""
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def _zone(node: Mapping, report: Report) -> None:
    entry = node.get("timezone")
    if entry is None or not isinstance(entry.value, Scalar):
        return
    name, zones = entry.value.value, _zones()
    if not isinstance(name, str) or not name or not zones or name in zones:
        return
    hint = did_you_mean(name, sorted(zones)) or "write it like `Europe/Vienna`"
    report.add("DSL209", f"there is no time zone `{name}`", entry.value.span, hint)


def _times(node: Mapping, schedule: Schedule, report: Report) -> None:
    """Checks durations: Temporal would take another one, or refuse it."""
    every, offset = seconds_of(schedule.every), seconds_of(schedule.offset)
    for key in ("every", "offset"):
        entry = node.get(key)
        seconds = every if key == "every" else offset
        if entry is None or seconds is None:
            continue
        if seconds != int(seconds):
            message = f"`{key}` must be whole seconds"
            report.add("DSL210", message, entry.value.span)
        elif key == "every" and seconds < 1:
            report.add("DSL210", "`every` must be `1s` or more", entry.value.span)
        elif key == "offset" and every and seconds >= every:
            message = f"`offset` must be less than `every`, which is {format_duration(every)}"
            report.add("DSL210", message, entry.value.span)
    catchup, entry = seconds_of(schedule.catchup), node.get("catchup")
    if catchup is not None and entry is not None and catchup < _SHORTEST_CATCHUP:
        message = "`catchup` must be `10s` or more"
        report.add("DSL210", message, entry.value.span, "Temporal would take 10s for it")


def _input(
    owner: Entry, node: Mapping, definition: Definition, document: Mapping, report: Report
) -> None:
    """Checks the input of the runs by the definition's own schema."""
    entry, schema = node.get("input"), document.get("input")
    for scalar in _texts(entry.value) if entry is not None else ():
        message = "the input of a schedule is taken as it is: nothing is evaluated in it"
        hint = "the steps can find out what they need: `workflow.start_time` for example"
        report.add("DSL211", message, scalar.span, hint)
    if definition.input is None or schema is None:
        return
    given: Any = entry.value.data() if entry is not None else {}
    for line in check_input(definition.input, with_defaults(definition.input, given)):
        span = owner.key.span if entry is None else _span(entry, line)
        message = f"the definition refuses the input of its schedule: {line}"
        message, _, hint = message.partition("; ")
        related, there = "its schema is here", schema.key.span
        report.add("DSL211", message, span, hint or None, related, there)


def _texts(node: Node) -> Iterator[Scalar]:
    """The texts with an expression in them."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str) and "${" in node.value:
            yield node
    elif isinstance(node, Mapping):
        for entry in node.entries:
            yield from _texts(entry.value)
    else:
        for item in node:
            yield from _texts(item)


def _span(entry: Entry, line: str) -> Span:
    """The place in the input that a line is about, `input.a[0]: ...`."""
    place = line.partition(": ")[0].removeprefix("input")
    path = tuple(name or int(index) for name, index in _PLACE.findall(place))
    found, key = locate(entry.value, path)
    if isinstance(found, Scalar) and found.span.end > found.span.start:
        return found.span
    return (key or entry.key).span
