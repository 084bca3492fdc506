"""Limits of definitions and inputs, which are found before they hurt."""

from __future__ import annotations

import time

from dsl.check import MAX_STEPS
from dsl.loader import load_text
from dsl.model.inputs import check_input, with_defaults


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    began = time.monotonic()
    problems = check_input(schema, "a" * 40 + "!")
    assert time.monotonic() - began < 2
    assert len(problems) == 1
    assert "match" in problems[0]


def test_a_definition_of_too_many_steps_is_refused_at_once() -> None:
    steps = "\n".join("  - value: 1" for _ in range(MAX_STEPS + 1))
    loaded = load_text(f"dsl: 1\nname: x\nsteps:\n{steps}\n")
    assert [d.code for d in loaded.diagnostics] == ["DSL108"]


def test_defaults_leave_what_was_given_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"default": 1},
            "b": {"type": "object", "default": {}, "properties": {"c": {"default": [2]}}},
            "l": {"items": {"properties": {"d": {"default": 3}}}},
        },
    }
    given = {"a": 0, "l": [{}, {"d": 4}]}
    assert with_defaults(schema, given) == {"a": 0, "b": {"c": [2]}, "l": [{"d": 3}, {"d": 4}]}
    assert given == {"a": 0, "l": [{}, {"d": 4}]}
    complete = {"a": 1, "b": {"c": []}, "l": []}
    assert with_defaults(schema, complete) is complete


def test_messages_about_input_are_in_the_authors_words() -> None:
    schema = {
        "type": "object",
        "required": ["order_id", "amount"],
        "additionalProperties": False,
        "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}},
    }
    assert check_input(schema, {"order_id": 5, "amout": 1}) == [
        "input: `amount` is missing",
        "input: `amout` is unknown; did you mean `amount`?",
        "input.order_id: must be a text, is the number 5",
    ]
