"""Expressions beside those of other libraries, on a small and on a large document."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from dsl.expressions import parse
from interpreter.saga import Group
from interpreter.scope import NOTHING, Act, Rec, Token

__all__ = ["EXPRESSIONS", "Timings", "expression_rounds"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """An expression as each library writes it; only what differs from ours is said."""

    ours: str
    cel: str = ""
    jinja: str = ""
    simple: str = ""


EXPRESSIONS = (
    Case("input.amount > 1000"),
    Case('input.customer.tier == "gold"'),
    Case("input.order.lines[0].price * input.order.lines[0].quantity"),
    Case("steps.fetch.output.total - input.discount"),
    Case(
        "input.amount > 100 and input.customer.active and not input.blocked",
        cel="input.amount > 100 && input.customer.active && !input.blocked",
    ),
    Case('"express" in input.tags'),
    Case(
        'input.customer.first + " " + input.customer.last',
        jinja='input.customer["first"] + " " + input.customer["last"]',
    ),
    Case(
        '"high" if input.amount > 1000 else "low"',
        cel='input.amount > 1000 ? "high" : "low"',
    ),
    Case(
        "len(input.order.lines) > 3 or input.blocked",
        cel="size(input.order.lines) > 3 || input.blocked",
        jinja="input.order.lines|length > 3 or input.blocked",
    ),
    Case(
        'default(input.note, "none")',
        cel='has(input.note) ? input.note : "none"',
        jinja='input.note|default("none")',
        simple='input.note if "note" in input else "none"',
    ),
)
"""The ten, each of a kind that definitions have."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Microseconds for an evaluation: for each library, document and expression."""

    small: dict[str, list[float]]
    large: dict[str, list[float]]
    small_bytes: int
    large_bytes: int

    def medians(self) -> dict[str, tuple[float, float]]:
        """For each library the median over the expressions, small and large."""
        return {name: (median(self.small[name]), median(self.large[name])) for name in self.small}

    def growth(self) -> list[float]:
        """For each expression of ours, the time on the large document by that on the small."""
        return [
            big / small for small, big in zip(self.small["dsl"], self.large["dsl"], strict=True)
        ]


def _document(size: int) -> Json:
    """A document of about `size` bytes as JSON."""

    def made(lines: int) -> Json:
        line = {"sku": "A-1001", "price": 25, "quantity": 3, "note": "by the door, please"}
        customer = {"tier": "gold", "active": True, "first": "Ada", "last": "Lovelace"}
        return {
            "amount": 1200,
            "discount": 50,
            "blocked": False,
            "tags": ["gift", "large", "express"],
            "customer": customer,
            "order": {"id": "o-1", "lines": [{**line, "n": n} for n in range(lines)]},
        }

    per_line = (len(json.dumps(made(100))) - len(json.dumps(made(0)))) / 100
    return made(max(4, round((size - len(json.dumps(made(0)))) / per_line)))


def _ours(document: Json, steps: Json) -> list[Callable[[], Any]]:
    """Evaluated as in a run: from inside an iteration, through the activations round it."""
    names = {"input": document, "error": None, "workflow": {}}
    unused: Any = None
    root = Act(unused, None, {}, "", Token(None), Group(), names)
    rec = root.recs["fetch"] = Rec(unused, "fetch")
    rec.output = steps["fetch"]["output"]
    assert rec.output is not NOTHING
    act = root.inner(variables={"total": 1}).iteration(Rec(unused, "loop"), 0, {"index": 0})
    calls: list[Callable[[], Any]] = []
    for case in EXPRESSIONS:
        expression, problems = parse(case.ours)
        assert expression is not None, problems
        calls.append(lambda evaluate=expression.evaluate: evaluate(act))
    return calls


def _simpleeval(document: Json, steps: Json) -> list[Callable[[], Any]]:
    import simpleeval

    names = {"input": document, "steps": steps}
    evaluator = simpleeval.EvalWithCompoundTypes(names=names, functions={"len": len})
    calls: list[Callable[[], Any]] = []
    for case in EXPRESSIONS:
        source = case.simple or case.ours
        tree = evaluator.parse(source)
        calls.append(lambda s=source, t=tree: evaluator.eval(s, previously_parsed=t))
    return calls


def _celpy(document: Json, steps: Json) -> list[Callable[[], Any]]:
    import celpy

    environment = celpy.Environment()
    # The conversion of the document, which grows with it, is not counted.
    activation: Any = {"input": celpy.json_to_cel(document), "steps": celpy.json_to_cel(steps)}
    calls: list[Callable[[], Any]] = []
    for case in EXPRESSIONS:
        program = environment.program(environment.compile(case.cel or case.ours))
        calls.append(lambda run=program.evaluate: run(activation))
    return calls


def _jinja2(document: Json, steps: Json) -> list[Callable[[], Any]]:
    import jinja2.sandbox

    environment = jinja2.sandbox.SandboxedEnvironment()
    calls: list[Callable[[], Any]] = []
    for case in EXPRESSIONS:
        run = environment.compile_expression(case.jinja or case.ours)
        calls.append(lambda run=run: run(input=document, steps=steps))
    return calls


_LIBRARIES = {"dsl": _ours, "simpleeval": _simpleeval, "celpy": _celpy, "jinja2": _jinja2}


def _time(call: Callable[[], Any], seconds: float) -> float:
    """Seconds of CPU time for a call, in a loop that lasts about so long."""
    count = 1
    while True:
        begin = time.thread_time()
        for _ in range(count):
            call()
        spent = time.thread_time() - begin
        if spent >= seconds:
            return spent / count
        count = max(count * 2, int(count * seconds / spent * 1.1) if spent else 0)


def _loop_overhead() -> float:
    return _time(lambda: None, 0.01)


def expression_rounds(rounds: int, seconds: float) -> Timings:
    """Times all expressions of all libraries that are installed, by turns.

    Args:
        rounds: How many rounds; the median of them counts.
        seconds: How long each expression is timed in each round.

    Raises:
        AssertionError: if libraries give different values.
    """
    documents = (_document(2_000), _document(200_000))
    steps: Json = {"fetch": {"output": {"total": 1500}}}
    calls: dict[tuple[str, int], list[Callable[[], Any]]] = {}
    for name, make in _LIBRARIES.items():
        try:
            for place, document in enumerate(documents):
                calls[name, place] = make(document, steps)
        except ModuleNotFoundError:
            print(f"{name} is not installed: see benchmarks/requirements.txt")
    for place in range(len(documents)):
        expected = [call() for call in calls["dsl", place]]
        for (name, other), some in calls.items():
            if other == place:
                _compare(name, [call() for call in some], expected)
    times: dict[tuple[str, int], list[list[float]]] = {
        key: [[] for _ in EXPRESSIONS] for key in calls
    }
    gc.collect()
    overhead = _loop_overhead()
    for _ in range(rounds):
        for number in range(len(EXPRESSIONS)):
            for key, some in calls.items():
                spent = _time(some[number], seconds) - overhead
                times[key][number].append(spent * 1e6)
    small, large = (
        {name: list(map(median, times[name, place])) for name, at in calls if at == place}
        for place in range(len(documents))
    )
    sizes = [len(json.dumps(document)) for document in documents]
    return Timings(small, large, sizes[0], sizes[1])


def _compare(name: str, values: list[Any], expected: list[Any]) -> None:
    for case, value, wanted in zip(EXPRESSIONS, values, expected, strict=True):
        if bool(value) != wanted if isinstance(wanted, bool) else value != wanted:
            raise AssertionError(f"{name}: {case.ours} gave {value!r}, not {wanted!r}")
