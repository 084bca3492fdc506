"""What an evaluation carries with it: the context it reads, and the budget it spends."""

from typing import Protocol, TypeAlias

from .errors import Fault
from .limits import LIMITS

__all__ = ["Context", "Frame", "Value", "overspent"]

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""A JSON value. Values are immutable by agreement: results may share parts with what was read."""


class Context(Protocol):
    """What an expression can read. Implemented by whoever evaluates."""

    def lookup(self, name: str) -> Value:
        """The value of a root name such as `input`; KeyError if it is not there."""
        ...

    def variable(self, name: str) -> Value:
        """The value of `vars.<name>`; KeyError if it is not there."""
        ...

    def step(self, id: str, field: str) -> Value:
        """`steps.<id>.<field>`, field being output, status or error.

        LookupError, with a message for the author, if it cannot be read.
        """
        ...

    def now(self) -> str:
        """The time, as an RFC 3339 string."""
        ...

    def uuid(self) -> str:
        """A new random UUID."""
        ...


class Frame:
    """One evaluation's state.

    Attributes:
        context: What is read.
        left: Units of work still to spend (`LIMITS.work` at first).
        slots: The comprehension variables, by place.
    """

    # Where they begin is the same for all, and most expressions change neither.
    left: int = LIMITS.work
    slots: list[Value] = []  # noqa: RUF012  (never changed: who has slots brings a list)

    def __init__(self, context: Context) -> None:
        self.context = context

    def spend(self, units: int) -> None:
        """Take units of work from the budget; a fault if it has not that many."""
        self.left -= units
        if self.left < 0:
            raise overspent()


def overspent() -> Fault:
    """The fault of an evaluation that has spent its budget."""
    return Fault(
        f"the expression does too much work (over {LIMITS.work} units)",
        "make it work on less data, or do it in an activity",
    )
