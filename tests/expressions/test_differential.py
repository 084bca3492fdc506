"""The language against Python itself, on what the two have in common.

EXPRESSION_EXAMPLES sets how many expressions are tried.
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsl.expressions import ExpressionError, Value, parse

from .support import Reads
from .test_cases import same

EXAMPLES = int(os.environ.get("EXPRESSION_EXAMPLES", "200"))
INPUT: dict[str, Value] = {"n": 7, "f": 2.5, "s": "héllo", "xs": [3, 1, 2], "t": True}
PYTHON = {
    name: __builtins__[name] if isinstance(__builtins__, dict) else getattr(__builtins__, name)
    for name in ("len", "abs", "min", "max", "sorted", "any", "all", "sum", "round", "int", "float")
}


class Dots(dict[str, Value]):
    """An object whose keys Python reads with a dot."""

    __getattr__ = dict[str, Value].__getitem__


def _wrap(text: str) -> str:
    return f"({text})"


def _binary(operators: list[str], operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda left, operator, right: f"({left} {operator} {right})",
        operands,
        st.sampled_from(operators),
        operands,
    )


numbers = st.one_of(
    st.integers(-(2**40), 2**40).map(str).map(_wrap),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr).map(_wrap),
    st.sampled_from(["input.n", "input.f", "input['n']", "input.xs[0]", "input.xs[-1]"]),
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(repr),
    st.sampled_from(["input.s", "input.s[1:3]", "input.s[::-1]", "input.s[0]"]),
)
lists = st.one_of(
    st.lists(numbers, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
    st.sampled_from(["input.xs", "input.xs[1:]", "[x for x in input.xs if x > 1]"]),
)


def _numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        _binary(["+", "-", "*", "/", "//", "%"], inner),
        inner.map(lambda one: f"(-{one})"),
        inner.map(lambda one: f"(+{one})"),
        inner.map(lambda one: f"abs({one})"),
        inner.map(lambda one: f"round({one}, 2)"),
        inner.map(lambda one: f"int({one})"),
        inner.map(lambda one: f"float({one})"),
        st.builds(lambda one, other: f"max({one}, {other})", inner, inner),
        st.builds(lambda one, other: f"({one} if input.t else {other})", inner, inner),
        lists.map(lambda one: f"len({one})"),
        lists.map(lambda one: f"min({one} + [1])"),
        texts.map(lambda one: f"len({one})"),
        st.builds(lambda one, other: f"({one})[{other}]", lists, st.integers(-4, 4)),
    )


number_trees = st.recursive(numbers, _numbers, max_leaves=8)
list_trees = st.one_of(
    _binary(["+"], lists),
    st.builds(lambda one, times: f"({one} * {times})", lists, st.integers(-1, 3)),
    lists.map(lambda one: f"sorted({one})"),
    st.builds(lambda one, value: f"[{value} + x for x in {one}]", lists, number_trees),
    st.builds(
        lambda one, other: f"[[x, y] for x in {one} for y in {other} if x < y]", lists, lists
    ),
    st.builds(
        lambda one, low, high, step: f"({one})[{low}:{high}:{step}]",
        lists,
        st.integers(-5, 5),
        st.integers(-5, 5),
        st.sampled_from([-2, -1, 1, 2]),
    ),
)
text_trees = st.one_of(
    _binary(["+"], texts),
    st.builds(lambda one, times: f"({one} * {times})", texts, st.integers(-1, 3)),
    st.builds(
        lambda one, low, high: f"({one})[{low}:{high}]",
        texts,
        st.integers(-9, 9),
        st.integers(-9, 9),
    ),
)
bool_trees = st.recursive(
    st.one_of(
        _binary(["<", "<=", ">", ">=", "==", "!="], number_trees),
        _binary(["<", "<=", ">", ">=", "==", "!=", "in", "not in"], text_trees),
        _binary(["==", "!="], list_trees),
        st.builds(lambda one, other: f"({one} in {other})", number_trees, lists),
        st.builds(lambda one, other: f"any(x > {one} for x in {other})", number_trees, lists),
        st.builds(lambda a, b, c: f"({a} < {b} <= {c})", number_trees, number_trees, number_trees),
        st.sampled_from(["input.t", "True", "False"]),
    ),
    lambda inner: st.one_of(_binary(["and", "or"], inner), inner.map(lambda one: f"(not {one})")),
    max_leaves=5,
)
sources = st.one_of(number_trees, list_trees, text_trees, bool_trees)


def in_range(value: object) -> bool:
    if isinstance(value, list):
        return all(map(in_range, value))
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value not in (float("inf"), float("-inf")) and value == value


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(sources)
def test_same_as_python(source: str) -> None:
    expression, problems = parse(source)
    if expression is None:
        assert {one.code for one in problems} <= {"too-deep", "too-long", "shadowed-name"}
        return
    try:
        value = expression.evaluate(Reads(input=INPUT))
    except ExpressionError as error:
        failed = error
    else:
        assert same(value, eval(source, {"__builtins__": PYTHON, "input": Dots(INPUT)}))
        return
    # Where the language fails, Python fails too, or leaves the language's range on the way.
    try:
        wanted = eval(source, {"__builtins__": PYTHON, "input": Dots(INPUT)})
    except (ArithmeticError, IndexError, ValueError):
        return
    assert "too large" in failed.message, (source, wanted)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=60))
def test_any_text_parses_or_has_problems(source: str) -> None:
    expression, problems = parse(source)
    assert (expression is None) == bool(problems)
    for problem in problems:
        assert 0 <= problem.start <= problem.end <= len(source)


WORDS = st.sampled_from(
    [
        *"()[]{}.,:+-*/%<>=!'\"$`#@&|^~;0 \n",
        *("for ", "in ", "if ", "else ", "not ", "and ", "lambda ", "is ", "x", "é", "input"),
        *("len", "steps.a", ".output", "**", "==", "1.5", "'a'", "${", "f'"),
    ]
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(WORDS, max_size=25).map("".join))
def test_any_tokens_parse_or_have_problems(source: str) -> None:
    expression, problems = parse(source)
    assert (expression is None) == bool(problems)
    for problem in problems:
        assert 0 <= problem.start <= problem.end <= len(source)
        assert "ast" not in problem.message.split()
    if expression is not None:
        try:
            expression.evaluate(Reads())
        except ExpressionError as error:
            assert 0 <= error.start <= error.end <= len(source)
