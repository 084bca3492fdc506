"""What is known of an expression without compiling it: its tree, what it reads, its type."""

import ast
from dataclasses import dataclass, field
from typing import cast

from .check import Scope, check
from .compile import Compiler
from .errors import ExpressionError, Problem
from .facts import Facts, conjuncts, facts
from .frame import Context, Frame
from .infer import infer
from .parse import Source, read
from .rules import Reference, Rules
from .types import ANY, Type

__all__ = ["Syntax", "analyse", "range_arguments"]


def range_arguments(text: str) -> tuple[str, ...] | None:
    """The sources of the arguments, where an expression as a whole is a call of `range`."""
    tree, source, _ = read(text)
    match tree:
        case ast.Call(func=ast.Name(id="range"), args=[_, *_] as args, keywords=[]) if len(
            args
        ) <= 3 and not any(isinstance(one, ast.Starred) for one in args):
            return tuple(text[slice(*source.span(one))] for one in args)
        case _:
            return None


@dataclass(frozen=True, slots=True, eq=False)
class Syntax:
    """A valid expression, not compiled.

    Attributes:
        source: Its source.
        tree: Its syntax tree, which keeps the rules.
        references: The names it reads and binds.
    """

    source: Source
    tree: ast.expr = field(repr=False)
    references: tuple[Reference, ...]

    @property
    def reads(self) -> frozenset[tuple[str, ...]]:
        """What it reads; see `Expression`."""
        return frozenset(
            one.path
            for one in self.references
            if one.kind in ("name", "vars") or (one.kind == "steps" and len(one.path) == 3)
        )

    def check(self, scope: Scope, want: Type | None = None) -> tuple[Type, tuple[Problem, ...]]:
        """Its type in a scope, and its problems there in the order of the source.

        Args:
            scope: What can be read.
            want: What is wanted where it stands, if that is known.
        """
        problems = check(self.references, scope)
        if problems:
            return ANY, problems
        found, wrong = infer(self.tree, self.source, scope, want)
        if not wrong and not self.references and not isinstance(self.tree, ast.Constant):
            wrong = self._known_error()
        return found, tuple(sorted(wrong, key=lambda one: (one.start, one.end)))

    def _known_error(self) -> list[Problem]:
        """What fails in an expression that reads nothing: it fails in every run."""
        text = self.source.text
        if "now(" in text or "uuid(" in text:
            return []
        compiler = Compiler(self.source)
        frame = Frame(cast("Context", None))  # it reads nothing
        try:
            run = compiler.compile(self.tree, {})
            frame.slots = [None] * compiler.slots
            run(frame)
        except ExpressionError as error:
            return [Problem("known-error", error.message, error.start, error.end, error.hint)]
        except RecursionError:
            pass
        return []

    def facts(self) -> Facts:
        """What can be read where it is true, if it is a condition."""
        return facts(self.tree, self.source)

    def conjuncts(self) -> list[str]:
        """The conditions that must all be true for it to be, if it is one."""
        return conjuncts(self.tree, self.source)


def analyse(source: str) -> tuple[Syntax | None, tuple[Problem, ...]]:
    """Read an expression.

    Args:
        source: The source, without `${ }`.

    Returns:
        What is known of it, or None if it has problems; and the problems in the order of the
        source.
    """
    tree, text, problems = read(source)
    if tree is None:
        return None, tuple(problems)
    rules = Rules(text)
    rules.visit(tree)
    if rules.problems:
        return None, tuple(sorted(rules.problems, key=lambda one: (one.start, one.end)))
    return Syntax(text, tree, tuple(rules.references)), ()
