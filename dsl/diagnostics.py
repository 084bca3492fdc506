"""Diagnostics: what is wrong with a definition, as values.

A stage never raises for an author's mistake. It returns what it made together with the
diagnostics it found, so that all mistakes are reported at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dsl.source import Source, Span

__all__ = ["CODES", "Code", "Diagnostic", "Severity", "closest", "did_you_mean", "has_errors"]


class Severity(StrEnum):
    """How bad it is. Only an error stops a definition from running."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of mistake, stable for ever once published.

    Args:
        id: `DSL` and three digits: 0xx reading the file, 1xx structure, 2xx values,
            3xx expressions, 4xx names and references, 5xx messages and activities.
        title: The mistake in a few words.
    """

    id: str
    title: str


def _table(*rows: tuple[str, str]) -> dict[str, Code]:
    return {id: Code(id, title) for id, title in rows}


CODES = _table(
    ("DSL001", "the file cannot be read"),
    ("DSL002", "the file is too large"),
    ("DSL003", "the file is not text"),
    ("DSL004", "YAML syntax"),
    ("DSL005", "the file holds no definition"),
    ("DSL006", "nested too deeply"),
    ("DSL007", "too large after its aliases are expanded"),
    ("DSL008", "duplicate key"),
    ("DSL009", "a tag"),
    ("DSL010", "a key that is not text"),
    ("DSL011", "a number JSON cannot hold"),
    ("DSL012", "a braced expression inside a flow collection"),
    ("DSL013", "an expression cut short by a comment"),
    ("DSL101", "unknown key"),
    ("DSL102", "missing key"),
    ("DSL103", "a step without a kind"),
    ("DSL104", "a step of several kinds"),
    ("DSL105", "wrong type"),
    ("DSL106", "wrong value"),
    ("DSL107", "keys that exclude one another"),
    ("DSL108", "a definition is too large"),
    ("DSL201", "not a duration"),
    ("DSL202", "not a name"),
    ("DSL203", "reserved name"),
    ("DSL204", "not a JSON Schema"),
    ("DSL301", "expression syntax"),
    ("DSL302", "not allowed in an expression"),
    ("DSL303", "unknown name"),
    ("DSL304", "unknown function"),
    ("DSL305", "arguments of a function"),
    ("DSL306", "an expression is too large"),
    ("DSL307", "an expression that is not text"),
    ("DSL308", "an expression with a known error"),
    ("DSL401", "duplicate id"),
    ("DSL402", "unknown step"),
    ("DSL403", "a step that cannot be seen from here"),
    ("DSL404", "use of steps"),
    ("DSL405", "undeclared variable"),
    ("DSL406", "a step needs an id"),
    ("DSL407", "a variable declared twice"),
    ("DSL408", "break or continue outside a loop"),
    ("DSL409", "definitions of the same name"),
    ("DSL501", "undeclared signal"),
    ("DSL502", "unknown activity"),
    ("DSL503", "arguments of an activity"),
    ("DSL504", "rollback of a step without a compensation"),
)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake at one place.

    Args:
        code: A key of `CODES`.
        message: What is wrong, in the author's words.
        source: The text it is in.
        span: Where.
        hint: What to do, or the nearest alternative.
        severity: `error` or `warning`.
        related: Other places that explain it, each with a word: "first defined here".
    """

    code: str
    message: str
    source: Source
    span: Span
    hint: str | None = None
    severity: Severity = Severity.ERROR
    related: tuple[tuple[str, Span], ...] = ()

    @property
    def place(self) -> str:
        """`file:line:column`."""
        position = self.source.position(self.span.start)
        return f"{self.source.name}:{position.line}:{position.column}"

    def order(self) -> tuple[str, int, str]:
        """Sort key: by file, then by place."""
        return (self.source.name, self.span.start, self.code)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them stops the definition from running."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A hint that names the nearest alternative, or None where nothing is near."""
    match = closest(word, candidates)
    return f"did you mean `{match}`?" if match else None
