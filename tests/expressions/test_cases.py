"""The cases of cases.yaml, and the examples of every function."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsl.expressions import (
    CODES,
    FUNCTIONS,
    RESERVED,
    ExpressionError,
    MissingError,
    Value,
    parse,
)

from .support import INPUT, SCOPE, Reads, analysed, compiled

GROUPS: list[dict[str, list[dict[str, Any]]]] = yaml.safe_load(
    Path(__file__).with_name("cases.yaml").read_text(encoding="utf-8")
)
CASES = [
    pytest.param(case, id=f"{group}: {case['expr']}")
    for entry in GROUPS
    for group, cases in entry.items()
    for case in cases
]


def same(left: object, right: object) -> bool:
    """Equality that tells 1, 1.0 and true apart."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return left == right


def place(case: dict[str, Any]) -> tuple[int, int]:
    """Where the text under `at` stands in the source, the `nth` time."""
    piece = case["at"]
    start = len(case["expr"]) if piece == "" and case["expr"] else -1
    for _ in range(case.get("nth", 1) if start < 0 else 0):
        start = case["expr"].index(piece, start + 1)
    return max(start, 0), max(start, 0) + len(piece)


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    before = copy.deepcopy(INPUT)
    if "problem" in case:
        expression, problems = parse(case["expr"])
        assert expression is None
        problem = problems[0]
        assert problem.code == case["problem"], problem
        assert case.get("says", "") in problem.message
        assert case.get("hint", "") in (problem.hint or ""), problem
        assert (problem.start, problem.end) == place(case), problem
    elif "check" in case:
        problems = analysed(case["expr"]).check(SCOPE)[1]
        assert [problem.code for problem in problems][:1] == [case["check"]][: len(problems)]
        assert bool(problems) == (case["check"] is not None)
        for problem in problems[:1]:
            assert case.get("hint", "") in (problem.hint or ""), problem
            assert (problem.start, problem.end) == place(case), problem
    elif "error" in case:
        with pytest.raises(ExpressionError) as caught:
            compiled(case["expr"]).evaluate(Reads())
        error = caught.value
        assert case["error"] in error.message
        assert (error.start, error.end) == place(case), error
        assert isinstance(error, MissingError) == case.get("missing", False)
        assert case.get("hint", "") in (error.hint or ""), error
        assert "\n" not in str(error)
        assert error.source == case["expr"]
    else:
        value = compiled(case["expr"]).evaluate(Reads())
        assert same(value, case["value"]), value
    assert before == INPUT


EXAMPLES = [
    pytest.param(source, value, id=source)
    for function in FUNCTIONS.values()
    for source, value in function.examples
]


@pytest.mark.parametrize(("source", "value"), EXAMPLES)
def test_example(source: str, value: Value) -> None:
    assert same(compiled(source).evaluate(Reads()), value)


NAMES = """
    len min max sum abs round int float str bool type list sorted reversed range zip enumerate any
    all keys values items merge upper lower strip split join replace starts_with ends_with contains
    pad_left format_number json from_json base64 sha256 time duration format_time now uuid default
    has first last flatten unique group_by
"""


def test_functions_are_documented() -> None:
    assert sorted(NAMES.split()) == list(FUNCTIONS)
    for name, function in FUNCTIONS.items():
        assert function.name == name
        assert function.signature.startswith(f"{name}(")
        assert function.doc.endswith(".")
        assert function.examples
        assert any(f"{name}(" in source for source, _ in function.examples)
    assert not RESERVED & set(FUNCTIONS)


def test_every_code_has_a_case() -> None:
    cases: list[Any] = [case.values[0] for case in CASES]
    seen = {case.get("problem") for case in cases} | {case.get("check") for case in cases}
    elsewhere = {"too-long", "too-deep", "template-unclosed"}
    assert seen - {None} | elsewhere == set(CODES)
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("input.a + input.b", {("input",)}),
        ("vars.x + vars.y", {("vars", "x"), ("vars", "y")}),
        ("steps.a.output.b.c", {("steps", "a", "output")}),
        (
            "steps.a.status == 'x' or steps.a.error",
            {("steps", "a", f) for f in ("status", "error")},
        ),
        ("[x.y + item for x in input]", {("input",), ("item",)}),
        ("input[vars.k]", {("input",), ("vars", "k")}),
        ("[1, true, null, none]", set[tuple[str, ...]]()),
    ],
)
def test_reads(source: str, reads: set[tuple[str, ...]]) -> None:
    assert compiled(source).reads == reads


def test_all_problems_are_collected() -> None:
    _, problems = parse("uper(1) + len() + {1, 2}.x()")
    assert [problem.code for problem in problems] == [
        "unknown-function",
        "argument-count",
        "not-allowed",
        "not-allowed",
    ]
    problems = analysed("a + vars.b + steps.c.output").check(SCOPE)[1]
    assert [problem.code for problem in problems] == [
        "unknown-name",
        "unknown-variable",
        "unknown-step",
    ]


def test_error_is_one_legible_line() -> None:
    with pytest.raises(MissingError) as caught:
        compiled("input.order.totl + 1").evaluate(Reads())
    assert str(caught.value) == (
        "there is no key `totl`, in `input.order.totl` (did you mean `total`?)"
    )


def test_values_read_are_the_same_objects() -> None:
    assert compiled("input.order").evaluate(Reads()) is INPUT["order"]
    result = compiled("[input.order]").evaluate(Reads())
    assert isinstance(result, list)
    assert result[0] is INPUT["order"]
