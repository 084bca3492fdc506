"""Random expressions, most of them nonsense: a value or a mistake with its place, in bounds.

EXPRESSION_EXAMPLES sets how many; `make soak` tries 20,000.
"""

from __future__ import annotations

import os
import random
import time
import tracemalloc

import pytest

from dsl.expressions import FUNCTIONS, ExpressionError, parse

from .support import Reads

EXAMPLES = int(os.environ.get("EXPRESSION_EXAMPLES", "600"))
SECONDS = 0.1
BYTES = 50 * 1024 * 1024
NAMES = {
    "input": {
        "a": 1,
        "b": {"c": [1, 2.5, "x", None, True], "from": "z"},
        "text": "some text " * 50,
        "many": list(range(2000)),
        "rows": [{"k": str(i % 7), "v": i} for i in range(500)],
        "big": 2**62,
    },
    "item": "one",
    "error": None,
}
_ATOMS = (
    "input.a",
    "input.b.c[1]",
    "input.b.from",
    "input.text",
    "input.many",
    "input.rows",
    "input.big",
    "input.nope",
    "item",
    "error",
    "vars.map",
    "steps.charge.output",
    "nobody",
    "1",
    "0",
    "-3",
    "2.5",
    "1e300",
    "9223372036854775807",
    '"abc"',
    "''",
    "true",
    "null",
    "[]",
    "{}",
)
_BINARY = ("+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "in", "not in", "and", "or", "**")


def _expression(pick: random.Random, depth: int) -> str:
    if depth <= 0 or pick.random() < 0.15:
        return pick.choice(_ATOMS)

    def inner() -> str:
        return _expression(pick, depth - 1)

    match pick.randrange(12):
        case 0 | 1 | 2:
            return f"{inner()} {pick.choice(_BINARY)} {inner()}"
        case 3:
            return f"({inner()} if {inner()} else {inner()})"
        case 4:
            return "[" + ", ".join(inner() for _ in range(pick.randrange(4))) + "]"
        case 5:
            return "{" + ", ".join(f'"{c}": {inner()}' for c in "ab"[: pick.randrange(3)]) + "}"
        case 6:
            return f"[{inner()} for v{depth} in {inner()}]"
        case 7:
            return f"[v{depth} for v{depth} in {inner()} for w{depth} in {inner()} if {inner()}]"
        case 8:
            return f"{inner()}[{inner()}]"
        case 9:
            return f"{inner()}[{inner()}:{inner()}]"
        case 10:
            return f"not {inner()}"
        case _:
            arguments = ", ".join(inner() for _ in range(pick.randrange(4)))
            return f"{pick.choice(list(FUNCTIONS))}({arguments})"


def _damaged(pick: random.Random, text: str) -> str:
    """One character changed, dropped or added."""
    at = pick.randrange(len(text) + 1)
    junk = pick.choice("()[]{}.,:'\"\\ \n#$@!~^&|;é0a_")
    return text[:at] + pick.choice(("", junk)) + text[at + pick.randrange(2) :]


@pytest.mark.parametrize("part", range(4))
def test_random_expressions_stay_in_bounds(part: int) -> None:
    pick = random.Random(part)
    context = Reads(**NAMES)
    evaluated = failed = 0
    for number in range(EXAMPLES // 4):
        source = _expression(pick, pick.randrange(1, 5))
        if pick.random() < 0.2:
            source = _damaged(pick, source)
        expression, problems = parse(source)
        for problem in problems:
            assert 0 <= problem.start <= problem.end <= len(source), source
            assert problem.message
        if expression is None:
            assert problems, source
            continue
        traced = number % 10 == 0  # measuring memory is slow
        if traced:
            tracemalloc.start()
        began = time.process_time()
        try:
            expression.evaluate(context)
            evaluated += 1
        except ExpressionError as error:
            assert 0 <= error.start <= error.end <= len(source), source
            assert str(error)
            failed += 1
        seconds = time.process_time() - began
        if traced:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < BYTES, (peak, source)
        else:
            assert seconds < SECONDS, (seconds, source)
    assert evaluated > EXAMPLES / 40
    assert failed > EXAMPLES / 40
