"""Durations as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.durations import MAX_SECONDS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("9ms", 0.009),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5_400.0),
        ("2d", 172_800.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("1.5s", 1.5),
        ("1h0.5m", 3_630.0),
        ("0s", 0.0),
        ("90m", 5_400.0),
        ("PT5M", 300.0),
        ("P1DT2H", 93_600.0),
        ("P1D", 86_400.0),
        ("PT0.25S", 0.25),
        ("P2W", 1_209_600.0),
        ("PT1H30M10S", 5_410.0),
        ("36525d", MAX_SECONDS),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "s", "-5s", "+5s", "5 s", "5s ", "1m1h", "1s1s", "1.5h30m", "1e3s", "5S", "5w"),
        *(".5s", "1.s", "P", "PT", "P1DT", "P1Y", "P1M", "PT-5M", "P1W1D", "pt5m", "PT1.5H5M"),
        *("36526d", "1_0s", "٣s", "9" * 400 + "s", "1h" * 5_000),
    ],
)
def test_refused(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (0.0005, "0.5ms"),
        (1.5, "1.5s"),
        (60, "1m"),
        (5_400, "1h30m"),
        (93_784.005, "1d2h3m4.005s"),
        (172_800, "2d"),
        (-90, "-1m30s"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=int(MAX_SECONDS * 1_000)))
def test_round_trip(milliseconds: int) -> None:
    seconds = milliseconds / 1_000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)
