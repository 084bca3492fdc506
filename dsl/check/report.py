"""Collecting diagnostics, and giving the problems of expressions their places."""

from __future__ import annotations

from collections.abc import Mapping

from dsl.check.scope import Place
from dsl.diagnostics import Diagnostic, Related
from dsl.expressions import LIMITS, Problem, Scope, Syntax, Type, analyse, parts, strip_braces
from dsl.expressions.types import ANY, BOOL, STRING, Field, list_of, literal, object_of, union
from dsl.source import Source, Span
from dsl.syntax import Mapping as MappingNode
from dsl.syntax import Node, Scalar

__all__ = ["CODE_OF", "Report"]

CODE_OF = {
    "argument-count": "DSL305",
    "empty": "DSL301",
    "expression-syntax": "DSL301",
    "known-error": "DSL308",
    "maybe-no-key": "DSL312",
    "maybe-no-output": "DSL410",
    "no-key": "DSL311",
    "not-allowed": "DSL302",
    "number-range": "DSL301",
    "one-outcome": "DSL313",
    "reserved-name": "DSL203",
    "secret": "DSL309",
    "shadowed-name": "DSL302",
    "step-field": "DSL404",
    "step-not-visible": "DSL403",
    "steps-use": "DSL404",
    "template-unclosed": "DSL301",
    "too-deep": "DSL306",
    "too-long": "DSL306",
    "unguarded-output": "DSL601",
    "unknown-function": "DSL304",
    "unknown-name": "DSL303",
    "unknown-step": "DSL402",
    "unknown-variable": "DSL405",
    "vars-use": "DSL404",
    "wrong-type": "DSL310",
}
"""The diagnostic of each problem that an expression can have."""


class Report:
    """The diagnostics of a definition, as they are found.

    Args:
        source: The text.
        ids: Where the ids of steps stand.
    """

    def __init__(self, source: Source, ids: Mapping[str, Scalar]) -> None:
        self.source = source
        self.ids = ids
        self.diagnostics: list[Diagnostic] = []
        self._once: set[str] = set()
        self._told: set[tuple[str, str, Span]] = set()

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        related: str | None = None,
        there: Span | None = None,
    ) -> None:
        """Adds a diagnostic; `related` says what the place `there` has to do with it."""
        if (code, message, span) in self._told:
            return  # by way of another alias
        self._told.add((code, message, span))
        others = (Related(related, self.source, there),) if related and there else ()
        self.diagnostics.append(Diagnostic(code, message, self.source, span, hint, others))

    def problem(self, problem: Problem, node: Node, offset: int = 0) -> None:
        """Adds a problem of an expression that begins `offset` characters into a text."""
        hint = problem.hint
        span = node.span
        if isinstance(node, Scalar) and isinstance(node.value, str):
            span = node.place(offset + problem.start, offset + problem.end)
            after = self.source.text[node.span.end : node.span.end + 80].split("\n")[0]
            # A bare expression may have a comment behind it; one in braces that is cut may not.
            cut = "${" in node.value or offset + problem.end >= len(node.value)
            if cut and CODE_OF[problem.code] == "DSL301" and node.style == "" and " #" in after:
                self.add(
                    "DSL013",
                    "a # after a space begins a comment, which cut this expression short",
                    span,
                    "put the whole text in quotes",
                )
                return
        if problem.code == "maybe-no-key":
            # One mistake in a schema, wherever it is felt.
            if problem.hint in self._once:
                return
            self._once.add(problem.hint or "")
        step = self.ids.get(problem.step) if problem.step is not None else None
        there = step.span if step is not None else None
        related = "the step is here" if there is not None else None
        self.add(CODE_OF[problem.code], problem.message, span, hint, related, there)

    def expression(
        self, node: Node, place: Place, want: Type | None = BOOL, lenient: bool = False
    ) -> tuple[Type, Syntax | None]:
        """Checks a bare expression.

        Args:
            node: Where it stands.
            place: What it sees.
            want: What is wanted; a condition unless something else is said.
            lenient: Whether what is not there is no mistake.

        Returns:
            Its type, and what is known of it where it is valid.
        """
        if not isinstance(node, Scalar):
            return ANY, None  # anything else was reported when it was read
        if not isinstance(node.value, str):
            found = literal(node.value)
            if want is not None and found.kinds.isdisjoint(want.kinds):
                self.add("DSL310", f"this must be {want}, is {found}", node.span)
            return found, None
        text, offset = strip_braces(node.value)
        syntax, problems = analyse(text)
        found = ANY
        if syntax is not None:
            found, problems = syntax.check(place.scope(lenient), want)
        for problem in problems:
            self.problem(problem, node, offset)
        return found, None if problems else syntax

    def template(self, node: Node, place: Place, want: Type | None = None) -> Type:
        """Checks a template.

        Args:
            node: Where it stands.
            place: What it sees.
            want: What is wanted of a text that is one expression, if that is known.

        Returns:
            Its type.
        """
        return self._template(node, place.scope(), want, 0)

    def _template(self, node: Node, scope: Scope, want: Type | None, depth: int) -> Type:
        if isinstance(node, Scalar):
            if isinstance(node.value, str) and "${" in node.value:
                return self._text(node, node.value, scope, want)
            return literal(node.value)
        if depth >= LIMITS.value_depth:
            message = f"the value is nested too deeply (over {LIMITS.value_depth} levels)"
            self.add("DSL306", message, Span(node.span.start, node.span.start + 1))
            return ANY
        if isinstance(node, MappingNode):
            return object_of(
                {
                    entry.name: Field(self._template(entry.value, scope, None, depth + 1))
                    for entry in node.entries
                }
            )
        return list_of(union([self._template(item, scope, None, depth + 1) for item in node]))

    def _text(self, node: Scalar, text: str, scope: Scope, want: Type | None) -> Type:
        """Checks a text with expressions in it."""
        found: list[Type] = []
        pieces = list(parts(text))
        alone = sum(1 for piece in pieces if not isinstance(piece, str)) == 1
        alone = alone and not "".join(p for p in pieces if isinstance(p, str)).strip()
        for piece in pieces:
            if isinstance(piece, Problem):
                self.problem(piece, node)
                found.append(ANY)
            elif not isinstance(piece, str):
                offset, end = piece
                syntax, problems = analyse(text[offset:end])
                type = ANY
                if syntax is not None:
                    type, problems = syntax.check(scope, want if alone else None)
                for problem in problems:
                    self.problem(problem, node, offset)
                found.append(type)
        return found[0] if alone else STRING
