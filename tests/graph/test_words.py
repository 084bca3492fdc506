"""The words of pictures, and how they are broken into lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.graph import words
from dsl.graph.text import CODE, SMALL, TITLE, Style, width, wrap


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("86400s", "1 day"),
        ("172800s", "2 days"),
        ("90000s", "1 day 1 h"),
        ("5400s", "1 h 30 min"),
        ("0.25s", "250 ms"),
        ("0s", "0 s"),
        ("${ input.wait }", "input.wait"),
    ],
)
def test_durations(text: str, wanted: str) -> None:
    assert words.duration(text) == wanted


@pytest.mark.parametrize(
    "value, wanted",
    [
        ("${ vars.n + 1 }", "vars.n + 1"),
        ("  ${ x }\n", "x"),
        ("Order ${ input.id }: ${ '}' }", "Order {input.id}: {'}'}"),
        ("$${ x }", "${ x }"),
        ({}, "{}"),
        ({"a": {"b": [1, "${ c }", None, True]}}, "a: {b: [1, c, null, true]}"),
        ([], "[]"),
        (1.5, "1.5"),
        ("", ""),
        ("two\nlines\tand \x1b[31m more", "two lines and [31m more"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_values(value: Any, wanted: str) -> None:
    assert words.shown(value) == wanted


def test_a_large_value_is_not_written_out() -> None:
    large = [["x" * 10] * 1000] * 1000
    assert len(words.shown(large)) <= 300


def test_names() -> None:
    assert words.readable("ship_all") == "Ship all"
    assert words.readable("") == ""
    assert [words.listed(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        *("", "a", "a and b", "a, b and c")
    ]
    assert words.listed(("a", "b"), "or") == "a or b"


def test_texts_of_known_width() -> None:
    # Helvetica has 556 thousandths for a digit; a tenth is added for other fonts.
    assert width("0000000000", SMALL) == 68
    assert width("0000000000", CODE) == 68
    assert width("日本", CODE) == width("日本", SMALL) > width("ab", CODE)
    assert width("e\u0301", SMALL) == width("e", SMALL)
    assert width("", TITLE) == 0


styles = st.sampled_from((TITLE, CODE, SMALL))


@given(st.text(), styles, st.integers(40, 300), st.integers(1, 5))
def test_lines_are_no_wider_than_they_may_be(
    text: str, style: Style, limit: int, most: int
) -> None:
    line = words.one_line(text)
    lines = wrap(line, style, limit, most)
    assert len(lines) <= most
    assert all(width(one, style) <= limit for one in lines)
    whole = "".join(lines).replace(" ", "")
    wanted = line.replace(" ", "")
    assert whole == wanted or (len(lines) == most and wanted.startswith(whole.removesuffix("…")))


@pytest.mark.parametrize(
    "text, lines",
    [
        ("one two three", ("one two", "three")),
        ("steps.approval.output", ("steps.", "approval.", "output")),
        ("steps.approval.output is not there", ("steps.", "approval.", "output i…")),
        ("abcdefghijklmnop", ("abcdefghij", "klmnop")),
    ],
)
def test_where_lines_are_broken(text: str, lines: tuple[str, ...]) -> None:
    assert wrap(text, CODE, width("x" * 10, CODE), 3) == lines
