"""Functions on time, and those that read what the workflow gives: `now()`, `uuid()`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from dsl.durations import MAX_SECONDS, parse_duration, parse_time

from .errors import Fault, shorten
from .frame import Frame, Value
from .function import Function, function, want_number, want_text

__all__ = ["TIME_FUNCTIONS"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORMAT_LENGTH: Final = 200
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def _seconds(text: str) -> int | float:
    seconds = parse_time(text)
    if seconds is None:
        raise Fault(
            f"`{shorten(text)}` is no time of RFC 3339", "write it like `2024-05-17T09:30:00Z`"
        )
    return seconds


@function(
    "time(text)",
    "string -> int|float",
    "The seconds from 1970 (UTC) to an RFC 3339 time.",
    ('time("1970-01-02T00:00:00Z")', 86_400),
    ('time("2024-05-17T09:30:00.5+02:00")', 1_715_931_000.5),
    weight=35,
)
def _time(frame: Frame, text: Value) -> Value:
    return _seconds(want_text("time", text))


@function(
    "duration(text)",
    "string|int|float -> int|float",
    "The seconds of a duration such as `1h30m` or `PT5M`; a number is seconds already.",
    ('duration("1h30m")', 5_400),
    ('duration("250ms")', 0.25),
    ("duration(7)", 7),
    weight=35,
)
def _duration(frame: Frame, text: Value) -> Value:
    if isinstance(text, str):
        seconds = parse_duration(text) if len(text) <= 100 else None
        if seconds is None:
            hint = "write it like `1h30m` or `PT5M`"
            raise Fault(f"`{shorten(text)}` is no duration", hint)
        return int(seconds) if seconds.is_integer() else seconds
    value = want_number("duration", text)
    if 0 <= value <= MAX_SECONDS:
        return value
    raise Fault("a duration is from 0 seconds to 100 years")


def _code(letter: str, moment: datetime) -> str | None:
    match letter:
        case "Y":
            return f"{moment.year:04}"
        case "y":
            return f"{moment.year % 100:02}"
        case "m":
            return f"{moment.month:02}"
        case "d":
            return f"{moment.day:02}"
        case "H":
            return f"{moment.hour:02}"
        case "I":
            return f"{(moment.hour - 1) % 12 + 1:02}"
        case "M":
            return f"{moment.minute:02}"
        case "S":
            return f"{moment.second:02}"
        case "f":
            return f"{moment.microsecond:06}"
        case "j":
            return f"{moment.timetuple().tm_yday:03}"
        case "p":
            return "AM" if moment.hour < 12 else "PM"
        case "A" | "a":
            return _DAYS[moment.weekday()][: None if letter == "A" else 3]
        case "B" | "b":
            return _MONTHS[moment.month - 1][: None if letter == "B" else 3]
        case "%":
            return "%"
        case _:
            return None


@function(
    'format_time(seconds, format="%Y-%m-%dT%H:%M:%SZ")',
    "int|float|string, string -> string",
    "A time in UTC as text, by the codes %Y %y %m %d %H %I %M %S %f %j %p %A %a %B %b %%.",
    ("format_time(0)", "1970-01-01T00:00:00Z"),
    ('format_time(86400.5, "%d %b %Y, %H:%M")', "02 Jan 1970, 00:00"),
    ('format_time("2024-05-17T09:30:00+02:00", "%A %H:%M")', "Friday 07:30"),
    weight=60,
)
def _format_time(frame: Frame, seconds: Value, format: Value = "%Y-%m-%dT%H:%M:%SZ") -> Value:
    template = want_text("format_time", format)
    if len(template) > _FORMAT_LENGTH:
        raise Fault(f"the format is too long (over {_FORMAT_LENGTH} characters)")
    frame.spend(2 * len(template))
    value = _seconds(seconds) if isinstance(seconds, str) else want_number("format_time", seconds)
    try:
        moment = _EPOCH + timedelta(seconds=value)
    except (OverflowError, ValueError):
        raise Fault("the time is not in the years 1 to 9999") from None
    return re.sub("%(.?)", lambda found: _replaced(found, moment), template, flags=re.DOTALL)


def _replaced(found: "re.Match[str]", moment: datetime) -> str:
    text = _code(found.group(1), moment)
    if text is None:
        hint = "the codes are %Y %y %m %d %H %I %M %S %f %j %p %A %a %B %b %%"
        raise Fault(f"`{found.group()}` is no code of a time", hint)
    return text


@function(
    "now()",
    "-> string",
    "The workflow's time, as an RFC 3339 string.",
    ("time(now()) > 0", True),
    weight=20,
)
def _now(frame: Frame) -> Value:
    return frame.context.now()


@function("uuid()", "-> string", "A new random UUID.", ("len(uuid())", 36), weight=40)
def _uuid(frame: Frame) -> Value:
    return frame.context.uuid()


TIME_FUNCTIONS: Final[tuple[Function, ...]] = (_time, _duration, _format_time, _now, _uuid)
"""The functions of this module."""
