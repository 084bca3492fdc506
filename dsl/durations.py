"""Durations as text (`250ms`, `1h30m`, `2d`, ISO 8601's `PT5M`), and times of RFC 3339."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["MAX_SECONDS", "format_duration", "parse_duration", "parse_time"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,12})?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)

MAX_SECONDS: Final = 100 * 365.25 * 86_400.0
"""The longest duration there is, in seconds: 100 years."""

_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_ORDER: Final = tuple(_UNITS)
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_PART: Final = re.compile(rf"({_NUMBER})(ms|[dhms])")
_SHORT: Final = re.compile(rf"(?:{_NUMBER}(?:ms|[dhms])){{1,5}}")
_ISO: Final = re.compile(
    rf"P(?:(?P<w>{_NUMBER})W|(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?=[0-9])(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?)"
)


def parse_duration(text: str) -> float | None:
    """Read a duration.

    Args:
        text: `250ms`, `30s`, `5m`, `1h30m`, `2d` (largest unit first, each unit once, a decimal
            fraction only in the last part), or ISO 8601 with weeks, days, hours, minutes and
            seconds.

    Returns:
        Seconds, from 0 to `MAX_SECONDS`; None if the text is no such duration.
    """
    parts = _short_parts(text) if _SHORT.fullmatch(text) else _iso_parts(text)
    if not parts or any("." in number for number, _ in parts[:-1]):
        return None
    seconds = sum(_seconds(number, unit) for number, unit in parts)
    return seconds if seconds <= MAX_SECONDS else None


def _short_parts(text: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = _PART.findall(text)
    places = [_ORDER.index(unit) for _, unit in parts]
    return parts if places == sorted(set(places)) else []


def _iso_parts(text: str) -> list[tuple[str, str]]:
    found = _ISO.fullmatch(text)
    if found is None:
        return []
    return [(number, unit) for unit, number in found.groupdict().items() if number is not None]


def _seconds(number: str, unit: str) -> float:
    # Dividing keeps 9ms at 0.009; multiplying by 0.001 would not.
    if unit == "ms":
        return float(number) / 1_000.0
    return float(number) * (604_800.0 if unit == "w" else _UNITS[unit])


def format_duration(seconds: float) -> str:
    """Write a duration in the shortest form `parse_duration` reads.

    Args:
        seconds: A finite number of seconds; rounded to the microsecond.

    Returns:
        Such as `1h30m`, `1.5s`, `250ms`, `0s`; with a `-` before it if negative.
    """
    micros = round(abs(seconds) * 1_000_000)
    sign = "-" if seconds < 0 and micros else ""
    if 0 < micros < 1_000_000:
        return f"{sign}{_decimal(micros, 1_000)}ms"
    text = ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        count, micros = divmod(micros, size * 1_000_000)
        text += f"{count}{unit}" if count else ""
    if micros or not text:
        text += f"{_decimal(micros, 1_000_000)}s"
    return sign + text


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    digits = str(scale + rest)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def parse_time(text: str) -> int | float | None:
    """The seconds from 1970 (UTC) to a time of RFC 3339, or None if `text` is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, hours, minutes = found.groups()[6:]
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    if sign:
        offset = int(hours) * 3_600 + int(minutes) * 60
        whole += offset if sign == "-" else -offset
    part = float(fraction) if fraction else 0.0
    return whole + part if part else whole
