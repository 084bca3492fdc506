"""The expression language: parsed by the standard library's `ast`, checked, compiled, bounded.

syntax, problems = analyse("input.amount > 1000")      what is known before anything runs
if syntax is not None:
    type, problems = syntax.check(scope)

expression, problems = parse("input.amount > 1000")    what runs
if expression is not None:
    value = expression.evaluate(context)
"""

from .check import Scope
from .errors import CODES, ExpressionError, MissingError, Problem
from .expression import Expression, parse
from .frame import Context, Value
from .functions import FUNCTIONS, Function
from .limits import LIMITS, Limits
from .names import RESERVED
from .syntax import Syntax, analyse, range_arguments
from .template import Template, TemplateProblem, parse_template, parts, strip_braces
from .types import Type

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
    "Syntax",
    "Template",
    "TemplateProblem",
    "Type",
    "Value",
    "analyse",
    "parse",
    "parse_template",
    "parts",
    "range_arguments",
    "strip_braces",
]
