"""From type hints to schemas, bound arguments, messages and plain results; no server."""

import dataclasses
import enum
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from interpreter.activities import ActivityRegistry, heartbeat, idempotency_key, last_progress


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    sku: str
    quantity: Annotated[int, Field(gt=0)] = 1


class Node(BaseModel):
    name: str
    children: list["Node"] = []


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Aliased(BaseModel):
    sender: str = Field(alias="from")

    @field_validator("sender")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != "me":
            raise ValueError("nobody knows this sender")
        return value


@dataclasses.dataclass
class Parcel:
    weight: Decimal
    sent: datetime | None = None


class Address(typing.TypedDict):
    city: str
    zip: typing.NotRequired[int]


@activity.defn(name="charge")
def charge(
    order_id: str,
    amount: Decimal,
    items: list[Item] = [],  # noqa: B006
    colour: Colour = Colour.RED,
    tag: int | str = 3,
    kind: Literal["a", "b"] = "a",
    at: datetime | None = None,
    pin: SecretStr | None = None,
    places: dict[int, str] | None = None,
    short: Annotated[str, Field(max_length=3)] = "",
) -> Any:
    """Charge a card,
    or not.

    Details.
    """
    return locals()


@activity.defn(name="node")
def node(given: Node) -> Node:
    return given


@activity.defn(name="open")
def open_(given: Open) -> Open:
    return given


@activity.defn(name="aliased")
def aliased(given: Aliased) -> Aliased:
    return given


@activity.defn(name="parcel")
def parcel(given: Parcel) -> Parcel:
    return given


@activity.defn(name="address")
def address(given: Address) -> Address:
    return given


@activity.defn(name="addresses")
def addresses(given: list[Address] | None = None) -> Any:
    return given


@activity.defn(name="variadic")
def variadic(a: Any, /, b: int = 2, *rest: int, **more: int) -> Any:
    return [a, b, list(rest), more]


@activity.defn(name="gap")
def gap(a: int = 1, b: int = 2, c: int = 3, /, d: int = 4) -> Any:
    return [a, b, c, d]


@activity.defn(name="nothing")
def nothing() -> None: ...


@activity.defn(name="names")
def names(_x: int, json: str, copy: bool = False, model_config: float = 1) -> Any:
    return [_x, json, copy, model_config]


@activity.defn(name="raw")
def raw(value, other=None):  # type: ignore[no-untyped-def]  # pyright: ignore
    return value  # pyright: ignore


@activity.defn(name="decimals")
def decimals() -> dict[str, Decimal]:
    return {"a": Decimal("59.90")}


@activity.defn(name="unannotated")
def unannotated():  # type: ignore[no-untyped-def]  # pyright: ignore
    return {
        "when": datetime(2030, 1, 2, tzinfo=UTC),
        "colour": Colour.RED,
        "item": Item(sku="a"),
        "parcel": Parcel(Decimal("1.5")),
        "id": UUID(int=1),
        "set": {1},
        "plain": [1, 2.5, "x", None, True],
    }


ALL: list[Callable[..., Any]] = [
    charge,
    node,
    open_,
    aliased,
    parcel,
    address,
    addresses,
    variadic,
    gap,
    nothing,
    names,
    raw,  # pyright: ignore[reportUnknownArgumentType]
    decimals,
    unannotated,  # pyright: ignore[reportUnknownArgumentType]
]
REGISTRY = ActivityRegistry(ALL)
WRAPPERS = {fn.__name__: fn for fn in REGISTRY.callables()}


def call(name: str, *payloads: Any) -> Any:
    return WRAPPERS[name](*payloads)


def refusal(name: str, *payloads: Any) -> str:
    with pytest.raises(ApplicationError) as caught:
        call(name, *payloads)
    assert caught.value.type == "dsl.InvalidArguments"
    assert caught.value.non_retryable
    return caught.value.message


# --- schemas


def test_a_schema_by_name() -> None:
    known = REGISTRY.catalogue["charge"]
    assert known.description == "Charge a card, or not."
    assert known.result == {}
    schema = known.arguments
    assert schema["type"] == "object"
    assert schema["required"] == ["order_id", "amount"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"])[:3] == ["order_id", "amount", "items"]
    assert schema["properties"]["items"] == {
        "default": [],
        "items": {"$ref": "#/$defs/Item"},
        "type": "array",
    }
    assert schema["properties"]["colour"] == {"$ref": "#/$defs/Colour", "default": "red"}
    assert schema["$defs"]["Item"]["properties"]["quantity"]["exclusiveMinimum"] == 0


@pytest.mark.parametrize(
    ("name", "properties", "required", "additional"),
    [
        ("node", ["name", "children"], ["name"], False),
        ("open", ["name"], ["name"], True),
        ("aliased", ["from"], ["from"], False),
        ("parcel", ["weight", "sent"], ["weight"], False),
        ("address", ["city", "zip"], ["city"], False),
        ("variadic", ["a", "b"], ["a"], {"type": "integer"}),
        ("nothing", [], [], False),
        ("names", ["_x", "json", "copy", "model_config"], ["_x", "json"], False),
        ("raw", ["value", "other"], ["value"], False),
    ],
)
def test_the_top_level_of_each_schema(
    name: str, properties: list[str], required: list[str], additional: Any
) -> None:
    schema = REGISTRY.catalogue[name].arguments
    assert schema["type"] == "object"
    assert list(schema["properties"]) == properties
    assert schema["required"] == required
    assert schema["additionalProperties"] == additional


def test_schemas_of_results() -> None:
    catalogue = REGISTRY.catalogue
    assert catalogue["decimals"].result is not None
    assert catalogue["decimals"].result["additionalProperties"]["type"] == "string"
    assert catalogue["nothing"].result == {"type": "null"}
    assert catalogue["raw"].result is None


# --- binding


BINDINGS: list[tuple[str, list[Any], Any]] = [
    ("variadic", [{"a": 1, "b": 3, "c": 4}], [1, 3, [], {"c": 4}]),
    ("variadic", [1, 2, 3, 4], [1, 2, [3, 4], {}]),
    ("variadic", [[1]], [[1], 2, [], {}]),
    ("gap", [{"c": 9}], [1, 2, 9, 4]),
    ("gap", [{"a": 7, "d": 8}], [7, 2, 3, 8]),
    ("gap", [], [1, 2, 3, 4]),
    ("names", [{"_x": 1, "json": "j"}], [1, "j", False, 1]),
    ("names", [1, "j", True, 2.5], [1, "j", True, 2.5]),
    (
        "node",
        [{"name": "a", "children": [{"name": "b"}]}],
        {"name": "a", "children": [{"name": "b", "children": []}]},
    ),
    ("open", [{"name": "a", "more": 1}], {"name": "a", "more": 1}),
    ("aliased", [{"from": "me"}], {"from": "me"}),
    ("address", [{"city": "Bern", "zip": 3000}], {"city": "Bern", "zip": 3000}),
    ("addresses", [{"given": [{"city": "Bern"}]}], [{"city": "Bern"}]),
    ("nothing", [], None),
    ("nothing", [{}], None),
    ("raw", [{"value": {"a": [1.5, None]}}], {"a": [1.5, None]}),
    ("raw", [{"value": "\ud800"}], "\ud800"),
]


@pytest.mark.parametrize(("name", "payloads", "result"), BINDINGS)
def test_binds(name: str, payloads: list[Any], result: Any) -> None:
    assert call(name, *payloads) == result


def test_values_become_what_the_hints_say() -> None:
    given = {
        "order_id": "o",
        "amount": 59.9,
        "items": [{"sku": "a", "quantity": 2.0, "note": "ignored by the model"}],
        "colour": "blue",
        "tag": "x",
        "at": "2030-01-02T00:00:00Z",
        "pin": "1234",
    }
    args, named = REGISTRY._signatures["charge"].bind([given])  # pyright: ignore[reportPrivateUsage]
    assert args == []
    assert named == {
        "order_id": "o",
        "amount": Decimal("59.9"),
        "items": [Item(sku="a", quantity=2)],
        "colour": Colour.BLUE,
        "tag": "x",
        "at": datetime(2030, 1, 2, tzinfo=UTC),
        "pin": SecretStr("1234"),
    }


OK = {"order_id": "o", "amount": 1}


MESSAGES: list[tuple[str, list[Any], str]] = [
    (
        "charge",
        [],
        "argument `order_id` of charge is missing; argument `amount` is missing",
    ),
    (
        "charge",
        [{"order_id": "o", "amount": "ten"}],
        'argument `amount` of charge: must be a number, is the text "ten"',
    ),
    (
        "charge",
        [{"order_id": 7, "amout": 3}],
        "unknown argument `amout` of charge: did you mean `amount`?; argument `order_id`: must "
        "be text, is the number 7; argument `amount` is missing",
    ),
    (
        "charge",
        [{**OK, "items": [{"sku": "a"}, {"sku": None, "quantity": 0}, {}]}],
        "argument `items[1].sku` of charge: must be text, is null; argument "
        "`items[1].quantity`: must be greater than 0, is the number 0; argument "
        "`items[2].sku` is missing",
    ),
    (
        "charge",
        [{**OK, "items": {}}],
        "argument `items` of charge: must be a list, is an object",
    ),
    (
        "charge",
        [{**OK, "colour": "green"}],
        "argument `colour` of charge: must be 'red' or 'blue', is the text \"green\"",
    ),
    (
        "charge",
        [{**OK, "tag": 2.5}],
        "argument `tag` of charge: must be a whole number or text, is the number 2.5",
    ),
    (
        "charge",
        [{**OK, "kind": True}],
        "argument `kind` of charge: must be 'a' or 'b', is true",
    ),
    (
        "charge",
        [{**OK, "at": "tomorrow"}],
        "argument `at` of charge: must be a date and time such as 2030-12-31T12:00:00Z, is the "
        'text "tomorrow"',
    ),
    ("charge", [{**OK, "pin": 1234}], "argument `pin` of charge: must be text"),
    (
        "charge",
        [{**OK, "places": {"x": "a"}}],
        "argument `places.x` of charge: has a key that must be a whole number",
    ),
    (
        "charge",
        [{**OK, "short": "long"}],
        "argument `short` of charge: must have at most 3 characters",
    ),
    (
        "charge",
        ["o", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        "11 arguments were given to charge, which takes 10: `order_id`, `amount`, `items`, "
        "`colour`, `tag`, `kind`, `at`, `pin`, `places`, `short`",
    ),
    ("charge", ["o"], "argument `amount` of charge is missing"),
    ("node", ["x"], 'argument `given` of node: must be an object, is the text "x"'),
    (
        "node",
        [{"name": "a", "children": [{"name": 1}], "kids": []}],
        "unknown argument `kids` of node: it takes `name`, `children`; argument "
        "`children[0].name`: must be text, is the number 1",
    ),
    (
        "parcel",
        [{"wieght": 3}],
        "unknown argument `wieght` of parcel: did you mean `weight`?; argument `weight` is missing",
    ),
    (
        "address",
        [{"city": "Bern", "zip": "3000"}],
        'argument `zip` of address: must be a whole number, is the text "3000"',
    ),
    ("aliased", [{"from": "you"}], "argument `from` of aliased: nobody knows this sender"),
    ("nothing", [{"a": 1}], "unknown argument `a` of nothing: it takes none"),
    ("nothing", [1], "1 argument was given to nothing, which takes none"),
    (
        "variadic",
        [{"a": 1, "c": "x"}],
        'argument `c` of variadic: must be a whole number, is the text "x"',
    ),
    (
        "variadic",
        [1, 2, 3, "x"],
        'argument `rest[1]` of variadic: must be a whole number, is the text "x"',
    ),
    (
        "names",
        [{"_x": True, "json": ""}],
        "argument `_x` of names: must be a whole number, is true",
    ),
]


@pytest.mark.parametrize(("name", "payloads", "message"), MESSAGES)
def test_messages(name: str, payloads: list[Any], message: str) -> None:
    assert refusal(name, *payloads) == message


# --- results


def test_results_by_annotation_and_by_value() -> None:
    assert call("decimals") == {"a": "59.90"}
    assert call("unannotated") == {
        "when": "2030-01-02T00:00:00Z",
        "colour": "red",
        "item": {"sku": "a", "quantity": 1},
        "parcel": {"weight": "1.5", "sent": None},
        "id": "00000000-0000-0000-0000-000000000001",
        "set": [1],
        "plain": [1, 2.5, "x", None, True],
    }


# --- idempotency key and progress, without a server


def environment(*details: Any) -> ActivityEnvironment:
    env = ActivityEnvironment()
    env.info = dataclasses.replace(env.info, heartbeat_details=list(details), activity_id="step")
    return env


def test_the_key_in_a_test_of_an_activity() -> None:
    assert environment().run(idempotency_key) == "test-run/step"


@pytest.mark.parametrize("ask", [idempotency_key, heartbeat, lambda: last_progress(0)])
def test_outside_an_activity(ask: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match="outside an activity"):
        ask()


def test_progress_becomes_what_the_default_is() -> None:
    assert environment().run(last_progress, 0) == 0
    assert environment(7).run(last_progress, 0) == 7
    assert environment({"sku": "a", "quantity": 2}).run(last_progress, Item(sku="")) == Item(
        sku="a", quantity=2
    )
    assert environment(["a"]).run(last_progress, set[str]()) == {"a"}
    assert environment({"page": 3}).run(last_progress, None) == {"page": 3}


def test_progress_of_another_form_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    assert environment({"page": 3}).run(last_progress, 0) == 0
    assert "starting again" in caplog.text


def test_reported_progress_is_plain_json() -> None:
    env = environment()
    reported: list[Any] = []
    env.on_heartbeat = reported.append
    env.run(heartbeat, Item(sku="a"))
    env.run(heartbeat, 3)
    env.run(heartbeat)
    assert reported == [{"sku": "a", "quantity": 1}, 3, None]
