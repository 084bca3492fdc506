"""Which syntax trees are expressions: every other construct is refused, with what to write."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Final

from .errors import Problem, nearest
from .functions import FUNCTIONS, Function
from .limits import LIMITS, MAX_INT
from .names import CONSTANTS, RESERVED, STEP_FIELDS
from .parse import Source

__all__ = ["Reference", "Rules"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A name an expression reads, or a comprehension variable it binds.

    Attributes:
        kind: name, vars, steps, or bind; or misuse: `vars` or `steps` in a form that is refused.
        path: The names, outermost first; for a misuse its code, message and hint.
        start: Where it begins, in characters.
        end: Where it ends (exclusive).
    """

    kind: str
    path: tuple[str, ...]
    start: int
    end: int


_METHODS: Final = {
    "append": "list + [item]",
    "count": "len([x for x in list if x == item])",
    "endswith": "ends_with(text, end)",
    "endsWith": "ends_with(text, end)",
    "filter": "[x for x in list if condition]",
    "format": "a template, or format_number(x, 2)",
    "get": "default(object.key, other)",
    "includes": "item in list",
    "isoformat": "format_time(seconds)",
    "join": "join(list, separator)",
    "length": "len(list)",
    "map": "[f(x) for x in list]",
    "size": "len(list)",
    "startswith": "starts_with(text, start)",
    "startsWith": "starts_with(text, start)",
    "strftime": "format_time(seconds, format)",
    "toLowerCase": "lower(text)",
    "toString": "str(x)",
    "toUpperCase": "upper(text)",
    "trim": "strip(text)",
}
_FUNCTION_HINTS: Final = {
    "count": "len",
    "dict": "merge",
    "dumps": "json",
    "filter": "a comprehension: [x for x in list if condition]",
    "length": "len",
    "loads": "from_json",
    "map": "a comprehension: [f(x) for x in list]",
    "set": "unique",
    "size": "len",
    "string": "str",
    "trim": "strip",
}
_OPERATORS: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)


class Rules:
    """One walk over a tree, which collects its problems and its references."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.references: list[Reference] = []

    def visit(self, node: ast.expr, bound: frozenset[str] = frozenset(), depth: int = 1) -> None:
        """Check a node and what is under it.

        Args:
            node: The node.
            bound: The comprehension variables in scope.
            depth: How deep the node is.
        """
        if depth > LIMITS.depth:
            if all(problem.code != "too-deep" for problem in self.problems):
                message = f"the expression is nested too deeply (over {LIMITS.depth} levels)"
                self._problem("too-deep", message, node)
            return
        match node:
            case ast.Constant():
                self._constant(node)
            case ast.Name():
                self._name(node, bound)
            case ast.Attribute():
                self._attribute(node, bound, depth)
            case ast.Call():
                self._call(node, bound, depth)
            case ast.ListComp(generators=generators, elt=elt):
                self._comprehension(generators, (elt,), bound, depth)
            case ast.DictComp(generators=generators, key=key, value=value):
                self._comprehension(generators, (key, value), bound, depth)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)) if (
                number == MAX_INT + 1
            ):
                pass
            case _:
                self._children(node, bound, depth)

    def _children(self, node: ast.expr, bound: frozenset[str], depth: int) -> None:
        children: list[ast.expr | None]
        match node:
            case ast.BoolOp():
                children = [*node.values]
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
                children = [node.operand]
            case ast.BinOp() if isinstance(node.op, _OPERATORS):
                children = [node.left, node.right]
            case ast.Compare():
                children = [node.left, *node.comparators]
            case ast.IfExp():
                children = [node.test, node.body, node.orelse]
            case ast.Subscript(slice=ast.Slice() as part):
                children = [node.value, part.lower, part.upper, part.step]
            case ast.Subscript():
                if self._is_root(node.value, "steps", bound) or self._is_root(
                    node.value, "vars", bound
                ):
                    self._misuse(node, node.value)
                    children = [node.slice]
                else:
                    children = [node.value, node.slice]
            case ast.List():
                children = [*node.elts]
            case ast.Dict():
                if None in node.keys:
                    self._refuse(node, "`**` is not allowed in an object", "write `merge(a, b)`")
                children = [*node.keys, *node.values]
            case _:
                self._refuse(node, *_UNKNOWN.get(type(node), ("this is not allowed", None)))
                return
        for child in children:
            if child is not None:
                self.visit(child, bound, depth + 1)

    def _constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and value > MAX_INT:
            self._problem("number-range", "the number is too large (over 64 bits)", node)
        elif isinstance(value, float) and not isfinite(value):
            self._problem("number-range", "the number is too large", node)
        elif isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            message = "the string holds half a character (a surrogate)"
            self._problem("expression-syntax", message, node)

    def _name(self, node: ast.Name, bound: frozenset[str]) -> None:
        name = node.id
        if name in bound or name in CONSTANTS:
            return
        if name in ("steps", "vars"):
            self._misuse(node, node)
        elif name in FUNCTIONS:
            hint = f"write `{FUNCTIONS[name].signature}`"
            self._refuse(node, f"`{name}` is a function and must be called", hint)
        else:
            self._refer("name", (name,), node)

    def _attribute(self, node: ast.Attribute, bound: frozenset[str], depth: int) -> None:
        base = node.value
        if self._is_root(base, "vars", bound):
            self._refer("vars", ("vars", self.source.key(node)), node)
        elif self._is_root(base, "steps", bound):
            self._misuse(node, base)
        elif isinstance(base, ast.Attribute) and self._is_root(base.value, "steps", bound):
            field = self.source.key(node)
            step = self.source.key(base)
            if field not in STEP_FIELDS:
                hint = nearest(field, STEP_FIELDS) or "write `.output`, `.status` or `.error`"
                start = self.source.span(node)[1] - len(field)
                message = f"a step has no `{field}`"
                self.references.append(
                    Reference(
                        "misuse",
                        ("step-field", message, hint),
                        start,
                        start + len(field),
                    )
                )
                self._refer("steps", ("steps", step), base)
            else:
                self._refer("steps", ("steps", step, field), base)
        else:
            self.visit(base, bound, depth + 1)

    def _is_root(self, node: ast.expr, name: str, bound: frozenset[str]) -> bool:
        return isinstance(node, ast.Name) and node.id == name and name not in bound

    def _misuse(self, node: ast.expr, root: ast.expr) -> None:
        if isinstance(root, ast.Name) and root.id == "vars":
            path = ("vars-use", "`vars` is read one at a time", "write `vars.name`")
        else:
            path = ("steps-use", "`steps` is read one at a time", "write `steps.id.output`")
        self._refer("misuse", path, node)

    def _call(self, node: ast.Call, bound: frozenset[str], depth: int) -> None:
        self._arguments(node, bound, depth)
        match node.func:
            case ast.Name(id=name) if name in FUNCTIONS and name not in bound:
                function = FUNCTIONS[name]
                self._count(node, function)
                if not function.iterates:
                    for argument in node.args:
                        if isinstance(argument, ast.GeneratorExp):
                            message = f"`{name}` takes no `for` without brackets"
                            self._refuse(argument, message, "write `[x for x in xs]`")
            case ast.Name(id=name):
                known = _FUNCTION_HINTS.get(name)
                hint = f"write {known}" if known and " " in known else f"write `{known}`"
                self._problem(
                    "unknown-function",
                    f"there is no function `{name}`",
                    node.func,
                    hint if known else nearest(name, FUNCTIONS),
                )
            case ast.Attribute() as func:
                self.visit(func.value, bound, depth + 1)
                name = self.source.key(func)
                form = _METHODS.get(name)
                if form is None and name in FUNCTIONS:
                    form = FUNCTIONS[name].signature
                hint = f"write `{form}`" if form else "functions stand before their arguments"
                start, end = self.source.span(func)
                message = f"values have no methods: `.{name}()` is not allowed"
                self.problems.append(Problem("not-allowed", message, start, end, hint))
            case func:
                self._refuse(func, "only functions can be called, by their names", None)

    def _arguments(self, node: ast.Call, bound: frozenset[str], depth: int) -> None:
        for argument in node.args:
            if isinstance(argument, ast.GeneratorExp):
                self._comprehension(argument.generators, (argument.elt,), bound, depth + 1)
            else:
                self.visit(argument, bound, depth + 1)
        for keyword in node.keywords:
            self._refuse(keyword.value, "arguments have no names", "write the value alone")

    def _count(self, node: ast.Call, function: Function) -> None:
        given, low, high = len(node.args), function.min_args, function.max_args
        if given >= low and (high is None or given <= high):
            return
        if high is None:
            wanted = f"at least {low}"
        else:
            wanted = str(low) if low == high else f"{low} to {high}"
        noun = "argument" if wanted.endswith("1") else "arguments"
        message = f"`{function.name}` takes {wanted} {noun}, not {given}"
        self._problem("argument-count", message, node, f"write `{function.signature}`")

    def _comprehension(
        self,
        generators: list[ast.comprehension],
        results: Iterable[ast.expr],
        bound: frozenset[str],
        depth: int,
    ) -> None:
        for generator in generators:
            self.visit(generator.iter, bound, depth + 1)
            bound = self._bind(generator.target, bound)
            for condition in generator.ifs:
                self.visit(condition, bound, depth + 1)
        for result in results:
            self.visit(result, bound, depth + 1)

    def _bind(self, target: ast.expr, bound: frozenset[str]) -> frozenset[str]:
        match target:
            case ast.Name(id=name):
                if name in FUNCTIONS or name in RESERVED:
                    what = "a function" if name in FUNCTIONS else "reserved"
                    message = f"`{name}` is {what} and cannot name a variable"
                    self._problem("reserved-name", message, target)
                elif name in bound:
                    message = f"the variable `{name}` is already in use here"
                    self._problem("shadowed-name", message, target, "choose another name")
                else:
                    self._refer("bind", (name,), target)
                return bound | {name}
            case ast.Tuple(elts=elts) | ast.List(elts=elts) if elts:
                for element in elts:
                    bound = self._bind(element, bound)
            case _:
                self._refuse(target, "only a name can stand here", "write `for x in xs`")
        return bound

    def _refer(self, kind: str, path: tuple[str, ...], node: ast.expr) -> None:
        self.references.append(Reference(kind, path, *self.source.span(node)))

    def _refuse(self, node: ast.expr, message: str, hint: str | None) -> None:
        self._problem("not-allowed", message, node, hint)

    def _problem(self, code: str, message: str, node: ast.expr, hint: str | None = None) -> None:
        self.problems.append(Problem(code, message, *self.source.span(node), hint))


_UNKNOWN: Final[dict[type[ast.expr], tuple[str, str | None]]] = {
    ast.GeneratorExp: ("`for` needs brackets here", "write `[x for x in xs]`"),
    ast.Set: ("there are no sets", "write a list: `[a, b]`"),
    ast.SetComp: ("there are no sets", "write `unique([x for x in xs])`"),
    ast.Starred: ("`*` before a value is not allowed", "write `a + b` to join lists"),
    ast.Tuple: ("a list is written in brackets", "write `[a, b]`"),
}
