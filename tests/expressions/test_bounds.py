"""Bounds: hostile expressions end in time, sources are limited, simple ones pay nothing."""

import gc
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsl.expressions import LIMITS, ExpressionError, Value, parse, parse_template
from dsl.expressions.frame import Frame

from .support import Reads, compiled

ATTACKS: list[str] = yaml.safe_load(
    Path(__file__).with_name("attacks.yaml").read_text(encoding="utf-8")
)
SECONDS = 0.1
BYTES = 50_000_000


def deep(levels: int) -> Value:
    value: Value = 1
    for _ in range(levels):
        value = [value]
    return value


HOSTILE: dict[str, Value] = {
    "s": "x" * 200_000,
    "u": "\U0001f600" * 200_000,
    "xs": [{"id": i, "name": f"n{i}", "tags": ["a", "b"]} for i in range(3_000)],
    "nums": [*range(100_000)],
    "strs": ["a" * 1_000 + str(i) for i in range(2_000)],
    "obj": {f"k{i}": i for i in range(50_000)},
    "deep": deep(300),
    "huge": 10**4_000,
    "nan": float("nan"),
}


class Hostile(Reads):
    def step(self, id: str, field: str) -> Value:
        raise LookupError(f"the step `{id}` has not completed")


READS = Hostile(input=HOSTILE)


def seconds(run: Callable[[], object], rounds: int) -> float:
    """The least processor time of some rounds: noise only ever adds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def work() -> int:
    total = 0
    for i in range(100_000):
        total += i % 7
    return total


@pytest.fixture(scope="module")
def slowness() -> float:
    """How much slower than the machine the bounds were chosen on this one is, if it is."""
    return max(1.0, seconds(work, 5) / 0.006)


def outcome(source: str) -> ExpressionError | None:
    try:
        compiled(source).evaluate(READS)
    except ExpressionError as error:
        assert 0 <= error.start < error.end <= len(source)
        return error
    return None


@pytest.mark.parametrize("source", ATTACKS)
def test_attack_ends_in_time(source: str, slowness: float) -> None:
    expression = compiled(source)
    gc.collect(0)

    def run() -> None:
        try:
            expression.evaluate(READS)
        except ExpressionError as error:
            assert 0 <= error.start < error.end <= len(source)

    took = seconds(run, 1)
    if took > SECONDS * slowness:
        took = seconds(run, 5)
    assert took < SECONDS * slowness


# Tracing makes them slow: those that make many or large values, and every tenth of the others.
MAKING = ("input.u", "[input.nums", "[{", "zip(", "from_json('['", "list('\U0001f600", "pad_left")
TRACED = [one for i, one in enumerate(ATTACKS) if i % 10 == 0 or any(map(one.count, MAKING))]


@pytest.mark.parametrize("source", TRACED)
def test_attack_ends_in_memory(source: str) -> None:
    tracemalloc.start()
    try:
        outcome(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BYTES


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("[x for x in range(100000) for y in range(100000)]", "too much work"),
        ("range(100001)", "list is too long"),
        ("[1] * 100001", "list is too long"),
        ("input.nums + [1]", "list is too long"),
        ("'a' * 262145", "string is too long"),
        ("input.s + input.s", "string is too long"),
        ("join(input.strs)", "string is too long"),
        ("replace(input.s, 'x', 'yy')", "string is too long"),
        ("json(input.xs + input.xs + input.xs)", "string is too long"),
        ("[input.s] * 100", "value is too large"),
        ("[[[input.xs] * 100] * 100] * 100", "value is too large"),
        ("[input.deep]", "nested too deeply"),
        ("input.deep == from_json('[' * 60 + ']' * 60)", ""),
        ("input.deep == [input.deep[0][0]]", "nested too deeply"),
        ("[1][input.huge]", "no such item"),
        ("format_time(input.huge)", "years 1 to 9999"),
        ("int(input.nan)", "too large"),
        ("format_time(input.nan)", "years 1 to 9999"),
        ("json([input.nan])", "no JSON text"),
        ("input.nan + 1", "too large"),
        ("json(input.deep)", "nested too deeply"),
        ("unique([input.deep])", "nested too deeply"),
        ("from_json('[' * 100000)", "nested too deeply"),
        ("from_json('[' * 65 + ']' * 65)", "nested too deeply"),
        ("str(input.huge) + ''", ""),
    ],
)
def test_bound(source: str, message: str) -> None:
    error = outcome(source)
    assert (error.message if error else "") == "" or message in str(error)
    assert bool(message) == bool(error)


def test_reading_a_large_value_is_free() -> None:
    for source in ("input", "input.xs", "input.deep", "default(input.s, 1)", "first(input.xs)"):
        assert outcome(source) is None


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("1+" * 2_500 + "1", "too-long"),
        ("1+" * 2_000 + "1", "too-deep"),
        ("(" * 2_000 + "1" + ")" * 2_000, "too-deep"),
        ("[" * 65 + "]" * 65, "too-deep"),
        ("-" * 4_000 + "1", "too-deep"),
        ("not " * 1_000 + "true", "too-deep"),
        ("1 if true else " * 270 + "1", "too-deep"),
        ("a" + ".a" * 2_000, "too-deep"),
        ("a" + "[0]" * 1_000, "too-deep"),
        ("{" * 4_000, "expression-syntax"),
        ("(" * 4_000, "expression-syntax"),
        ("'" * 4_001, "expression-syntax"),
        ("\\" * 4_000, "expression-syntax"),
        ("for x in " * 400, "expression-syntax"),
        ("\ud800", "expression-syntax"),
        ("'\0'", "expression-syntax"),
        ("x" * 4_097, "too-long"),
    ],
)
def test_source_is_bounded(source: str, code: str) -> None:
    def run() -> None:
        expression, problems = parse(source)
        assert expression is None
        assert code in [problem.code for problem in problems]

    run()
    assert seconds(run, 3) < 0.1


@pytest.mark.parametrize(
    "source",
    [
        "(" * 60 + "1" + ")" * 60,
        "[" * 60 + "]" * 60,
        "+".join(["1"] * 60),
        "input" + ".a" * 60,
        " and ".join(["true"] * 300),
        "1 if true else " * 60 + "1",
        "not " * 60 + "true",
        " < ".join(map(str, range(300))),
        "[" + "1," * 2_000 + "]",
        "[" + "1 if true else 2," * 200 + "]",
        "[1" + "".join(f" for x{i} in [1]" for i in range(200)) + "]",
    ],
)
def test_nested_source_within_bounds(source: str) -> None:
    compiled(source)


def test_compiling_takes_linear_time() -> None:
    def run() -> None:
        compiled("not " * 60 + "true")
        compiled("(" * 50 + "1" + " == 1)" * 50)

    assert seconds(run, 3) < 0.1


@pytest.mark.parametrize("text", ["${" * 5_000, "$${" * 5_000, "${ { " * 500 + "}" * 500, "${'"])
def test_template_is_bounded(text: str) -> None:
    assert seconds(lambda: parse_template(text), 3) < 0.2


@pytest.mark.parametrize(
    "source",
    [
        "input.xs[0].id > 3",
        "input.obj.k1 == 1 and not (input.obj.k2 > 5)",
        "steps.a.status == 'x' or true",
        "input.obj.k1 + 1 if true else -1",
        "'k1' in input.obj",
        "'ab' + 'cd'",
        "[input.obj, {'a': input.xs}]",
        "has(input.obj.k1)",
    ],
)
def test_simple_expressions_spend_nothing(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[Frame] = []
    before = Frame.__init__

    def remember(self: Frame, *arguments: Any) -> None:
        before(self, *arguments)
        frames.append(self)

    monkeypatch.setattr(Frame, "__init__", remember)
    outcome(source)
    assert [frame.left for frame in frames] == [LIMITS.work]


def test_reading_does_not_depend_on_size(slowness: float) -> None:
    small = Reads(input={"a": {"b": 5}, "rest": []})
    large = Reads(input={"a": {"b": 5}, "rest": HOSTILE["xs"]})
    expression = compiled("input.a.b > 3 and input.rest != null")

    def time_of(reads: Reads) -> float:
        def run() -> None:
            for _ in range(2_000):
                expression.evaluate(reads)

        return seconds(run, 5)

    assert time_of(large) < 2 * time_of(small)
    assert time_of(small) / 2_000 < 5e-6 * slowness
