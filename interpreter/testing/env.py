"""Where a step is, what it sees, and how it may end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dsl.durations import parse_duration
from dsl.expressions import ExpressionError, MissingError, parse, parse_template
from dsl.model.common import Compensation
from interpreter.testing.rules import Unsupported
from interpreter.testing.turns import Scope, Stopped

if TYPE_CHECKING:
    from interpreter.testing.log import Group

__all__ = ["Ending", "Env", "Failed", "Left", "Record"]


class Failed(Exception):
    """An error on its way outward.

    Args:
        type: Its type.
        more: Its message, details and step, as far as they are known.
        final: Whether it was said to be not retryable.
    """

    def __init__(self, type: str, more: dict[str, Any] | None = None, final: bool = False) -> None:
        super().__init__(type)
        self.data = {"type": type, "message": "", "details": None, "step": None, **(more or {})}
        self.final = final

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.data["type"])


class Left(Exception):
    """A jump on its way outward: `return`, `break` or `continue`."""


Ending = Failed | Stopped | Left
"""How a step ends that does not complete."""


@dataclass(slots=True)
class Record:
    """What `steps.<id>` reads."""

    status: str = "pending"
    error: dict[str, Any] | None = None
    output: Any = None


@dataclass(frozen=True, slots=True)
class Env:
    """Where a step is, and what it sees.

    Args:
        scope: What it is stopped with.
        group: Where it is registered.
        names: What expressions see.
        variables: The variables of the blocks round it, the innermost last.
        records: The steps of the activations round it, the innermost last.
        prefix: What stands before the paths of its activation.
        ids: What stands before ids.
        place: Where it is in its activation.
        trial: Its path, and which try of it this is.
        undoing: What `compensation` of the blocks round it says.
        rule: The rule that wants its acts.
    """

    scope: Scope
    group: Group
    names: dict[str, Any]
    variables: tuple[dict[str, Any], ...] = ()
    records: tuple[dict[str, Record], ...] = ()
    prefix: str = ""
    ids: str = ""
    place: str = ""
    trial: str = ""
    undoing: Compensation = field(default_factory=Compensation.model_construct)
    rule: str = "flow"

    @property
    def path(self) -> str:
        """The path of the step."""
        return self.prefix + self.place

    def value(self, template: Any) -> Any:
        """The value of a template."""
        parsed, _ = parse_template(template)
        assert parsed is not None
        try:
            return parsed.evaluate(self)
        except ExpressionError as error:
            raise Unsupported(f"{self.path}: {error}") from None

    def holds(self, condition: str | None, *, lenient: bool = False) -> bool:
        """Whether a condition is true. One that is not there is.

        Args:
            condition: The condition.
            lenient: Whether a missing key makes it false.
        """
        if condition is None:
            return True
        parsed, _ = parse(condition)
        assert parsed is not None
        try:
            value = parsed.evaluate(self)
        except ExpressionError as error:
            if lenient and isinstance(error, MissingError):
                return False
            raise Unsupported(f"{self.path}: {error}") from None
        if not isinstance(value, bool):
            raise Unsupported(f"{self.path}: {condition} is no truth value")
        return value

    def seconds(self, duration: str) -> float:
        """A duration in seconds."""
        value = self.value(duration)
        return value if isinstance(value, int | float) else parse_duration(value) or 0.0

    def frame(self, name: str) -> dict[str, Any]:
        """The variables that a variable is among."""
        for frame in reversed(self.variables):
            if name in frame:
                return frame
        raise KeyError(name)

    # What expressions ask for.

    def lookup(self, name: str) -> Any:
        """A name."""
        return self.names[name]

    def variable(self, name: str) -> Any:
        """A variable."""
        return self.frame(name)[name]

    def step(self, id: str, field: str) -> Any:
        """A field of a step."""
        record = next((f[id] for f in reversed(self.records) if id in f), Record())
        if field == "output" and record.status not in ("completed", "caught"):
            raise LookupError(f"{id} has no output")
        return getattr(record, field)

    def now(self) -> str:
        """The time, which nobody knows."""
        raise Unsupported("now()")

    def uuid(self) -> str:
        """A random text, which nobody knows."""
        raise Unsupported("uuid()")
