"""The reference: what it says is so, and it says all."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dsl.catalogue import Catalogue
from dsl.diagnostics import CODES, Diagnostic, Severity
from dsl.durations import parse_duration, parse_time
from dsl.expressions import FUNCTIONS, RESERVED, parse
from dsl.expressions.names import CONSTANTS
from dsl.expressions.operators import ARITHMETIC, COMPARISONS
from dsl.loader import load, load_text
from dsl.model.common import Model, StepBase
from dsl.model.leaves import (
    BRANCH,
    DEFINITION_NAME,
    LOCAL_NAME,
    MESSAGE_NAME,
    STEP_ID,
    VARIABLE,
)
from dsl.reference import workflow_schema
from dsl.reference.codes import Explanation, explanations
from dsl.reference.docs import pages
from dsl.reference.expressions import NAMES, OPERATORS
from dsl.reference.words import MEANINGS
from dsl.source import Source
from dsl.steps import KINDS
from dsl.syntax import compose, read
from dsl.syntax.compose import MAX_BYTES, MAX_DEPTH, MAX_NODES
from interpreter.cli import inputs
from tests.expressions.support import Reads
from tests.support.conformance import Case, Runner

ROOT = Path(__file__).parents[2]
DATA = ROOT / "dsl" / "reference" / "codes.yaml"
PAGES = pages()
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")


def whole(example: str) -> str:
    """An example as a definition."""
    text = textwrap.dedent(example).strip() + "\n"
    if re.search(r"^dsl: 1$", text, re.MULTILINE):
        return text
    return "dsl: 1\nname: example\n" + ("steps:\n" if text.startswith("- ") else "") + text


def said(found: list[Diagnostic]) -> list[str]:
    return [f"{d.place} {d.code} {d.message}" for d in found]


# Codes.


def test_there_is_one_entry_for_each_code() -> None:
    ((document,), problems) = compose(Source("codes.yaml", DATA.read_text()))
    assert not problems
    data: Any = document.data()
    assert list(data) == list(CODES)
    for id, entry in data.items():
        assert entry.keys() <= {"why", "wrong", "right", "fix", "activities"}, id
        shown = {"wrong", "right"} & entry.keys()
        assert "why" in entry and (shown == {"wrong", "right"}) != ("fix" in entry), id


def catalogue(one: Explanation, folder: Path) -> Catalogue | None:
    """The activities of an example."""
    if one.activities is None:
        return None
    file = folder / f"{one.code.id.lower()}_activities.py"
    file.write_text(f"from temporalio import activity\n\n{one.activities}\n")
    return inputs.registry([str(file)]).catalogue


EXAMPLES = [one for one in explanations().values() if one.wrong is not None]


@pytest.mark.parametrize("one", EXAMPLES, ids=[one.code.id for one in EXAMPLES])
def test_the_example_of_a_code_is_wrong_and_then_right(one: Explanation, tmp_path: Path) -> None:
    assert one.wrong is not None and one.right is not None
    known = catalogue(one, tmp_path)
    wrong = load_text(whole(one.wrong), catalogue=known).diagnostics
    assert one.code.id in {d.code for d in wrong}, said(wrong)
    errors = {d.code for d in wrong if d.severity is Severity.ERROR}
    assert errors <= {one.code.id}, said(wrong)
    assert said(load_text(whole(one.right), catalogue=known).diagnostics) == []


def steps(lines: str) -> bytes:
    return f"dsl: 1\nname: example\nsteps:\n{lines}".encode()


def many_aliases() -> bytes:
    levels = [f"  a0: &a0 [{', '.join('1' * 10)}]"]
    levels += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    assert MAX_NODES < 10**6
    return ("dsl: 1\nname: example\nvars:\n" + "\n".join(levels) + "\n").encode()


# Those that have no example in text: how they come about.
DESCRIBED: dict[str, Callable[[], bytes | None]] = {
    "DSL001": lambda: None,
    "DSL002": lambda: b"#" * (MAX_BYTES + 1),
    "DSL003": lambda: steps("- value: caf\u00e9\n").decode().encode("latin-1"),
    "DSL005": lambda: b"- sleep: 30s\n",
    "DSL006": lambda: steps(f"- value: {'[' * MAX_DEPTH}1{']' * MAX_DEPTH}\n"),
    "DSL007": many_aliases,
    "DSL108": lambda: steps("- value: 1\n" * 20_001),
    "DSL306": lambda: steps(f"- value: ${{ 0{' + 1' * 1_024} }}\n"),
}


@pytest.mark.parametrize("id", DESCRIBED)
def test_what_is_only_described_is_so(id: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    content = DESCRIBED[id]()
    if content is not None:
        file.write_bytes(content)
    source, found = read(file)
    found = found if source is None else load(source).diagnostics
    assert {d.code for d in found} == {id}, said(found)


def test_the_others_are_only_described() -> None:
    assert [id for id, one in explanations().items() if one.wrong is None] == list(DESCRIBED)


# Kinds.

LINES = [{"item": "pen", "count": 2, "price": 3}, {"item": "ink", "count": 0, "price": 9}]
RUNS: dict[str, dict[str, Any]] = {
    "activity": {
        "input": {"order_id": "o1", "amount": 10},
        "mocks": {"payments.charge": {"return": "paid"}},
        "expect": {"status": "completed", "output": "paid"},
    },
    "workflow": {
        "input": {"invoice": "i1", "customer": "c1"},
        "more": [
            {"dsl": 1, "name": "pay-invoice", "steps": [{"raise": "CardDeclined"}]},
            {"dsl": 1, "name": "remind-customer", "steps": [{"value": "${ input.customer }"}]},
        ],
        "expect": {"status": "completed", "steps": {"pay": "caught", "remind": "completed"}},
    },
    "do": {
        "mocks": {"hotels.book": {"raise": {"type": "NoRoom"}}},
        "expect": {
            "status": "completed",
            "output": "no room",
            "activities": ["flights.book", "hotels.book", "flights.cancel"],
        },
    },
    "parallel": {
        "mocks": {"north.price": {"return": 7}, "south.price": {"return": 5}},
        "expect": {"status": "completed", "output": 5},
    },
    "foreach": {
        "input": {"lines": LINES},
        "mocks": {"shipping.ship": {"return": {"tracking": "T1"}}},
        "expect": {"status": "completed", "output": ["T1", "T1"]},
    },
    "while": {
        "mocks": {
            "orders.page": {"sequence": [{"return": {"next": "b"}}, {"return": {"next": None}}]}
        },
        "expect": {"status": "completed", "activities": ["orders.page"] * 2},
    },
    "until": {
        "mocks": {
            "jobs.look": {"sequence": [{"return": {"done": False}}, {"return": {"done": True}}]}
        },
        "expect": {"status": "completed", "activities": ["jobs.look"] * 2, "elapsed": "1m"},
    },
    "switch": {"input": {"amount": 500}, "expect": {"status": "completed", "output": "medium"}},
    "sleep": {"expect": {"status": "completed", "output": None, "elapsed": "1h30m"}},
    "sleep_until": {
        "input": {"due": "2020-01-01T00:00:00Z"},
        "expect": {"status": "completed", "output": None, "elapsed": "0s"},
    },
    "wait_signal": {
        "expect": {"status": "completed", "output": {"approved": False}, "elapsed": "24h"}
    },
    "wait_condition": {
        "expect": {
            "status": "completed",
            "activities": ["payments.charge", "stock.pack", "shipping.ship"],
            "unordered": True,
        },
    },
    "send_signal": {
        "input": {"customer": "c1", "order_id": "o1"},
        "expect": {"status": "completed", "output": None, "steps": {"tell_customer": "caught"}},
    },
    "value": {"input": {"lines": LINES}, "expect": {"status": "completed", "output": 6}},
    "set": {
        "expect": {
            "status": "completed",
            "output": [
                {"last": last, "next": next}
                for last, next in ((1, 1), (1, 2), (2, 3), (3, 5), (5, 8))
            ],
        }
    },
    "set_search_attributes": {
        "input": {"amount": 10},
        "expect": {
            "status": "completed",
            "output": None,
            "search_attributes": {"OrderStatus": "shipped", "OrderAmount": 10.0},
        },
    },
    "raise": {
        "input": {"stock": 1, "wanted": 3},
        "expect": {
            "status": "failed",
            "error": {"type": "OutOfStock", "message": "3 were wanted, 1 are there"},
        },
    },
    "return": {
        "input": {"lines": []},
        "expect": {"status": "completed", "output": "nothing to ship", "activities": []},
    },
    "rollback": {
        "mocks": {"desk.ask": {"return": "no"}},
        "expect": {
            "status": "completed",
            "activities": ["seats.hold", "desk.ask", "seats.free"],
        },
    },
    "break": {
        "input": {"carriers": ["a", "b", "c"]},
        "mocks": {
            "carriers.ask": {
                "sequence": [{"return": {"accepted": False}}, {"return": {"accepted": True}}]
            }
        },
        "expect": {"status": "completed", "activities": ["carriers.ask"] * 2},
    },
    "continue": {
        "input": {"lines": LINES},
        "expect": {"status": "completed", "activities": ["shipping.ship"]},
    },
}


def test_every_kind_has_its_run() -> None:
    assert list(RUNS) == [kind.kind for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])
async def test_the_example_of_a_kind_is_right_and_runs(
    kind: type[StepBase], runner: Runner
) -> None:
    text = whole(kind.example)
    assert re.search(rf"^ *(- )?{kind.kind}:( |$)", text, re.MULTILINE)
    assert said(load_text(text).diagnostics) == []
    ((document,), _) = compose(Source("example", text))
    data: Any = document.data()
    definition = {key: value for key, value in data.items() if key not in ("dsl", "name")}
    case = RUNS[kind.kind] | {"name": kind.kind, "definition": definition}
    await runner.run(Case(f"the example of {kind.kind}", case))


@pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])
def test_a_kind_says_what_its_output_is(kind: type[StepBase]) -> None:
    ends = kind.kind in ("raise", "return", "break", "continue")
    assert ("output" in (kind.__doc__ or "")) != ends


# Expressions.


@pytest.mark.parametrize(("expression", "value"), [one[2:] for one in OPERATORS])
def test_the_example_of_an_operator(expression: str, value: Any) -> None:
    parsed, problems = parse(expression)
    assert parsed is not None and not problems
    result = parsed.evaluate(Reads())
    assert result == value and type(result) is type(value)


def test_every_operator_is_there() -> None:
    nodes = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%"}
    nodes |= {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}
    nodes |= {"In": "in", "NotIn": "not in"}
    listed = " ".join(name for name, *_ in OPERATORS).replace("`", " ").split()
    assert nodes.keys() == ARITHMETIC.keys() | COMPARISONS.keys()
    assert {word for symbol in nodes.values() for word in symbol.split()} <= set(listed)


PLACES = {
    "input": "- value: ${ input }",
    "vars": "- vars: {total: 0}\n  do:\n    - value: ${ vars.total }",
    "steps": "- id: a\n  value: 1\n- value: ${ [steps.a.output, steps.a.status, steps.a.error] }",
    "workflow": "- value: ${ workflow }",
    "item": "- foreach: [1]\n  do:\n    - value: ${ item }",
    "index": "- foreach: [1]\n  do:\n    - value: ${ index }",
    "error": "- id: a\n  activity: a\n  retry: {when: error.type == 'Busy'}\n"
    "  catch: [{when: error.type == 'Gone', output: '${ error }'}]\n"
    "  compensate: {activity: b, with: {why: '${ error }'}}\n"
    "  finally: [{value: '${ error }'}]",
    "attempt": "- id: a\n  activity: a\n  retry: {when: attempt < 3}\n"
    "- do: [{value: '${ attempt }'}]\n  retry: {maximum_attempts: 2}",
    "payload": "signals: {go: {}}\nsteps: [{wait_signal: go, where: payload.ok}]",
    "signal": "signals: {go: {}}\nsteps: [{wait_signal: go, where: signal == 'go'}]",
    "step": "- id: a\n  activity: a\n  compensate: {activity: b, with: {input: '${ step.input }'}}",
    "result": "- value: 1\n  output: ${ result }",
    "status": "- value: 1\n  finally: [{value: '${ status }'}]",
}
"""Where names can be read that not everybody sees."""


def test_every_name_is_there() -> None:
    fixed = set(keyword.kwlist) | CONSTANTS.keys() | {"secrets"}
    names = {name.split(".")[0] for name, _, _ in NAMES}
    assert names == (RESERVED - fixed) | {"item", "index"} == PLACES.keys()


@pytest.mark.parametrize("name", PLACES)
def test_a_name_is_in_scope_where_it_says(name: str) -> None:
    assert said(load_text(whole(PLACES[name])).diagnostics) == []
    if all(where == "everywhere" for one, _, where in NAMES if one.split(".")[0] == name):
        return
    if name not in ("vars", "steps"):
        found = load_text(whole(f"- value: ${{ {name} }}")).diagnostics
        assert [d.code for d in found] == ["DSL303"]


# Pages.


def test_what_pages_show_is_right() -> None:
    shown = BLOCK.findall(PAGES["kinds.md"])
    assert len(shown) == len(KINDS)
    for text in shown:
        assert said(load_text(whole(text)).diagnostics) == []


def _below(model: type[Model]) -> Iterator[type[Model]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


def test_pages_name_every_key_of_the_schema() -> None:
    text = PAGES["kinds.md"] + PAGES["keys.md"]
    schema: dict[str, Any] = workflow_schema()
    models = {model.__name__ for model in _below(Model)}
    parts = [part for name, part in schema["$defs"].items() if name in models]
    keys = {key for part in (schema, *parts) for key in part["properties"]}
    assert len(keys) > 50
    assert {key for key in keys if f"| `{key}` |" not in text} == set()


def test_pages_name_every_function_and_code_once() -> None:
    functions = re.findall(r"^### (\w+)$", PAGES["functions.md"], re.MULTILINE)
    assert sorted(functions) == sorted(FUNCTIONS)
    assert re.findall(r"^### (\w+)$", PAGES["codes.md"], re.MULTILINE) == list(CODES)


def test_the_words_for_types_are_those_in_use() -> None:
    tables = PAGES["kinds.md"] + PAGES["keys.md"]
    types = {part for row in re.findall(r"^\| `\w+` \| ([^|]+) \|", tables, re.M) for part in [row]}
    used = " ".join(types)
    for word in MEANINGS:
        assert word in used, word
    for leaf in (STEP_ID, VARIABLE, LOCAL_NAME, BRANCH, MESSAGE_NAME, DEFINITION_NAME):
        assert leaf.schema["pattern"].strip("^()$") in MEANINGS["name"]
    for text in re.findall(r"`(.+?)`", MEANINGS["duration"]):
        assert parse_duration(text) is not None, text
    for text in re.findall(r"`(.+?)`", MEANINGS["time"]):
        assert parse_time(text) is not None, text


def _anchor(heading: str) -> str:
    """The anchor that is made of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere() -> None:
    folder = ROOT / "docs" / "reference"
    for name, text in PAGES.items():
        for page, anchor in LINK.findall(text):
            target = PAGES.get(page or name)
            if target is None:
                target = (folder / page).read_text()
            headings = re.findall(r"^#+ (.*)$", target, re.MULTILINE)
            assert not anchor or anchor in map(_anchor, headings), f"{name}: {page}#{anchor}"
