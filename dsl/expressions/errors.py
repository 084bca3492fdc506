"""What can be wrong with an expression: problems found at load, errors raised at run time.

Exceptions:

    Exception
    ├── ExpressionError        an evaluation failed, at a known place of the source
    │   └── MissingError       it read what is not there; `default()` and `has()` swallow it
    └── Fault                  internal: an operation failed; the node that called it adds the place
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from .limits import LIMITS

__all__ = [
    "CODES",
    "ExpressionError",
    "Fault",
    "MissingError",
    "Place",
    "Problem",
    "nearest",
    "shorten",
]

CODES: Final = (
    "argument-count",
    "empty",
    "expression-syntax",
    "known-error",
    "maybe-no-key",
    "maybe-no-output",
    "no-key",
    "not-allowed",
    "number-range",
    "one-outcome",
    "reserved-name",
    "secret",
    "shadowed-name",
    "step-field",
    "step-not-visible",
    "steps-use",
    "template-unclosed",
    "too-deep",
    "too-long",
    "unguarded-output",
    "unknown-function",
    "unknown-name",
    "unknown-step",
    "unknown-variable",
    "vars-use",
    "wrong-type",
)
"""Every code a `Problem` can have."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An author's mistake, found without running anything.

    Attributes:
        code: One of `CODES`.
        message: What is wrong, in the author's words.
        start: Where it begins: characters from the start of the source.
        end: Where it ends (exclusive).
        hint: What to write instead, if that can be said.
        step: The id of the step it is about, if it is about one.
    """

    code: str
    message: str
    start: int
    end: int
    hint: str | None = None
    step: str | None = None


class ExpressionError(Exception):
    """An expression failed at run time.

    Attributes:
        message: What went wrong, in one line.
        source: The expression's source.
        start: Where in the source, in characters.
        end: The end of that place (exclusive).
        path: In a template, the path of the string the expression stands in; else empty.
        offset: In a template, the characters of that string before the expression's source.
    """

    def __init__(
        self, message: str, source: str, start: int, end: int, hint: str | None = None
    ) -> None:
        super().__init__(message, source, start, end, hint)
        self.message = message
        self.source = source
        self.start = start
        self.end = end
        self.path: tuple[str | int, ...] = ()
        self.offset = 0
        self._hint = hint

    @property
    def hint(self) -> str | None:
        """What to do about it, if that can be said."""
        return self._hint

    def __str__(self) -> str:
        piece = shorten(" ".join(self.source[self.start : self.end].split()), 80)
        where = f", in `{piece}`" if piece and f"`{piece}`" not in self.message else ""
        return f"{self.message}{where}" + (f" ({self.hint})" if self.hint else "")


class MissingError(ExpressionError):
    """An expression read a key, an item or an output that is not there."""

    near: tuple[str, Iterable[str]] | None = None

    @property
    def hint(self) -> str | None:
        """The nearest name that is there. Looked for only when asked: most misses are expected."""
        return self._hint or (nearest(*self.near) if self.near else None)


class Fault(Exception):
    """An operation on values failed; it does not know where in the source.

    Attributes:
        message: What went wrong.
        hint: What to do about it.
        missing: Whether this is a `MissingError` once it has a place.
    """

    def __init__(self, message: str, hint: str | None = None, *, missing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.missing = missing
        self.near: tuple[str, Iterable[str]] | None = None

    def among(self, name: str, choices: Iterable[str]) -> "Fault":
        """The fault itself, knowing what was looked for and what there was."""
        self.near = (name, choices)
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of an expression's source, which turns faults into errors."""

    source: str
    start: int
    end: int

    def error(self, fault: Fault) -> ExpressionError:
        """The fault as an error at this place."""
        if not fault.missing:
            return ExpressionError(fault.message, self.source, self.start, self.end, fault.hint)
        error = self.missing(fault.message, fault.hint)
        error.near = fault.near
        return error

    def missing(self, message: str, hint: str | None = None) -> MissingError:
        """A `MissingError` at this place."""
        return MissingError(message, self.source, self.start, self.end, hint)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """A hint that names the choice most like a name.

    Args:
        name: What the author wrote.
        choices: What there is, in a fixed order; only the first few hundred are looked at.

    Returns:
        "did you mean ...?", or None if nothing is near.
    """
    if not name or len(name) > 40:
        return None
    short = [choice for choice in islice(choices, LIMITS.hint_choices) if len(choice) <= 40]
    folded = {choice.lower(): choice for choice in reversed(short)}
    found = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"did you mean `{folded[found[0]]}`?" if found else None


def shorten(text: str, limit: int = 40) -> str:
    """The text, cut to a number of characters with `…` at the end."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
