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

__all__ = [
    "CODES",
    "Code",
    "Diagnostic",
    "Related",
    "Severity",
    "closest",
    "did_you_mean",
    "has_errors",
]


class Severity(StrEnum):
    """How bad it is. Only an error stops a definition from running."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of mistake, stable for ever once published.

    Args:
        id: `DSL` and three digits: 0xx reading the file, 1xx structure, 2xx values,
            3xx expressions, 4xx names, references and flow, 5xx messages and activities,
            6xx compensation.
        title: The mistake in a few words.
        severity: An error where it cannot be meant so, a warning where it may be.
    """

    id: str
    title: str
    severity: Severity


_CODES = """\
DSL001 error   the file cannot be read
DSL002 error   the file is too large
DSL003 error   the file is not text
DSL004 error   YAML syntax
DSL005 error   the file holds no definition
DSL006 error   nested too deeply
DSL007 error   too large after its aliases are expanded
DSL008 error   duplicate key
DSL009 error   a tag
DSL010 error   a key that is not text
DSL011 error   a number JSON cannot hold
DSL012 error   a braced expression inside a flow collection
DSL013 error   an expression cut short by a comment
DSL014 error   an expression that YAML reads as something else
DSL101 error   unknown key
DSL102 error   missing key
DSL103 error   a step without a kind
DSL104 error   a step of several kinds
DSL105 error   wrong type
DSL106 error   wrong value
DSL107 error   keys that exclude one another
DSL108 error   a definition is too large
DSL109 error   options nested under a kind
DSL201 error   not a duration or a time
DSL202 error   not a name
DSL203 error   reserved name
DSL204 error   not a JSON Schema
DSL205 error   a default that its own schema refuses
DSL206 warning timeouts that do not fit together
DSL207 warning a word that JSON Schema does not know
DSL208 error   not a cron expression
DSL209 error   unknown time zone
DSL210 error   a time that a schedule cannot keep
DSL211 error   the input of a schedule
DSL301 error   expression syntax
DSL302 error   not allowed in an expression
DSL303 error   unknown name
DSL304 error   unknown function
DSL305 error   arguments of a function
DSL306 error   an expression is too large
DSL307 error   an expression that is not text
DSL308 error   an expression with a known error
DSL309 error   a secret that would be seen
DSL310 error   a value of the wrong type
DSL311 error   a key that is not there
DSL312 warning a key that may be missing
DSL313 warning a comparison with only one outcome
DSL401 error   duplicate id
DSL402 error   unknown step
DSL403 error   a step that cannot be seen from here
DSL404 error   use of steps
DSL405 error   undeclared variable
DSL406 error   a step needs an id
DSL407 error   a variable declared twice
DSL408 error   break or continue outside a loop
DSL409 error   definitions of the same name
DSL410 warning a step that may have no output
DSL411 warning a variable set by steps that run at the same time
DSL412 warning a step that is never reached
DSL413 error   a loop that cannot end
DSL414 warning a case that is never taken
DSL415 error   a join that cannot be reached
DSL416 error   what cannot stand in a batch
DSL501 error   undeclared signal
DSL502 error   unknown activity
DSL503 error   arguments of an activity or a definition
DSL504 error   rollback of a step without a compensation
DSL505 warning a signal that nobody waits for
DSL506 warning an error type that nothing raises
DSL507 warning a long attempt without heartbeats
DSL508 error   a wait for a signal that has a handler
DSL601 warning a compensation that reads an output there may not be
DSL602 warning a compensation after the point of no return
DSL603 warning a finite retry after the point of no return
DSL604 error   a point of no return among steps that run at the same time
"""
CODES = {
    id: Code(id, title, Severity(severity))
    for id, severity, title in (line.split(None, 2) for line in _CODES.splitlines())
}
"""Every code by its id."""


class _Placed:
    """Something said of a place in a text."""

    source: Source
    span: Span

    __slots__ = ()

    @property
    def place(self) -> str:
        """`file:line:column`."""
        position = self.source.position(self.span.start)
        return f"{self.source.name}:{position.line}:{position.column}"


@dataclass(frozen=True, slots=True)
class Related(_Placed):
    """Another place that explains a mistake.

    Args:
        message: What it has to do with it: "first defined here".
        source: The text it is in.
        span: Where.
    """

    message: str
    source: Source
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic(_Placed):
    """One mistake at one place.

    Args:
        code: A key of `CODES`.
        message: What is wrong, in the author's words.
        source: The text it is in.
        span: Where.
        hint: What to do, or the nearest alternative.
        related: Other places that explain it.
    """

    code: str
    message: str
    source: Source
    span: Span
    hint: str | None = None
    related: tuple[Related, ...] = ()

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CODES[self.code].severity

    def order(self) -> tuple[str, int, str]:
        """Sort key: by file, then by place."""
        return (self.source.name, self.span.start, self.code)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them stops the definition from running."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def closest(word: str, candidates: Iterable[str], alike: float = 0.6) -> str | None:
    """The candidate that `word` was probably meant to be; `alike` is from 0 to 1."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=alike)
    return matches[0] if matches else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """A hint that names the nearest alternative, or None where nothing is near."""
    match = closest(word, candidates)
    return f"did you mean `{match}`?" if match else None
