"""The expression language: parsed by the standard library's `ast`, checked, compiled, bounded.

expression, problems = parse("input.amount > 1000")
if expression is not None:
    problems = expression.check(scope)
    value = expression.evaluate(context)
"""

from .check import Scope
from .errors import CODES, ExpressionError, MissingError, Problem
from .expression import Expression, parse
from .frame import Context, Value
from .functions import FUNCTIONS, Function
from .limits import LIMITS, Limits
from .names import RESERVED
from .template import Template, TemplateProblem, parse_template, strip_braces

__all__ = [
    "CODES",
    "FUNCTIONS",
    "LIMITS",
    "RESERVED",
    "Context",
    "Expression",
    "ExpressionError",
    "Function",
    "Limits",
    "MissingError",
    "Problem",
    "Scope",
    "Template",
    "TemplateProblem",
    "Value",
    "parse",
    "parse_template",
    "strip_braces",
]
