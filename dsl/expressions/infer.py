"""The static type of an expression, and the mistakes that types tell.

Only what can never work is a mistake. What may fail is told as well where it is common and easy
to guard: a key, or an output, that may not be there.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Final, cast

from .check import Scope
from .errors import Problem, nearest
from .facts import Facts, Path, given, path_of
from .function import Function
from .functions import FUNCTIONS
from .names import CONSTANTS, STEP_FIELDS
from .parse import Source
from .types import (
    ANY,
    BOOL,
    INT,
    KINDS,
    NULL,
    NUMBER,
    STRING,
    Field,
    Rest,
    Type,
    list_of,
    literal,
    object_of,
    of,
    one_of,
    union,
)

__all__ = ["ERROR", "STATUSES", "infer"]

STATUSES: Final = (
    "pending",
    "running",
    "waiting",
    "completed",
    "caught",
    "skipped",
    "failed",
    "timed_out",
    "cancelled",
    "suspended",
    "compensated",
    "compensation_failed",
)
"""The statuses of a step."""
ERROR: Final = object_of(
    {
        "type": Field(STRING),
        "message": Field(STRING),
        "details": Field(ANY),
        "step": Field(of("string", "null")),
    }
)
"""The type of an error."""
_FIELDS: Final = {"status": one_of(STATUSES), "error": union((ERROR, NULL))}
_SYMBOLS: Final = {
    "Add": "+",
    "Sub": "-",
    "Mult": "*",
    "Div": "/",
    "FloorDiv": "//",
    "Mod": "%",
    "Lt": "<",
    "LtE": "<=",
    "Gt": ">",
    "GtE": ">=",
}
_CONDITION: Final = "compare it with something, such as `!= null` or `> 0`"


def infer(
    tree: ast.expr, source: Source, scope: Scope, want: Type | None = None
) -> tuple[Type, list[Problem]]:
    """The type of an expression in a scope.

    Args:
        tree: Its tree, which kept the rules.
        source: Its source.
        scope: What can be read.
        want: What is wanted where it stands, if that is known.

    Returns:
        The type, and the problems in the order they were found.
    """
    inference = _Inference(source, scope)
    found = inference.type(tree, {}, scope.facts)
    if want is not None and not inference.failed and not _fits(found, want):
        hint = _CONDITION if want == BOOL else None
        inference.problem("wrong-type", f"this must be {want}, is {found}", tree, hint)
    return found, inference.problems


def _fits(found: Type, want: Type) -> bool:
    return not found.kinds.isdisjoint(_numeric(want.kinds))


def _numeric(kinds: frozenset[str]) -> frozenset[str]:
    """The kinds, with ints where floats will do."""
    return kinds | {"int"} if "float" in kinds else kinds


class _Inference:
    def __init__(self, source: Source, scope: Scope) -> None:
        self.source = source
        self.scope = scope
        self.problems: list[Problem] = []
        self.lenient = scope.lenient

    @property
    def failed(self) -> bool:
        """Whether something was found that cannot work: what follows from it is not told."""
        return any(problem.code in ("wrong-type", "no-key") for problem in self.problems)

    def problem(self, code: str, message: str, node: ast.expr, hint: str | None = None) -> None:
        self.problems.append(Problem(code, message, *self.source.span(node), hint))

    def type(self, node: ast.expr, bound: Mapping[str, Type], known: Facts) -> Type:
        """The type of a node.

        Args:
            node: The node.
            bound: The variables of comprehensions.
            known: What is known to be there.
        """
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                return literal(value)
            case ast.Name(id=name):
                if name in bound:
                    return bound[name]
                if name in CONSTANTS:
                    return literal(cast("bool | None", CONSTANTS[name]))
                return self.scope.names.get(name, ANY)
            case ast.Attribute():
                return self._attribute(node, bound, known)
            case ast.Subscript():
                return self._subscript(node, bound, known)
            case ast.UnaryOp():
                return self._unary(node, bound, known)
            case ast.BinOp():
                return self._arithmetic(node, bound, known)
            case ast.BoolOp():
                return self._logic(node, bound, known)
            case ast.Compare():
                return self._compare(node, bound, known)
            case ast.IfExp():
                self.condition(node.test, "if", bound, known)
                yes = self.type(node.body, bound, known | given(node.test, self.source))
                no = self.type(node.orelse, bound, known | given(node.test, self.source, False))
                return union((yes, no))
            case ast.List():
                items = [self.type(one, bound, known) for one in node.elts]
                return list_of(union(items))
            case ast.Dict():
                return self._object(node, bound, known)
            case ast.ListComp() | ast.GeneratorExp():
                inner, known = self._generators(node.generators, bound, known)
                return list_of(self.type(node.elt, inner, known))
            case ast.DictComp():
                inner, known = self._generators(node.generators, bound, known)
                self.type(node.key, inner, known)
                self.type(node.value, inner, known)
                return of("object")
            case ast.Call():
                return self._call(node, bound, known)
            case _:
                return ANY

    def condition(self, node: ast.expr, word: str, bound: Mapping[str, Type], known: Facts) -> None:
        found = self.type(node, bound, known)
        if not found.may_be("bool"):
            self.problem("wrong-type", f"`{word}` wants a bool, not {found}", node, _CONDITION)

    # Reading.

    def _attribute(self, node: ast.Attribute, bound: Mapping[str, Type], known: Facts) -> Type:
        path = path_of(node, self.source)
        if path is not None and path[0] not in bound:
            if path[0] == "vars" and len(path) == 2:
                return self.scope.variables.get(path[1], ANY)
            if path[0] == "steps" and len(path) <= 3:
                return self._step(node, path, known) if len(path) == 3 else ANY
        whole = self.type(node.value, bound, known)
        return self._key(whole, self.source.key(node), node, path, known)

    def _step(self, node: ast.Attribute, path: Path, known: Facts) -> Type:
        _, id, name = path
        if name != "output" or name not in STEP_FIELDS:
            return _FIELDS.get(name, ANY)
        doubt = None if self.lenient or path in known else self.scope.doubt(id, known)
        if doubt is not None:
            hint = f"guard it, or write `default(steps.{id}.output, ...)`"
            message = f"the step `{id}` may have no output: {doubt}"
            start, end = self.source.span(node)
            self.problems.append(Problem("maybe-no-output", message, start, end, hint, id))
        return self.scope.outputs.get(id, ANY)

    def _key(self, whole: Type, key: str, node: ast.expr, path: Path | None, known: Facts) -> Type:
        start, end = self.source.span(node)
        at = start + max(0, self.source.text[start:end].rfind(key))
        here = at, min(at + len(key), end)
        if path is not None and not self.lenient and path[:-1] in self.scope.nullable - known:
            name = ".".join(path[:-1])
            message = f"`{name}` is null where the step did not complete"
            hint = f"say `if: {name} != null`, or write `default({'.'.join(path)}, ...)`"
            self.problems.append(Problem("unguarded-output", message, start, end, hint))
        if not whole.may_be("object"):
            if whole != NULL or not self.lenient:
                self.problem("wrong-type", f"{whole} has no keys such as `{key}`", node)
            return ANY
        field = whole.fields.get(key)
        if field is None:
            if whole.rest is Rest.CLOSED or (whole.rest is Rest.DECLARED and not self.lenient):
                hint = nearest(key, whole.fields) or _known(whole)
                message = f"there is no key `{key}` in it"
                self.problems.append(Problem("no-key", message, *here, hint))
            return ANY
        if not field.required and not self.lenient and path not in known:
            shown = ".".join(path) if path else key
            hint = f"write `default({shown}, ...)`, guard it by `has({shown})`, or require it"
            self.problems.append(
                Problem("maybe-no-key", f"the key `{key}` may be missing", *here, hint)
            )
        return field.type

    def _subscript(self, node: ast.Subscript, bound: Mapping[str, Type], known: Facts) -> Type:
        whole = self.type(node.value, bound, known)
        if isinstance(node.slice, ast.Slice):
            for part in (node.slice.lower, node.slice.upper, node.slice.step):
                if part is not None:
                    self.type(part, bound, known)
            if not whole.may_be("list", "string"):
                self.problem("wrong-type", f"{whole} has no items", node)
            return Type(whole.kinds & {"list", "string"} or KINDS, item=whole.item)
        index = self.type(node.slice, bound, known)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return self._key(whole, node.slice.value, node, path_of(node, self.source), known)
        results: list[Type] = []
        if whole.may_be("list") and index.may_be("int"):
            results.append(whole.items)
        if whole.may_be("string") and index.may_be("int"):
            results.append(STRING)
        if whole.may_be("object") and index.may_be("string"):
            results.append(union(f.type for f in whole.fields.values()) if _closed(whole) else ANY)
        if not results and whole.may_be("list", "string", "object"):
            self.problem("wrong-type", f"{whole} has no item that {index} names", node)
        elif not results:
            self.problem("wrong-type", f"{whole} has no items", node)
        return union(results)

    # Operators.

    def _unary(self, node: ast.UnaryOp, bound: Mapping[str, Type], known: Facts) -> Type:
        if isinstance(node.op, ast.Not):
            self.condition(node.operand, "not", bound, known)
            return BOOL
        found = self.type(node.operand, bound, known)
        if not found.may_be("int", "float"):
            self.problem("wrong-type", f"a sign wants a number, not {found}", node)
            return NUMBER
        return Type(found.kinds & NUMBER.kinds)

    def _arithmetic(self, node: ast.BinOp, bound: Mapping[str, Type], known: Facts) -> Type:
        left, right = self.type(node.left, bound, known), self.type(node.right, bound, known)
        word = type(node.op).__name__
        results: list[Type] = []
        if left.may_be("int", "float") and right.may_be("int", "float"):
            results.append(_number(word, left, right))
        if word == "Add":
            results += [
                of(kind) for kind in ("string",) if left.may_be(kind) and right.may_be(kind)
            ]
            if left.may_be("list") and right.may_be("list"):
                results.append(list_of(union((left.items, right.items))))
        if word == "Mult":
            for one, other in ((left, right), (right, left)):
                if one.may_be("int"):
                    results += [STRING] if other.may_be("string") else []
                    results += [list_of(other.items)] if other.may_be("list") else []
        if not results:
            symbol = _SYMBOLS[word]
            hint = None
            if symbol == "+" and (left.may_be("string") or right.may_be("string")):
                hint = "`str(x)` makes a string of anything"
            self.problem("wrong-type", f"`{symbol}` cannot take {left} and {right}", node, hint)
        return union(results)

    def _logic(self, node: ast.BoolOp, bound: Mapping[str, Type], known: Facts) -> Type:
        is_and = isinstance(node.op, ast.And)
        for value in node.values:
            self.condition(value, "and" if is_and else "or", bound, known)
            known |= given(value, self.source, is_and)
        return BOOL

    def _compare(self, node: ast.Compare, bound: Mapping[str, Type], known: Facts) -> Type:
        left = self.type(node.left, bound, known)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self.type(other, bound, known)
            if not self.failed:
                self._comparison(node, op, left, right)
            left = right
        return BOOL

    def _comparison(self, node: ast.Compare, op: ast.cmpop, left: Type, right: Type) -> None:
        match op:
            case ast.Eq() | ast.NotEq():
                if NULL in (left, right):
                    return  # to ask for null is to guard
                if _fits(left, right) or _fits(right, left):
                    self._outcome(node, left, right)
                elif "null" not in left.kinds & right.kinds:
                    message = f"{left} is never equal to {right}"
                    self.problem("wrong-type", message, node)
            case ast.In() | ast.NotIn():
                if not right.may_be("list", "string", "object"):
                    self.problem(
                        "wrong-type", f"`in` looks into a list, a string or an object, not {right}",
                        node,
                    )  # fmt: skip
                elif right.may_be("list"):
                    if right.is_only("list") and right.items.values is not None:
                        self._outcome(node, left, right.items, is_right=True)
                elif not left.may_be("string"):
                    self.problem("wrong-type", f"only a string can be in {right}, not {left}", node)
            case _:
                numbers = left.may_be("int", "float") and right.may_be("int", "float")
                if not numbers and not (left.may_be("string") and right.may_be("string")):
                    symbol = _SYMBOLS[type(op).__name__]
                    message = f"`{symbol}` compares numbers, or strings, not {left} and {right}"
                    self.problem("wrong-type", message, node)

    def _outcome(self, node: ast.Compare, left: Type, right: Type, is_right: bool = False) -> None:
        """Reports a comparison with a value that there cannot be; it may be known where."""
        if left.values is None or right.values is None:
            return
        if any(value in right.values for value in left.values) or not (
            left.values and right.values
        ):
            return
        is_right = is_right or len(right.values) == 1
        choices, given = (left.values, right.values) if is_right else (right.values, left.values)
        words = [value for value in choices if isinstance(value, str)]
        near = nearest(given[0], words) if isinstance(given[0], str) else None
        shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in choices[:8])
        known = shown + (", ..." if len(choices) > 8 else "")
        start, end = self.source.span(node.left if is_right else node.comparators[0])
        what = " ".join(self.source.text[start:end].split())
        message = f"these are never equal: `{what}` can only be {known}"
        self.problem("one-outcome", message, node, near)

    # What makes values.

    def _object(self, node: ast.Dict, bound: Mapping[str, Type], known: Facts) -> Type:
        fields: dict[str, Field] = {}
        rest = Rest.CLOSED
        for key, value in zip(node.keys, node.values, strict=True):
            found = self.type(value, bound, known)
            match key:
                case ast.Constant(value=str() as name):
                    fields[name] = Field(found)
                case None:
                    rest = Rest.OPEN
                case _:
                    rest = Rest.OPEN
                    kind = self.type(key, bound, known)
                    if not kind.may_be("string"):
                        message = f"the keys of an object are strings, not {kind}"
                        self.problem("wrong-type", message, key, "`str(x)`")
        return object_of(fields, rest)

    def _generators(
        self, generators: list[ast.comprehension], bound: Mapping[str, Type], known: Facts
    ) -> tuple[Mapping[str, Type], Facts]:
        inner = dict(bound)
        for generator in generators:
            whole = self.type(generator.iter, inner, known)
            if not whole.may_be("list", "object"):
                message = f"`for` wants a list or an object, not {whole}"
                self.problem("wrong-type", message, generator.iter)
            item = whole.items if whole.is_only("list") else ANY
            _bind(generator.target, STRING if whole.is_only("object") else item, inner)
            for test in generator.ifs:
                self.condition(test, "if", inner, known)
                known |= given(test, self.source)
        return inner, known

    def _call(self, node: ast.Call, bound: Mapping[str, Type], known: Facts) -> Type:
        function = FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None:
            return ANY
        if function.name == "uuid" and self.scope.looking:
            message = "`uuid` cannot stand where the run is only looked at: each call changes it"
            self.problem("not-allowed", message, node)
        if function.name in ("has", "default"):
            outer, self.lenient = self.lenient, True
            found = self.type(node.args[0], bound, known)
            self.lenient = outer
            if function.name == "has":
                return BOOL
            other = self.type(node.args[1], bound, known)
            return other if found == NULL else union((found.without_null(), other))
        given = [self.type(argument, bound, known) for argument in node.args]
        for place, (found, argument) in enumerate(zip(given, node.args, strict=True)):
            wanted = function.takes[min(place, len(function.takes) - 1)]
            if not _fits(found, Type(wanted)):
                message = f"`{function.name}` wants {Type(wanted - {'null'})} here, not {found}"
                number = found.may_be("bool", "int", "float")
                hint = "`str(x)` makes one" if wanted == STRING.kinds and number else None
                self.problem("wrong-type", message, argument, hint)
        return _result(function, given)


def _closed(whole: Type) -> bool:
    return whole.rest is Rest.CLOSED


def _known(whole: Type) -> str | None:
    if not whole.fields:
        return None
    names = list(whole.fields)
    known = "there are " + ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if whole.rest is Rest.CLOSED:
        return known
    return f"{known}; declare it in the schema, or say there `additionalProperties: true`"


def _bind(target: ast.expr, item: Type, inner: dict[str, Type]) -> None:
    match target:
        case ast.Name(id=name):
            inner[name] = item
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            for element in elts:
                _bind(element, item.items if item.is_only("list") else ANY, inner)
        case _:
            pass


def _number(word: str, left: Type, right: Type) -> Type:
    one, other = left.kinds & NUMBER.kinds, right.kinds & NUMBER.kinds
    if word == "Div" or "int" not in one or "int" not in other:
        return of("float")
    return INT if "float" not in one | other else NUMBER


def _result(function: Function, given: list[Type]) -> Type:
    """What a function gives for arguments of some types."""
    first = given[0] if given else ANY
    match function.gives:
        case "same":
            return list_of(first.items)
        case "item":
            return first.items
        case "extreme":
            return first.items if len(given) == 1 else union(given)
        case "merged":
            return _merged(given)
        case "kind":
            return one_of(sorted(KINDS))
        case "any":
            return ANY
        case "list" if function.name == "list":
            return list_of(first.items if first.is_only("list") else ANY)
        case words if words.startswith("["):
            inner = words[1:-1]
            return list_of(of(*inner.split("|")))
        case words:
            return of(*words.split("|"))


def _merged(given: list[Type]) -> Type:
    fields: dict[str, Field] = {}
    for one in given:
        for name, field in one.fields.items():
            before = fields.get(name)
            if field.required or before is None:
                fields[name] = field
            else:
                fields[name] = Field(union((before.type, field.type)), before.required)
    if all(map(_closed, given)):
        return object_of(fields)
    # Whatever is not known of one may hide what is known of one before it.
    known = {name: Field(ANY, field.required) for name, field in fields.items()}
    return object_of(known, Rest.OPEN)
