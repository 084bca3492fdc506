"""Static types against what really comes out: what works is no mistake, and fits its type.

EXPRESSION_EXAMPLES sets how many expressions are tried; `make soak` tries 20,000.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dsl.expressions import ExpressionError, Scope, Type, Value, parse
from dsl.expressions.types import ANY, Field, Rest, list_of, literal, object_of, of, union
from dsl.expressions.values import kind

from .support import Reads, analysed
from .test_random import EXAMPLES, NAMES, _expression  # pyright: ignore[reportPrivateUsage]


def exact(value: Value) -> Type:
    """All that is true of a value."""
    if isinstance(value, list):
        return list_of(union(map(exact, value)))
    if isinstance(value, dict):
        return object_of({name: Field(exact(inner)) for name, inner in value.items()})
    return literal(value)


def vague(value: Value, pick: random.Random) -> Type:
    """Something that is true of a value, with more or less of it known."""
    if pick.random() < 0.1:
        return ANY
    if isinstance(value, list):
        return list_of(union(vague(item, pick) for item in value[:50]))
    if isinstance(value, dict):
        fields = {
            name: Field(vague(inner, pick), pick.random() < 0.8)
            for name, inner in value.items()
            if pick.random() < 0.9
        }
        found = object_of(fields, Rest.CLOSED if len(fields) == len(value) else Rest.OPEN)
    elif pick.random() < 0.3:
        found = literal(value)
    else:
        found = of(kind(value))
    if pick.random() < 0.2:
        others = pick.choice((literal(None), of("string"), of("list"), literal("other")))
        found = union((found, others))
    return found


def fits(value: Value, type: Type, depth: int = 0) -> bool:
    """Whether a value is one of those that a type allows."""
    name = kind(value)
    if name not in type.kinds and not (name == "int" and "float" in type.kinds):
        return False
    if isinstance(value, list):
        return depth > 4 or all(fits(item, type.items, depth + 1) for item in value[:20])
    if isinstance(value, dict):
        return depth > 4 or _fits_object(value, type, depth)
    return type.values is None or any(value == known for known in type.values)


def _fits_object(value: Mapping[str, Value], type: Type, depth: int) -> bool:
    if any(field.required and name not in value for name, field in type.fields.items()):
        return False
    if type.rest is Rest.CLOSED and any(name not in type.fields for name in value):
        return False
    return all(
        name not in type.fields or fits(inner, type.fields[name].type, depth + 1)
        for name, inner in list(value.items())[:20]
    )


def scope_of(types: Mapping[str, Type], reads: Reads) -> Scope:
    steps = frozenset(id for id, _ in reads.steps)
    return Scope(
        names=types,
        variables={name: exact(value) for name, value in reads.variables.items()},
        steps=steps,
        all_steps=steps,
        outputs={id: exact(v) for (id, field), v in reads.steps.items() if field == "output"},
    )


@pytest.mark.parametrize("part", range(4))
def test_what_works_is_no_mistake_and_fits_its_type(part: int) -> None:
    pick = random.Random(part + 100)
    reads = Reads(**NAMES)
    worked = told = 0
    for _ in range(EXAMPLES // 2):
        source = _expression(pick, pick.randrange(1, 5))
        expression, _ = parse(source)
        if expression is None:
            continue
        names: dict[str, Any] = NAMES
        types = {name: vague(value, pick) for name, value in names.items()}
        syntax = analysed(source)
        found, problems = syntax.check(scope_of(types, reads))
        wrong = [p for p in problems if p.code in ("wrong-type", "no-key")]
        wrong = [p for p in wrong if "never equal" not in p.message]  # that works, and is false
        told += bool(wrong)
        try:
            value = expression.evaluate(reads)
        except ExpressionError:
            continue
        worked += 1
        # What is not looked at may be wrong: `true or 1 / "x"`.
        lazy = any(word in source for word in (" if ", " and ", " or ", "default(", "has(", "for "))
        lazy = lazy or "any(" in source or "all(" in source
        chains = (node for node in ast.walk(syntax.tree) if isinstance(node, ast.Compare))
        lazy = lazy or any(len(chain.ops) > 1 for chain in chains)
        assert lazy or not wrong, (source, problems)
        if not problems:
            assert fits(value, found), (source, value, found)
    assert worked > EXAMPLES / 20
    assert told > EXAMPLES / 20


@pytest.mark.parametrize(
    ("type", "shown"),
    [
        (of("string"), "a string"),
        (of("int", "float"), "a number"),
        (of("int", "string", "null"), "an int, a string or null"),
        (of("int", "float", "null"), "a number or null"),
        (ANY, "any value"),
    ],
)
def test_types_are_named_in_the_words_of_the_language(type: Type, shown: str) -> None:
    assert str(type) == shown


def test_what_is_missing_is_told_where_nothing_guards_it() -> None:
    optional = object_of({"note": Field(of("string"), required=False)})
    scope = Scope(names={"input": optional}, variables={}, steps=set(), all_steps=set())
    for guarded in (
        "has(input.note) and input.note != ''",
        "default(input.note, '') != ''",
        "input.note if has(input.note) else ''",
        "not has(input.note) or input.note == 'x'",
        "[input.note for x in [1] if has(input.note)]",
    ):
        assert not analysed(guarded).check(scope)[1], guarded
    for bare in (
        "input.note != ''",
        "has(input.note) or input.note == 'x'",
        "'' if has(input.note) else input.note",
        "input.note if not has(input.note) else ''",
    ):
        assert [p.code for p in analysed(bare).check(scope)[1]] == ["maybe-no-key"], bare


def test_a_status_tells_of_an_output() -> None:
    scope = Scope(
        names={},
        variables={},
        steps={"a"},
        all_steps={"a"},
        doubt=lambda id, known: "it may be skipped",
    )
    for guarded in (
        "steps.a.status == 'completed' and steps.a.output > 1",
        "steps.a.status != 'skipped' and steps.a.output > 1",
        "steps.a.status in ['completed', 'caught'] and steps.a.output > 1",
        "steps.a.status != 'completed' or steps.a.output > 1",
        "default(steps.a.output, 0) > 1",
        "steps.a.output > 1 if has(steps.a.output) else false",
    ):
        assert not analysed(guarded).check(scope)[1], guarded
    for bare in (
        "steps.a.output > 1",
        "steps.a.status == 'failed' and steps.a.output > 1",
        "steps.a.status == 'completed' or steps.a.output > 1",
    ):
        assert [p.code for p in analysed(bare).check(scope)[1]] == ["maybe-no-output"], bare


def test_nothing_is_reported_of_what_may_be_null_unless_it_is_asked_for() -> None:
    step = object_of({"output": Field(union((object_of({"id": Field(of("int"))}), literal(None))))})
    scope = Scope(names={"step": step}, variables={}, steps=set(), all_steps=set())
    assert not analysed("step.output.id").check(scope)[1]
    nullable = replace(scope, nullable=frozenset((("step", "output"),)))
    [problem] = analysed("step.output.id").check(nullable)[1]
    assert problem.code == "unguarded-output"
    for guarded in ("step.output != null and step.output.id > 1", "default(step.output.id, 0)"):
        assert not analysed(guarded).check(nullable)[1], guarded
