"""`schema`: what it prints, and that it knows activities as the checker does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from dsl.catalogue import Catalogue
from dsl.loader import load_text
from interpreter.activities import ActivityRegistry
from tests.cli.support import EXAMPLE, ROOT, cli

MODULE = '''
print("this is no schema")

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from temporalio import activity


class Size(str, Enum):
    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    """What is sold."""

    sku: str = Field(pattern="^[A-Z]{3}$", description="Its number in the catalogue.")
    count: int = Field(1, ge=1)
    parts: list["Item"] = []


class Card(BaseModel):
    kind: Literal["card"]
    number: str


class Bill(BaseModel):
    kind: Literal["bill"]
    days: int


@activity.defn(name="shop.order")
def order(item: Item, size: Size, note: str | None = None, tags: set[str] = set()) -> str:
    """Order an item.

    It may take a while.
    """
    return ""


@activity.defn(name="shop.pay")
def pay(by: Annotated[Card | Bill, Field(discriminator="kind")], amount: float, now: bool) -> str:
    return ""


@activity.defn(name="Pay:charge/v2~x %")
def odd(x: int) -> None: ...


@activity.defn(name="Pay_charge_v2_x__")
def odder(y: int) -> None: ...


@activity.defn(name="anything")
def anything(**rest: int) -> None: ...


@activity.defn(name="nothing")
def nothing() -> None: ...
'''
OTHER = """
from pydantic import BaseModel
from temporalio import activity


class Item(BaseModel):
    name: str


@activity.defn(name="other.item")
def item(item: Item, more: Item) -> None: ...


@activity.defn(name="ActivityStep")
def step(data: dict[str, list[int]]) -> None: ...
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("modules")
    for name, text in (("one", MODULE), ("two", OTHER)):
        (folder / f"{name}_activities.py").write_text(text)
    return [str(file) for file in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def knowing(modules: list[str]) -> dict[str, Any]:
    """The schema that the command prints for two modules."""
    done = cli("schema", *(word for module in modules for word in ("--activities", module)))
    assert done.code == 0, done
    return done.json()


@pytest.fixture(scope="module")
def catalogue(modules: list[str]) -> Catalogue:
    """What the checker knows of the two modules."""
    return ActivityRegistry.load(modules).catalogue


def test_it_prints_the_published_schema(tmp_path: Path) -> None:
    published = json.loads((ROOT / "schemas" / "workflow.schema.json").read_text())
    assert cli("schema", cwd=tmp_path).json() == published
    assert cli("schema", "definition", cwd=tmp_path).json() == published


def test_other_schemas_are_refused(tmp_path: Path) -> None:
    done = cli("schema", "test", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: there is no schema of `test`\n  hint: write `temporal-dsl schema definition`\n"
    )


def test_activities_that_cannot_be_loaded(tmp_path: Path) -> None:
    done = cli("schema", "--activities", "nowhere.py", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: there is no file nowhere.py")


# What both schemas are.


@pytest.fixture(scope="module", params=["published", "knowing"])
def schema(request: pytest.FixtureRequest, knowing: dict[str, Any]) -> dict[str, Any]:
    if request.param == "knowing":
        return knowing
    return json.loads((ROOT / "schemas" / "workflow.schema.json").read_text())


def parts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every map in a schema."""
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            yield from parts(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from parts(value, f"{path}/{number}")


def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_its_references_lead_somewhere_inside_it(schema: dict[str, Any]) -> None:
    references = {part["$ref"] for _, part in parts(schema) if isinstance(part.get("$ref"), str)}
    assert len(references) > 50
    for reference in references:
        assert reference.startswith("#/$defs/")
        assert reference.removeprefix("#/$defs/") in schema["$defs"], reference


def test_its_own_patterns_mean_the_same_everywhere() -> None:
    schema = json.loads((ROOT / "schemas" / "workflow.schema.json").read_text())
    patterns = {p["pattern"] for _, p in parts(schema) if isinstance(p.get("pattern"), str)}
    assert len(patterns) > 8
    for pattern in patterns:
        re.compile(pattern)
        assert not re.search(r"\(\?|\\[^${}.s]|\[[^\]]*\[", pattern), pattern


def test_every_key_has_a_description_and_no_other_is_taken() -> None:
    schema = json.loads((ROOT / "schemas" / "workflow.schema.json").read_text())
    definitions = schema.pop("$defs")
    described = 0
    for name, part in {"definition": schema, **definitions}.items():
        if "properties" not in part or "Schema" in name or name == "OutsideLoops":
            continue
        if name.startswith("In"):
            continue  # looks only for what cannot be in a place
        assert part["additionalProperties"] is False, name
        for key, value in part["properties"].items():
            about = value | definitions.get(value.get("$ref", "").removeprefix("#/$defs/"), {})
            assert about["description"].endswith((".", ")")), f"{name}.{key}"
            assert about["markdownDescription"].startswith(about["description"][:20]), key
            described += 1
    assert described > 250


# What it knows of activities.


def test_definitions_of_activities_do_not_clash(knowing: dict[str, Any]) -> None:
    names = [name for name in knowing["$defs"] if name.startswith("with.")]
    assert {"with.shop.order", "with.shop.order.Item", "with.other.item.Item"} <= set(names)
    assert {"with.Pay_charge_v2_x__", "with.Pay_charge_v2_x__-2", "with.ActivityStep"} <= set(names)
    assert "activity" in knowing["$defs"]["ActivityStep"]["properties"]


ITEM = {"sku": "ABC"}
RIGHT: list[dict[str, Any]] = [
    {"activity": "shop.order", "with": {"item": ITEM, "size": "small"}},
    {"activity": "shop.order", "with": {"item": "${ input }", "size": "${ input.size }"}},
    {"activity": "shop.order", "with": {"item": {"sku": "${ input.a }"}, "size": "large"}},
    {"activity": "shop.order", "with": {"item": ITEM, "size": "small", "tags": ["a", "b"]}},
    {"activity": "shop.order", "with": {"item": ITEM, "size": "small", "tags": "${ input.t }"}},
    {"activity": "shop.order", "with": {"item": ITEM, "size": "small", "note": None}},
    {"activity": "shop.order", "with": {"item": ITEM | {"parts": [ITEM]}, "size": "small"}},
    {"activity": "shop.order", "with": {"item": ITEM | {"parts": ["${ input }"]}, "size": "small"}},
    {"activity": "shop.order", "with": {"item": ITEM | {"count": "${ 1 }"}, "size": "small"}},
    {"activity": "shop.order", "args": [1]},
    {"activity": "shop.pay", "with": {"by": {"kind": "bill", "days": 3}, "amount": 1, "now": True}},
    {"activity": "shop.pay", "with": {"by": "${ input }", "amount": 1.5, "now": "${ input.n }"}},
    {"activity": "Pay:charge/v2~x %", "with": {"x": 1}},
    {"activity": "Pay_charge_v2_x__", "with": {"y": 1}},
    {"activity": "anything"},
    {"activity": "anything", "with": {"a": 1, "b": "${ input }"}},
    {"activity": "nothing"},
    {"activity": "nothing", "with": {}},
    {"activity": "other.item", "with": {"item": {"name": "a"}, "more": {"name": "${ input.b }"}}},
    {"activity": "ActivityStep", "with": {"data": {"a": [1, "${ input }"]}}},
    {"activity": "somebody.else", "task_queue": "theirs", "with": {"a": 1}},
    {"activity": "shop.order", "task_queue": "theirs", "with": {"a": 1}},
    {"activity": "${ input.name }", "one_of": ["shop.order"], "with": {"a": 1}},
]
WRONG: list[dict[str, Any]] = [
    {"activity": "shop.ordr", "with": {"item": ITEM, "size": "small"}},
    {"activity": "somebody.else"},
    {"activity": "shop.order"},
    {"activity": "shop.order", "with": {}},
    {"activity": "shop.order", "with": {"item": ITEM}},
    {"activity": "shop.order", "with": {"item": ITEM, "size": "small", "colour": "red"}},
    {"activity": "shop.order", "with": {"item": ITEM, "size": "medium"}},
    {"activity": "shop.order", "with": {"item": ITEM, "size": 3}},
    {"activity": "shop.order", "with": {"item": "ABC", "size": "small"}},
    {"activity": "shop.order", "with": {"item": {"count": 1}, "size": "small"}},
    {"activity": "shop.order", "with": {"item": ITEM | {"colour": 1}, "size": "small", "tags": 3}},
    {"activity": "shop.order", "with": {"item": ITEM | {"count": "two"}, "size": "small"}},
    {"activity": "shop.order", "with": {"item": ITEM | {"parts": [{}]}, "size": "small"}},
    {"activity": "shop.order", "with": {"item": ITEM | {"parts": {}}, "size": "small"}},
    {"activity": "shop.pay", "with": {"by": 3, "amount": 1, "now": True}},
    {"activity": "shop.pay", "with": {"by": "${ input }", "amount": "1", "now": True}},
    {"activity": "shop.pay", "with": {"by": "${ input }", "amount": 1, "now": "yes"}},
    {"activity": "Pay:charge/v2~x %", "with": {"y": 1}},
    {"activity": "Pay_charge_v2_x__", "with": {"x": 1}},
    {"activity": "nothing", "with": {"a": 1}},
    {"activity": "other.item", "with": {"item": {"sku": "ABC"}, "more": {"name": "a"}}},
]


def _definition(step: dict[str, Any]) -> dict[str, Any]:
    return {"dsl": 1, "name": "sample", "steps": [{"id": "a", **step}]}


@pytest.mark.parametrize("number", range(len(RIGHT) + len(WRONG)))
def test_it_knows_what_the_checker_knows(
    knowing: dict[str, Any], catalogue: Catalogue, number: int
) -> None:
    document = _definition([*RIGHT, *WRONG][number])
    diagnostics = load_text(json.dumps(document), catalogue=catalogue).diagnostics
    validator: Any = Draft202012Validator(knowing, registry=Registry())
    said = [error.message for error in validator.iter_errors(document)]
    if number < len(RIGHT):
        assert (said, diagnostics) == ([], [])
    else:
        assert {d.code for d in diagnostics} & {"DSL502", "DSL503"}
        assert said != []


ONLY_WHEN_CALLED: list[dict[str, Any]] = [
    {"activity": "shop.order", "with": {"item": {"sku": "abc"}, "size": "small"}},
    {"activity": "shop.order", "with": {"item": ITEM | {"count": 0}, "size": "small"}},
    {"activity": "ActivityStep", "with": {"data": {"a": [1, "two"]}}},
]


@pytest.mark.parametrize("number", range(len(ONLY_WHEN_CALLED)))
def test_it_knows_what_otherwise_only_the_call_finds(knowing: dict[str, Any], number: int) -> None:
    validator: Any = Draft202012Validator(knowing, registry=Registry())
    assert not validator.is_valid(_definition(ONLY_WHEN_CALLED[number]))


def test_the_example_fits_the_schema_of_its_activities() -> None:
    from dsl.source import Source
    from dsl.syntax import compose

    done = cli("schema", "--activities", EXAMPLE / "activities.py")
    validator: Any = Draft202012Validator(done.json(), registry=Registry())
    (document,) = compose(Source("order", (EXAMPLE / "workflow.yaml").read_text()))[0]
    assert [error.message for error in validator.iter_errors(document.data())] == []
