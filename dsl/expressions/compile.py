"""Syntax tree to closures. The tree has passed the rules."""

import ast
from collections.abc import Callable
from typing import Final, cast

from .access import index, read_chain, read_name, read_step, read_variable, slice_of
from .errors import Fault, MissingError
from .frame import Frame, Value
from .functions import FUNCTIONS, LAZY
from .loops import Loops, Run
from .names import CONSTANTS, STEP_FIELDS
from .operators import ARITHMETIC, COMPARISONS, Operation, negate
from .values import describe

__all__ = ["Compiler", "Run"]

# What catching an exception costs, in units of work: a miss is slower than a hit.
_MISS: Final = 40


class Compiler(Loops):
    """Makes the closures of one expression."""

    def compile(self, node: ast.expr, bound: dict[str, int]) -> Run:
        """The closure that evaluates a node.

        Args:
            node: The node.
            bound: The slots of the comprehension variables in scope.
        """
        match node:
            case ast.Constant():
                return _constant(_literal(node))
            case ast.Name(id=name):
                if name in bound:
                    return _local(bound[name])
                if name in CONSTANTS:
                    return _constant(CONSTANTS[name])
                return read_name(name, self.source.place(node))
            case ast.Attribute():
                return self._chain(node, bound)
            case ast.Subscript(slice=ast.Slice() as part):
                return self._slice(node, part, bound)
            case ast.Subscript():
                if _constant_key(node.slice) is not None:
                    return self._chain(node, bound)
                return self._binary(node, index, node.value, node.slice, bound)
            case ast.UnaryOp():
                return self._unary(node, bound)
            case ast.BinOp():
                apply = ARITHMETIC[type(node.op).__name__]
                return self._binary(node, apply, node.left, node.right, bound)
            case ast.BoolOp():
                return self._logic(node, bound)
            case ast.Compare():
                return self._compare(node, bound)
            case ast.IfExp():
                return self._choice(node, bound)
            case ast.List():
                return self._list(node, bound)
            case ast.Dict():
                return self._dict(node, bound)
            case ast.ListComp():
                return self.collect(node, bound)
            case ast.DictComp():
                return self.collect_object(node, bound)
            case ast.Call():
                return self._call(node, bound)
            case _:
                raise AssertionError(f"the rules let {type(node).__name__} pass")

    # --- reading -----------------------------------------------------------------------------

    def _chain(self, node: ast.expr, bound: dict[str, int]) -> Run:
        """Reads of constant keys, one after the other, from one root."""
        keys: list[str | int] = []
        links: list[ast.expr] = []
        while True:
            if isinstance(node, ast.Attribute):
                key: str | int | None = self.source.key(node)
            elif isinstance(node, ast.Subscript):
                key = _constant_key(node.slice)
            else:
                key = None
            if key is None or not isinstance(node, ast.Attribute | ast.Subscript):
                break
            keys.append(key)
            links.append(node)
            node = node.value
        keys.reverse()
        links.reverse()
        name = node.id if isinstance(node, ast.Name) and node.id not in bound else None
        if name == "vars" and isinstance(links[0], ast.Attribute):
            root, taken = read_variable(str(keys[0]), self.source.place(links[0])), 1
        elif name == "steps" and len(links) > 1 and keys[1] in STEP_FIELDS:
            place = self.source.place(links[1])
            root, taken = read_step(str(keys[0]), str(keys[1]), place), 2
        elif name is not None and name not in CONSTANTS:
            places = [self.source.place(link) for link in links]
            return read_chain(None, name, self.source.place(node), keys, places)
        else:
            root, taken = self.compile(node, bound), 0
        if taken == len(links):
            return root
        places = [self.source.place(link) for link in links[taken:]]
        return read_chain(root, "", self.source.place(node), keys[taken:], places)

    def _slice(self, node: ast.Subscript, part: ast.Slice, bound: dict[str, int]) -> Run:
        whole = self.compile(node.value, bound)
        low, high, step = (
            self.compile(one, bound) if one is not None else _constant(None)
            for one in (part.lower, part.upper, part.step)
        )
        place = self.source.place(node)

        def run(frame: Frame) -> Value:
            value = whole(frame)
            bounds = (low(frame), high(frame), step(frame))
            try:
                return slice_of(frame, value, bounds)
            except Fault as fault:
                raise place.error(fault) from None

        return run

    # --- operators ---------------------------------------------------------------------------

    def _unary(self, node: ast.UnaryOp, bound: dict[str, int]) -> Run:
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            value = node.operand.value
            if isinstance(value, int | float) and not isinstance(value, bool):
                return _constant(-value)
        if isinstance(node.op, ast.Not):
            test = self.condition(node.operand, bound, "not")
            return lambda frame: not test(frame)
        operand = self.compile(node.operand, bound)
        place = self.source.place(node)
        positive = isinstance(node.op, ast.UAdd)

        def run(frame: Frame) -> Value:
            value = operand(frame)
            try:
                return negate(negate(value)) if positive else negate(value)
            except Fault as fault:
                raise place.error(fault) from None

        return run

    def _binary(
        self,
        node: ast.expr,
        apply: Operation,
        left: ast.expr,
        right: ast.expr,
        bound: dict[str, int],
    ) -> Run:
        one, other = self.compile(left, bound), self.compile(right, bound)
        place = self.source.place(node)

        def run(frame: Frame) -> Value:
            a = one(frame)
            b = other(frame)
            try:
                return apply(frame, a, b)
            except Fault as fault:
                raise place.error(fault) from None

        return run

    def condition(
        self, node: ast.expr, bound: dict[str, int], word: str
    ) -> Callable[[Frame], bool]:
        """The closure of a node that must give a bool, for the `word` that wants it."""
        test = self.compile(node, bound)
        if isinstance(node, ast.Compare | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            return cast("Callable[[Frame], bool]", test)
        place = self.source.place(node)

        def run(frame: Frame) -> bool:
            value = test(frame)
            if value is True or value is False:
                return value
            hint = "compare it with something, such as `!= null` or `> 0`"
            raise place.error(Fault(f"`{word}` wants a bool, not {describe(value)}", hint))

        return run

    def _logic(self, node: ast.BoolOp, bound: dict[str, int]) -> Run:
        is_and = isinstance(node.op, ast.And)
        tests = [self.condition(one, bound, "and" if is_and else "or") for one in node.values]
        if len(tests) == 2:
            one, other = tests
            if is_and:
                return lambda frame: one(frame) and other(frame)
            return lambda frame: one(frame) or other(frame)
        if is_and:
            return lambda frame: all(test(frame) for test in tests)
        return lambda frame: any(test(frame) for test in tests)

    def _compare(self, node: ast.Compare, bound: dict[str, int]) -> Run:
        operations = [COMPARISONS[type(op).__name__] for op in node.ops]
        if len(operations) == 1:
            fast = self._compare_constant(node, bound)
            if fast is not None:
                return fast
            return self._binary(node, operations[0], node.left, node.comparators[0], bound)
        first, *rest = (self.compile(one, bound) for one in (node.left, *node.comparators))
        pairs = list(zip(operations, rest, strict=True))
        place = self.source.place(node)

        def run(frame: Frame) -> Value:
            left = first(frame)
            for apply, operand in pairs:
                right = operand(frame)
                try:
                    if not apply(frame, left, right):
                        return False
                except Fault as fault:
                    raise place.error(fault) from None
                left = right
            return True

        return run

    def _compare_constant(self, node: ast.Compare, bound: dict[str, int]) -> Run | None:
        """A comparison with a constant on its right that needs no care for types."""
        right = node.comparators[0]
        equal = isinstance(node.ops[0], ast.Eq)
        if not equal and not isinstance(node.ops[0], ast.NotEq):
            return None
        if isinstance(right, ast.Name) and right.id in CONSTANTS and right.id not in bound:
            value = CONSTANTS[right.id]
        elif isinstance(right, ast.Constant):
            value = right.value
        else:
            return None
        if value is not None and not isinstance(value, bool | str):
            return None
        operand = self.compile(node.left, bound)
        if value is None or isinstance(value, bool):
            if equal:
                return lambda frame: operand(frame) is value
            return lambda frame: operand(frame) is not value
        if equal:
            return lambda frame: operand(frame) == value
        return lambda frame: operand(frame) != value

    def _choice(self, node: ast.IfExp, bound: dict[str, int]) -> Run:
        test = self.condition(node.test, bound, "if")
        body, other = self.compile(node.body, bound), self.compile(node.orelse, bound)
        return lambda frame: body(frame) if test(frame) else other(frame)

    # --- displays ------------------------------------------------------------------------------

    def _list(self, node: ast.List, bound: dict[str, int]) -> Run:
        if all(isinstance(element, ast.Constant) for element in node.elts):
            # Values are immutable, so one list serves every evaluation.
            return _constant([_literal(one) for one in node.elts if isinstance(one, ast.Constant)])
        elements = [self.compile(element, bound) for element in node.elts]
        return lambda frame: [element(frame) for element in elements]

    def _dict(self, node: ast.Dict, bound: dict[str, int]) -> Run:
        pairs = [
            (self.key(key, bound), self.compile(value, bound))
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        ]
        return lambda frame: {key(frame): value(frame) for key, value in pairs}

    def key(self, node: ast.expr, bound: dict[str, int]) -> Callable[[Frame], str]:
        key = self.compile(node, bound)
        place = self.source.place(node)

        def run(frame: Frame) -> str:
            value = key(frame)
            if isinstance(value, str):
                return value
            fault = Fault(f"the keys of an object are strings, not {describe(value)}", "`str(x)`")
            raise place.error(fault)

        return run

    # --- calls -------------------------------------------------------------------------------

    def _call(self, node: ast.Call, bound: dict[str, int]) -> Run:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name in LAZY:
            return self._lazy(name, [self.compile(one, bound) for one in node.args])
        apply = FUNCTIONS[name].apply
        place = self.source.place(node)
        arguments: list[Callable[[Frame], object]] = [
            self._argument(name, one, bound) for one in node.args
        ]
        if len(arguments) == 1:
            (argument,) = arguments

            def run_one(frame: Frame) -> Value:
                value = argument(frame)
                try:
                    return apply(frame, value)
                except Fault as fault:
                    raise place.error(fault) from None

            return run_one

        def run(frame: Frame) -> Value:
            values = [argument(frame) for argument in arguments]
            try:
                return apply(frame, *values)
            except Fault as fault:
                raise place.error(fault) from None

        return run

    def _argument(
        self, name: str, node: ast.expr, bound: dict[str, int]
    ) -> Callable[[Frame], object]:
        if not isinstance(node, ast.GeneratorExp):
            return self.compile(node, bound)
        # any() and all() stop at the first item that decides, before a later one can fail.
        return self.each(node, bound) if name in ("any", "all") else self.collect(node, bound)

    def _lazy(self, name: str, arguments: list[Run]) -> Run:
        look = arguments[0]
        if name == "has":

            def has(frame: Frame) -> Value:
                try:
                    look(frame)
                except MissingError:
                    frame.left -= _MISS
                    return False
                return True

            return has
        other = arguments[1]

        def default(frame: Frame) -> Value:
            try:
                value = look(frame)
            except MissingError:
                frame.left -= _MISS
                value = None
            return other(frame) if value is None else value

        return default


def _literal(node: ast.Constant) -> Value:
    value = node.value
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def _constant(value: Value) -> Run:
    return lambda frame: value


def _local(slot: int) -> Run:
    return lambda frame: frame.slots[slot]


def _constant_key(node: ast.expr) -> str | int | None:
    """The key of a subscript, if it is a string or an int that stands there."""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant_key(node.operand)
        if isinstance(value, int):
            return -value
    return None
