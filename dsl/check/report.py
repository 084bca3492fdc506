"""Collecting diagnostics, and giving the problems of expressions their places."""

from __future__ import annotations

from typing import Any

from dsl.check.scope import Place
from dsl.diagnostics import Diagnostic, Related
from dsl.expressions import Problem, parse, parse_template, strip_braces
from dsl.source import Source, Span
from dsl.syntax import Node, Scalar, locate

__all__ = ["CODE_OF", "Report"]

CODE_OF = {
    "argument-count": "DSL305",
    "empty": "DSL301",
    "expression-syntax": "DSL301",
    "not-allowed": "DSL302",
    "number-range": "DSL301",
    "reserved-name": "DSL203",
    "shadowed-name": "DSL302",
    "step-field": "DSL404",
    "step-not-visible": "DSL403",
    "steps-use": "DSL404",
    "template-unclosed": "DSL301",
    "too-deep": "DSL306",
    "too-long": "DSL306",
    "unknown-function": "DSL304",
    "unknown-name": "DSL303",
    "unknown-step": "DSL402",
    "unknown-variable": "DSL405",
    "vars-use": "DSL404",
}
"""The diagnostic of each problem that an expression can have."""


class Report:
    """The diagnostics of a definition, as they are found.

    Args:
        source: The text.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []

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
        others = (Related(related, self.source, there),) if related and there else ()
        self.diagnostics.append(Diagnostic(code, message, self.source, span, hint, others))

    def problem(self, problem: Problem, node: Node, offset: int = 0) -> None:
        """Adds a problem of an expression that begins `offset` characters into a text."""
        hint = problem.hint
        span = node.span
        if isinstance(node, Scalar) and isinstance(node.value, str):
            span = node.place(offset + problem.start, offset + problem.end)
            after = self.source.text[node.span.end : node.span.end + 80].split("\n")[0]
            if problem.code == "template-unclosed" and node.style == "" and " #" in after:
                self.add(
                    "DSL013",
                    "a # after a space begins a comment, which cut this expression short",
                    span,
                    "put the whole text in quotes",
                )
                return
        self.add(CODE_OF[problem.code], problem.message, span, hint)

    def expression(self, node: Node, place: Place) -> None:
        """Checks a bare expression."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return  # true, false, a number; anything else was reported when it was read
        text, offset = strip_braces(node.value)
        expression, problems = parse(text)
        if expression is not None:
            problems = expression.check(place.scope())
        for problem in problems:
            self.problem(problem, node, offset)

    def template(self, node: Node, place: Place) -> None:
        """Checks a template."""
        value: Any = node.data()
        template, problems = parse_template(value)
        for found in problems:
            self.problem(found.problem, locate(node, found.path)[0])
        if template is None:
            return
        scope = place.scope()
        for path, offset, expression in template.expressions:
            for problem in expression.check(scope):
                self.problem(problem, locate(node, path)[0], offset)
