"""Templates: values with `${ }` in their strings."""

from typing import Any

import pytest

from dsl.expressions import (
    LIMITS,
    ExpressionError,
    Template,
    Value,
    parse_template,
    strip_braces,
)

from .support import INPUT, Reads


def template(value: Any) -> Template:
    parsed, problems = parse_template(value)
    assert parsed is not None, problems
    return parsed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${ input.amount }", 2000),
        ("  ${ input.amount }\n", 2000),
        ("${input.order}", INPUT["order"]),
        ("${ null }", None),
        ("n=${ input.amount }", "n=2000"),
        ("${ input.name } ${ input.name }", "Ada Ada"),
        ("${ 1 }${ 2 }", "12"),
        (" ${ 1 } ${ 2 } ", " 1 2 "),
        (
            "${ true }, ${ null }, ${ 1.5 }, ${ [1, 'é'] }, ${ {'a': 1} }!",
            'true, null, 1.5, [1,"é"], {"a":1}!',
        ),
        ("$${ input.amount }", "${ input.amount }"),
        ("$$${ input.amount }", "$${ input.amount }"),
        ("$${ a } ${ 1 }", "${ a } 1"),
        ("cost: $5 } {", "cost: $5 } {"),
        ("$", "$"),
        ("", ""),
        ("${ '}' }", "}"),
        ("${ {'a': {'b': 2}}.a.b }", 2),
        ('${ {"a": "}"} }', {"a": "}"}),
        ('a ${ "\\"}" } b', 'a "} b'),
        ("${ [x for x in input.nums if x > 1] }", [3, 2]),
        ("don't ${ 1 } don't", "don't 1 don't"),
        ({"a": ["${ 1 }", "x"], "${ k }": 2}, {"a": [1, "x"], "${ k }": 2}),
        (["$${", {"b": "$${ x }"}], ["${", {"b": "${ x }"}]),
        ({"a": {"b": ["${ input.name }!"]}}, {"a": {"b": ["Ada!"]}}),
        (5, 5),
        (None, None),
        (True, True),
    ],
)
def test_value(value: Any, expected: Value) -> None:
    result = template(value).evaluate(Reads())
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("value", ["a", 1, None, [1, {"a": "b"}], {"a": [None, "$"]}, [], "$ { }"])
def test_constant_is_the_same_object(value: Any) -> None:
    parsed = template(value)
    assert parsed.constant
    assert parsed.reads == frozenset()
    assert parsed.expressions == ()
    assert parsed.evaluate(Reads()) is value


def test_constant_unescapes_once() -> None:
    parsed = template({"a": "$${x}", "b": [1]})
    assert parsed.constant
    assert parsed.evaluate(Reads()) == {"a": "${x}", "b": [1]}
    assert parsed.evaluate(Reads()) is parsed.evaluate(Reads())


def test_constant_parts_are_shared() -> None:
    value = {"big": [1, 2, 3], "n": "${ 1 }"}
    result = template(value).evaluate(Reads())
    assert isinstance(result, dict)
    assert result["big"] is value["big"]


def test_expressions_and_reads() -> None:
    parsed = template({"a": ["x ${  vars.count } ${steps.charge.output}"], "b": "${ item }"})
    assert not parsed.constant
    assert [(path, offset, one.source) for path, offset, one in parsed.expressions] == [
        (("a", 0), 6, "vars.count"),
        (("a", 0), 21, "steps.charge.output"),
        (("b",), 3, "item"),
    ]
    assert parsed.reads == {("vars", "count"), ("steps", "charge", "output"), ("item",)}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a ${ b", [((), "template-unclosed", "${")]),
        ("a ${ {'b': 1 }", [((), "template-unclosed", "${")]),
        ("é ${ 'b }", [((), "expression-syntax", "'")]),
        ("${ 1 + }", [((), "expression-syntax", "")]),
        ("${}", [((), "empty", "")]),
        (
            "${ a b } ${ upper() }",
            [((), "expression-syntax", "a b"), ((), "argument-count", "upper()")],
        ),
        ({"k": ["ok", "x ${ 1 is 2 }"]}, [(("k", 1), "not-allowed", "is")]),
        ("${ ${ a } }", [((), "not-allowed", "$")]),
    ],
)
def test_problems(value: Any, found: list[tuple[tuple[str | int, ...], str, str]]) -> None:
    parsed, problems = parse_template(value)
    assert parsed is None
    assert [(one.path, one.problem.code) for one in problems] == [one[:2] for one in found]
    for one, (path, _, piece) in zip(problems, found, strict=True):
        text: Any = value
        for key in path:
            text = text[key]
        assert text[one.problem.start : one.problem.end] == piece


def test_error_has_its_path() -> None:
    parsed = template({"a": ["x ${ input.zz }"]})
    with pytest.raises(ExpressionError) as caught:
        parsed.evaluate(Reads())
    assert caught.value.path == ("a", 0)
    assert caught.value.offset == 5
    assert caught.value.source == "input.zz"


def test_large_values_are_refused() -> None:
    text = "x" * LIMITS.string
    reads = Reads(input={"text": text, "list": ["y" * 1_000] * 1_000})
    assert template("${ input.text }").evaluate(reads) is text
    with pytest.raises(ExpressionError, match="string is too long"):
        template("${ input.text }!").evaluate(reads)
    with pytest.raises(ExpressionError, match="string is too long"):
        template("list: ${ input.list }").evaluate(reads)
    with pytest.raises(ExpressionError, match="value is too large"):
        template({"a": ["${ input.list }"] * 10}).evaluate(reads)


def test_growth_in_a_loop_is_refused() -> None:
    nest = template({"next": "${ input }"})
    double = template(["${ input }", "${ input }"])
    for grow, message in ((nest, "nested too deeply"), (double, "too large")):
        value: Value = "x" * 100
        with pytest.raises(ExpressionError, match=message):
            for _ in range(100):
                value = grow.evaluate(Reads(input=value))


def test_deep_template_is_a_problem() -> None:
    value: Any = "${ 1 }"
    for _ in range(LIMITS.value_depth + 1):
        value = [value]
    parsed, problems = parse_template(value)
    assert parsed is None
    assert [one.problem.code for one in problems] == ["too-deep"]


@pytest.mark.parametrize(
    ("text", "source", "offset"),
    [
        ("a > 1", "a > 1", 0),
        ("  a", "  a", 0),
        ("${ a }", "a", 3),
        ("${a}", "a", 2),
        ("  ${  a }\n", "a", 6),
        ("${ {'a': '}'} }", "{'a': '}'}", 3),
        ("${ a } and ${ b }", "${ a } and ${ b }", 0),
        ("${ a", "${ a", 0),
        ("${ }", "", 3),
        ("", "", 0),
    ],
)
def test_strip_braces(text: str, source: str, offset: int) -> None:
    assert strip_braces(text) == (source, offset)
    if source:
        assert text[offset : offset + len(source)] == source
