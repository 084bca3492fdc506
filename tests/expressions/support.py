"""What the tests of expressions read: a context with a little of everything."""

from typing import Any

from dsl.expressions import Expression, Scope, Syntax, Value, analyse, parse
from dsl.expressions.types import ANY, INT, STRING, Field, object_of, one_of

__all__ = ["INPUT", "SCOPE", "Reads", "analysed", "compiled"]

INPUT: dict[str, Value] = {
    "name": "Ada",
    "key": "name",
    "amount": 2000,
    "one": 1,
    "yes": True,
    "nothing": None,
    "from": "here",
    "class": "first",
    "is": {"None": 7},
    "größe": 3,
    "nums": [3, 1, 2],
    "huge": 10**30,
    "order": {"total": 12.5, "lines": [{"sku": "A1", "qty": 2}, {"sku": "B2", "qty": 1}]},
}

TYPED = object_of(
    {
        "name": Field(STRING),
        "count": Field(INT),
        "kind": Field(one_of(("internal", "external"))),
        "note": Field(STRING, required=False),
    }
)
SCOPE = Scope(
    names={"input": ANY, "item": ANY, "workflow": ANY, "typed": TYPED, "nullable": ANY},
    variables={"count": ANY, "map": ANY},
    steps=frozenset(("charge", "later", "doubtful")),
    all_steps=frozenset(("charge", "later", "inner", "doubtful")),
    doubt=lambda id, known: "it may be skipped" if id == "doubtful" else None,
    nullable=frozenset((("nullable",),)),
)


class Reads:
    """A context over fixed values."""

    def __init__(self, **names: Any) -> None:
        self.names: dict[str, Value] = {"input": INPUT, "item": 5, **names}
        self.variables: dict[str, Value] = {"count": 4, "map": {"a": 1}}
        self.steps: dict[tuple[str, str], Value] = {
            ("charge", "output"): {"id": "c1", "ok": True},
            ("charge", "status"): "completed",
            ("charge", "error"): None,
        }

    def lookup(self, name: str) -> Value:
        return self.names[name]

    def variable(self, name: str) -> Value:
        return self.variables[name]

    def step(self, id: str, field: str) -> Value:
        if (id, field) not in self.steps:
            raise LookupError(f"the step `{id}` has not completed")
        return self.steps[id, field]

    def now(self) -> str:
        return "2024-01-01T00:00:00Z"

    def uuid(self) -> str:
        return "00000000-0000-4000-8000-000000000000"


def compiled(source: str) -> Expression:
    """The expression of a source that has no problems."""
    expression, problems = parse(source)
    assert expression is not None, problems
    return expression


def analysed(source: str) -> Syntax:
    """What is known of a source that has no problems."""
    syntax, problems = analyse(source)
    assert syntax is not None, problems
    return syntax
