"""An expression: parsed and compiled once, evaluated often."""

import ast
from dataclasses import dataclass, field
from typing import Final

from .compile import Compiler, Run
from .errors import ExpressionError, Fault, Place, Problem
from .frame import Context, Frame, Value
from .syntax import analyse
from .values import measure

__all__ = ["Expression", "parse"]

_CONTAINERS: Final = (dict, list)
_PASSES_ON: Final = ("default", "first", "last")


@dataclass(frozen=True, slots=True)
class Expression:
    """A valid expression.

    Attributes:
        source: Its source.
        reads: What it reads: `("input",)`, `("vars", "x")`, `("steps", "charge", "output")`, and
            so on; without the variables of its comprehensions.
    """

    source: str
    reads: frozenset[tuple[str, ...]]
    _run: Run = field(repr=False, compare=False)
    _slots: int = field(repr=False, compare=False)
    _only_reads: bool = field(repr=False, compare=False)

    def evaluate(self, context: Context) -> Value:
        """The value.

        Args:
            context: What is read.

        Returns:
            A value that may share parts with what was read.

        Raises:
            ExpressionError: It failed; `MissingError` if something it read is not there.
        """
        frame = Frame(context)
        if self._slots:
            frame.slots = [None] * self._slots
        try:
            value = self._run(frame)
        except RecursionError:
            raise self._whole("the expression is nested too deeply") from None
        # An exact type, not isinstance(): every evaluation comes by here.
        if self._only_reads or type(value) not in _CONTAINERS:
            return value
        # Sharing makes small values that are large when written: nothing else would stop them.
        try:
            measure(value)
        except Fault as fault:
            raise self._whole(fault.message) from None
        return value

    def _whole(self, message: str) -> ExpressionError:
        return Place(self.source, 0, len(self.source)).error(Fault(message))


def parse(source: str) -> tuple[Expression | None, tuple[Problem, ...]]:
    """Parse an expression.

    Args:
        source: The source, without `${ }`.

    Returns:
        The expression, or None if it has problems; and the problems in the order of the source.
    """
    syntax, problems = analyse(source)
    if syntax is None:
        return None, problems
    compiler = Compiler(syntax.source)
    run = compiler.compile(syntax.tree, {})
    return Expression(source, syntax.reads, run, compiler.slots, _reads(syntax.tree)), ()


def _reads(node: ast.expr) -> bool:
    """Whether the value is one that was read, whole or a part: such values are never measured."""
    match node:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute(value=value):
            return _reads(value)
        case ast.Subscript(value=value):
            return _reads(value)
        case ast.IfExp(body=body, orelse=orelse):
            return _reads(body) and _reads(orelse)
        case ast.Call(func=ast.Name(id=name), args=args) if name in _PASSES_ON:
            return all(map(_reads, args))
        case _:
            return False
