"""The page of expressions: functions, operators, names in scope."""

from __future__ import annotations

import json

from dsl.expressions import FUNCTIONS, RESERVED, Function, Value
from dsl.expressions.list_functions import LIST_FUNCTIONS
from dsl.expressions.number_functions import NUMBER_FUNCTIONS
from dsl.expressions.text_functions import TEXT_FUNCTIONS
from dsl.expressions.time_functions import TIME_FUNCTIONS
from dsl.reference.markdown import block, page, paragraphs, table

__all__ = ["NAMES", "OPERATORS", "functions_page"]

OPERATORS: tuple[tuple[str, str, str, Value], ...] = (
    ("`+ - *`", "numbers, whole ones or not", "2 * 3 + 0.5", 6.5),
    ("`/`", "the quotient, never a whole number", "7 / 2", 3.5),
    ("`//` `%`", "the quotient rounded down, and the rest", "[7 // 2, 7 % 2]", [3, 1]),
    ("`+`", "two texts or two lists, one after the other", "[1] + [2]", [1, 2]),
    ("`*`", "a text or a list, repeated", '"ab" * 2', "abab"),
    ("`== !=`", "any two values; true is not 1", "[1 == 1.0, true == 1]", [True, False]),
    ("`< <= > >=`", "two numbers or two texts", '1 < 2 and "a" < "b"', True),
    ("`in` `not in`", "an item of a list, a part of a text, a key", '"a" in {"a": 1}', True),
    ("`and or not`", "of true and false only", "not (true and false)", True),
    ("`x if c else y`", "one of two", '"few" if 3 < 10 else "many"', "few"),
    ("`.key`", "the value of a key; it must be there", '{"from": 1}.from', 1),
    ("`[...]`", "an item, from 0, or from the end; a key", "[1, 2, 3][-1]", 3),
    ("`[a:b]`", "a part of a list or a text", '"abcdef"[1:3]', "bc"),
    ("`[... for x in ...]`", "a list of a list", "[x * 2 for x in [1, 2, 3] if x > 1]", [4, 6]),
    (
        "`{... for x in ...}`",
        "an object of a list",
        '{x: len(x) for x in ["a", "bc"]}',
        {"a": 1, "bc": 2},
    ),
)
"""Each operator: what it takes, and an expression with its value."""

NAMES: tuple[tuple[str, str, str], ...] = (
    ("input", "the input, with its defaults", "everywhere"),
    (
        "vars.<name>",
        "a variable",
        "where it is declared: in the definition, or in a step with a body",
    ),
    ("steps.<id>.output", "the output of a step before this one", "everywhere"),
    ("steps.<id>.status", "how far a step is", "everywhere, but for steps inside iterations"),
    (
        "steps.<id>.error",
        "its error (as `error`), or null",
        "everywhere, but for steps inside iterations",
    ),
    ("workflow", "the run: `id run_id type revision digest start_time`", "everywhere"),
    ("item", "the item, if `as` names it no other way", "in a `foreach`"),
    (
        "index",
        "its place, from 0, if `index_as` names it no other way",
        "in a `foreach`, `while` or `until`",
    ),
    (
        "error",
        "`type message details step`",
        "in `catch` and `retry.when`; in `finally` and `compensate` it may be null",
    ),
    ("attempt", "which attempt it is, from 1", "in `retry.when`, and in a body that is retried"),
    ("payload", "the signal's payload", "in the `where` of a `wait_signal`"),
    ("signal", "the signal's name", "in the `where` of a `wait_signal`"),
    ("step", "the step that is undone: `status input output error`", "in `compensate`"),
    ("result", "the output as it would be without", "in `output`"),
    ("status", "how it ended: `completed failed timed_out cancelled`", "in `finally`"),
)
"""Each name that can be read: what it is, and where it can be."""

_GROUPS = {
    "Lists and objects": LIST_FUNCTIONS,
    "Numbers, and from one type to another": NUMBER_FUNCTIONS,
    "Texts": TEXT_FUNCTIONS,
    "Times and ids": TIME_FUNCTIONS,
    "What may be missing": (FUNCTIONS["default"], FUNCTIONS["has"]),
}


def functions_page() -> str:
    """The page of expressions."""
    operators = [
        (name, takes, f"`{expression}`", f"`{_shown(value)}`")
        for name, takes, expression, value in OPERATORS
    ]
    names = [(f"`{name}`", what, where) for name, what, where in NAMES]
    return page(
        "Expressions",
        paragraphs(
            "A part of Python's syntax: data in, data out. They stand bare in keys of the type "
            "`expression`, and in `${ }` wherever a value or a template may stand. "
            "`true false null` work beside Python's spelling. Integers have 64 bits, and every "
            "evaluation is bounded in time and memory."
        ),
        "## Names",
        table(["name", "is", "where"], names),
        paragraphs(
            f"No step and no variable may have one of these names: `{' '.join(sorted(RESERVED))}`; "
            "the item of a `foreach` also none of a function."
        ),
        "## Operators",
        table(["operator", "takes", "example", "gives"], operators),
        "## Functions",
        table(
            ["", ""],
            [
                (title, " ".join(f"[`{one.name}`](#{one.name})" for one in group))
                for title, group in _GROUPS.items()
            ],
        ),
        *(_function(one) for group in _GROUPS.values() for one in group),
    )


def _function(one: Function) -> str:
    """A function with its examples, one a line."""
    width = max((len(expression) for expression, _ in one.examples), default=0)
    examples = [f"{expression:{width}}  ->  {_shown(value)}" for expression, value in one.examples]
    parts = [f"### {one.name}", f"`{one.signature}`", paragraphs(one.doc)]
    return "\n\n".join([*parts, block("text", "\n".join(examples))] if examples else parts)


def _shown(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
