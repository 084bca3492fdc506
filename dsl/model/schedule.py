"""The schedule of a definition: when it is started by itself, and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import ConfigDict, Field, JsonValue

from dsl.diagnostics import did_you_mean
from dsl.durations import parse_duration
from dsl.model import patterns
from dsl.model.common import Model
from dsl.model.leaves import ANY, DURATION, FLAG, Leaf, Role, choice, describe, mistake
from dsl.model.rules import forbids, needs

__all__ = ["OVERLAPS", "Cron", "CronError", "Range", "Schedule", "read_cron", "seconds_of"]

OVERLAPS = ("skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other", "allow_all")
"""What is done where the run before is still open, as Temporal names it."""


def _plain_duration(value: Any) -> str:
    """A duration that is known before anything runs."""
    if isinstance(value, str) and "${" in value:
        hint = "nothing is known yet when a schedule begins a run"
        raise mistake("DSL201", "a duration of a schedule cannot be an expression", hint)
    return DURATION.read(value)


def _cron(value: Any) -> str | list[str]:
    if isinstance(value, list):
        given = cast("list[Any]", value)
        if not given:
            raise mistake("DSL106", "must not be empty")
        for one in given:
            _cron_text(one)
        return cast("list[str]", given)
    return _cron_text(value)


def _cron_text(value: Any) -> str:
    if not isinstance(value, str):
        message = f"must be a text or a list of texts, is {describe(value)}"
        raise mistake("DSL105", message, 'write "0 6 * * *"')
    if not value:
        raise mistake("DSL106", "must not be empty")
    return value


def _zone(value: Any) -> str:
    if not isinstance(value, str):
        raise mistake("DSL105", f"must be the name of a time zone, is {describe(value)}")
    if not value:
        raise mistake("DSL106", "must not be empty")
    return value


_PLAIN_DURATION = Leaf(
    Role.PLAIN,
    _plain_duration,
    {
        "type": "string",
        "pattern": patterns.whole(patterns.DURATION),
        "patternErrorMessage": "A duration has its units: `30s`, `5m`, `1h30m`, `2d`, `PT5M`.",
        "errorMessage": "A duration has its unit: write `30s`.",
        "examples": ["1h", "5m", "2d"],
    },
)
_NOT_EMPTY: dict[str, Any] = {"type": "string", "minLength": 1}
_CRON = Leaf(
    Role.PLAIN,
    _cron,
    {"anyOf": [_NOT_EMPTY, {"type": "array", "minItems": 1, "items": _NOT_EMPTY}]},
)
_ZONE = Leaf(Role.PLAIN, _zone, _NOT_EMPTY)
_BY_CRON: JsonValue = {"required": ["cron"]}
_RULES: list[JsonValue] = [
    {
        "if": _BY_CRON,
        "then": forbids("every", "offset", why="`cron` and `every` exclude one another."),
        "else": needs("every", why="A schedule needs `cron` or `every`."),
    },
    {
        "if": _BY_CRON,
        "else": forbids("timezone", why="`timezone` is for `cron`."),
    },
]


class Schedule(Model):
    """When runs are started by themselves, and with what: a Schedule of Temporal.

    `deploy` makes it, and it follows what is live. It has `cron` or `every`.
    """

    model_config = ConfigDict(json_schema_extra={"allOf": _RULES})

    cron: Annotated[str | list[str] | None, _CRON] = Field(
        None,
        description="When, as in crontab: minute, hour, day of the month, month, day of the week. "
        "A sixth field is the year; seven begin with the second. Or `@hourly`, `@daily`, "
        "`@weekly`, `@monthly`, `@yearly`. All fields must match. With a list: when any comes.",
        examples=["0 6 1 * *", "*/15 8-17 * * mon-fri", "@daily"],
    )
    every: Annotated[str | None, _PLAIN_DURATION] = Field(
        None,
        description="Instead of `cron` a duration, counted from 1970 in UTC: `1h` is every full "
        "hour. Whole seconds.",
        examples=["1h", "90s"],
    )
    offset: Annotated[str | None, _PLAIN_DURATION] = Field(
        None,
        description="How much later than that, a duration: `every: 1h` with `offset: 5m` is five "
        "past each hour.",
        examples=["5m"],
    )
    timezone: Annotated[str | None, _ZONE] = Field(
        None,
        description="The time zone of `cron`, by its name in the IANA database. Default `UTC`.",
        examples=["Europe/Vienna"],
    )
    overlap: Annotated[str | None, choice(*OVERLAPS)] = Field(
        None,
        description="What to do when it is time and the run before is still open: `skip` this one, "
        "the default; start it when that one has ended (`buffer_one`, `buffer_all`); end that one "
        "(`cancel_other`, which undoes it, `terminate_other`, which does not); or run both "
        "(`allow_all`).",
    )
    catchup: Annotated[str | None, _PLAIN_DURATION] = Field(
        None,
        description="How late a run may start that the server missed because it was down, a "
        "duration from `10s`. Default: Temporal's, a year.",
        examples=["1h"],
    )
    jitter: Annotated[str | None, _PLAIN_DURATION] = Field(
        None,
        description="Starts each run up to so much later, a duration, so that not all begin at "
        "once.",
        examples=["5m"],
    )
    input: Annotated[Any, ANY] = Field(
        None,
        description="The input of each run: a value as it is, without expressions. It must fit "
        "`input`. Default `{}`.",
        examples=[{"region": "north"}],
    )
    paused: Annotated[bool | None, FLAG] = Field(
        None,
        description="`true` keeps it from starting anything. A pause in Temporal's UI or CLI stays "
        "until this is changed. Default `false`.",
    )

    @property
    def crons(self) -> list[str]:
        """The expressions of `cron`, of which there may be none."""
        return [self.cron] if isinstance(self.cron, str) else self.cron or []

    @property
    def given(self) -> Any:
        """The input of each run."""
        return self.input if self.has("input") else {}


def seconds_of(duration: str | None) -> float | None:
    """The seconds of a duration of a schedule."""
    return None if duration is None else parse_duration(duration)


# Cron.


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `start` to `end`, in steps."""

    start: int
    end: int
    step: int = 1

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.end + 1, self.step))


@dataclass(frozen=True, slots=True)
class Cron:
    """What a cron expression means. A moment must match all fields; no years are all."""

    second: tuple[Range, ...]
    minute: tuple[Range, ...]
    hour: tuple[Range, ...]
    day_of_month: tuple[Range, ...]
    month: tuple[Range, ...]
    day_of_week: tuple[Range, ...]
    year: tuple[Range, ...] = ()


class CronError(ValueError):
    """A text is no cron expression.

    Args:
        message: What is wrong.
        hint: What to write.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SECOND = _Field("second", 0, 59)
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of the week", 0, 7, _DAYS)
_YEAR = _Field("year", 2000, 2100)
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FORM = 'write it like "0 6 * * *": minute, hour, day of the month, month, day of the week'
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER = re.compile("[0-9]{1,4}")


def read_cron(text: str) -> Cron:
    """Reads a cron expression, as Temporal does where it takes it.

    Raises:
        CronError: if it is none, or can never come.
    """
    fields = _NAMED.get(text.strip(), text).split()
    first = fields[0] if fields else ""
    if first.startswith(("TZ=", "CRON_TZ=")):
        raise CronError("a time zone does not stand in it", "the key `timezone` says it")
    if first == "@every":
        raise CronError("`@every` does not stand in it", "the key `every` says it")
    if first.startswith("@"):
        hint = did_you_mean(first, _NAMED) or "known are " + ", ".join(_NAMED)
        raise CronError(f"`{first}` is unknown", hint)
    if not 5 <= len(fields) <= 7:
        count = f"{len(fields)} field{'s' if len(fields) != 1 else ''}"
        raise CronError(f"it has {count}, and needs 5", _FORM)
    if len(fields) == 6 and not _NUMBER.match(fields[5]):
        hint = f'with seconds it has seven: "{text.strip()} *"'
        raise CronError("the sixth of six fields is the year", hint)
    year = _ranges(_YEAR, fields.pop()) if len(fields) > 5 else ()
    second = _ranges(_SECOND, fields.pop(0)) if len(fields) > 5 else (Range(0, 0),)
    if year == (Range(_YEAR.least, _YEAR.most),):
        year = ()
    kinds = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)
    minute, hour, day, month, weekday = map(_ranges, kinds, fields)
    least = min(one.start for one in day)
    if all(least > _LENGTHS[number - 1] for one in month for number in one):
        raise CronError("no month that it names has such a day", "it would never come")
    return Cron(second, minute, hour, day, month, _weekdays(weekday), year)


def _ranges(field: _Field, text: str) -> tuple[Range, ...]:
    return tuple(_range(field, part) for part in text.split(","))


def _range(field: _Field, text: str) -> Range:
    body, slash, stride = text.partition("/")
    step = 1
    # Of days of the week the last is the first again.
    most = 6 if field is _WEEKDAY else field.most
    if slash:
        step = int(stride) if _NUMBER.fullmatch(stride) else 0
        if not 0 < step <= most - field.least:
            message = f"`{stride}` is no step for the {field.name}"
            raise CronError(message, f"from 1 to {most - field.least}")
    if body == "*":
        return Range(field.least, most, step)
    low, dash, high = body.partition("-")
    start = _number(field, low)
    if not dash:
        return Range(start, max(start, most) if slash else start, step)
    end = _number(field, high)
    if end < start:
        message = f"`{body}` is no range for the {field.name}: it goes down"
        hint = "Sunday is also 7" if field is _WEEKDAY else f"write two: `{low}-{most},...`"
        raise CronError(message, hint)
    return Range(start, end, step)


def _number(field: _Field, text: str) -> int:
    if not text:
        raise CronError(f"a number is missing in the {field.name}", _FORM)
    word = text.lower()
    for index, name in enumerate(field.words):
        if word in (name, name[:3]):
            return index + (field is _MONTH)
    number = int(text) if _NUMBER.fullmatch(text) else -1
    if not field.least <= number <= field.most:
        names = f", or {field.words[0][:3]} to {field.words[-1][:3]}" if field.words else ""
        hint = f"from {field.least} to {field.most}{names}; `*` for any"
        raise CronError(f"`{text}` is no {field.name}", hint)
    return number


def _weekdays(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Days of the week in which Sunday is 0 only."""
    if all(day < 7 for one in ranges for day in one):
        return ranges
    days = {day % 7 for one in ranges for day in one}
    return tuple(Range(day, day) for day in sorted(days))
