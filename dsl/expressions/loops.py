"""Comprehensions to generator functions."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, TypeVar

from .errors import Fault, Place
from .frame import Frame, Value, overspent
from .functions import FUNCTIONS
from .limits import LIMITS
from .parse import Source
from .values import describe

__all__ = ["Loops", "Run"]

Run: TypeAlias = Callable[[Frame], Value]
T = TypeVar("T")

# What some nodes cost more than others, in units of work.
_EXTRA: Final[dict[type[ast.AST], int]] = {ast.Slice: 6, ast.Dict: 2, ast.List: 1}


class Loops(ABC):
    """The part of the compiler that makes comprehensions.

    Attributes:
        slots: How many comprehension variables there are.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.slots = 0

    @abstractmethod
    def compile(self, node: ast.expr, bound: dict[str, int]) -> Run:
        """The closure that evaluates a node, given the slots of the variables in scope."""

    @abstractmethod
    def condition(
        self, node: ast.expr, bound: dict[str, int], word: str
    ) -> Callable[[Frame], bool]:
        """The closure of a node that must give a bool, for the `word` that wants it."""

    @abstractmethod
    def key(self, node: ast.expr, bound: dict[str, int]) -> Callable[[Frame], str]:
        """The closure of a node that must give a string, as the key of an object."""

    def each(
        self, node: ast.ListComp | ast.GeneratorExp, bound: dict[str, int]
    ) -> Callable[[Frame], Iterator[Value]]:
        """What gives the items of a comprehension one after the other."""
        return self._loop(node.generators, (node.elt,), bound, lambda b: self.compile(node.elt, b))

    def collect(self, node: ast.ListComp | ast.GeneratorExp, bound: dict[str, int]) -> Run:
        """The closure that makes a list."""
        each = self.each(node, bound)
        place = self.source.place(node)

        def run(frame: Frame) -> Value:
            values = list(each(frame))
            if len(values) > LIMITS.items:
                raise place.error(Fault(f"the list is too long (over {LIMITS.items} items)"))
            return values

        return run

    def collect_object(self, node: ast.DictComp, bound: dict[str, int]) -> Run:
        """The closure that makes an object."""

        def pair(bound: dict[str, int]) -> Callable[[Frame], tuple[str, Value]]:
            key, value = self.key(node.key, bound), self.compile(node.value, bound)
            return lambda frame: (key(frame), value(frame))

        each = self._loop(node.generators, (node.key, node.value), bound, pair)
        place = self.source.place(node)

        def run(frame: Frame) -> Value:
            values: dict[str, Value] = dict(each(frame))
            if len(values) > LIMITS.items:
                raise place.error(Fault(f"the object is too large (over {LIMITS.items} keys)"))
            return values

        return run

    def _loop(
        self,
        generators: list[ast.comprehension],
        results: tuple[ast.expr, ...],
        bound: dict[str, int],
        make: Callable[[dict[str, int]], Callable[[Frame], T]],
    ) -> Callable[[Frame], Iterator[T]]:
        """The generator function of the first `for` and those in it.

        Args:
            generators: Each `for` with its `if`s.
            results: What is evaluated in the innermost one.
            bound: The slots in scope outside of the first.
            make: Makes the closure of the results, given the slots in scope.
        """
        generator, *others = generators
        source = self.compile(generator.iter, bound)
        bound = dict(bound)
        bind = self._target(generator.target, bound)
        tests = [self.condition(test, bound, "if") for test in generator.ifs]
        place = self.source.place(generator.iter)
        # A turn costs what is evaluated in it; the loops in it spend for their own turns.
        inside = [others[0].iter] if others else [*results]
        cost = 2 + sum(map(weigh, (generator.target, *generator.ifs, *inside)))

        def turns(frame: Frame) -> Iterator[None]:
            for item in _iterable(source(frame), place):
                frame.left -= cost
                if frame.left < 0:
                    raise place.error(overspent())
                bind(frame, item)
                for test in tests:
                    if not test(frame):
                        break
                else:
                    yield None

        if others:
            inner = self._loop(others, results, bound, make)
            return lambda frame: (value for _ in turns(frame) for value in inner(frame))
        once = make(bound)
        return lambda frame: (once(frame) for _ in turns(frame))

    def _target(self, target: ast.expr, bound: dict[str, int]) -> Callable[[Frame, Value], None]:
        """What puts an item into the slots of a target, which are added to those in scope."""
        if isinstance(target, ast.Name):
            slot = bound[target.id] = self.slots
            self.slots += 1

            def bind(frame: Frame, item: Value) -> None:
                frame.slots[slot] = item

            return bind
        assert isinstance(target, ast.Tuple | ast.List)
        binds = [self._target(element, bound) for element in target.elts]
        place = self.source.place(target)

        def unpack(frame: Frame, item: Value) -> None:
            if not isinstance(item, list) or len(item) != len(binds):
                what = f"a list of {len(item)}" if isinstance(item, list) else describe(item)
                wanted = f"the item must be a list of {len(binds)}, not {what}"
                raise place.error(Fault(wanted))
            for one, part in zip(binds, item, strict=True):
                one(frame, part)

        return unpack


def weigh(node: ast.expr) -> int:
    """The units of work one evaluation of a tree takes, beside what it spends on data."""
    total = 0
    for one in ast.walk(node):
        if isinstance(one, ast.expr):
            total += 1
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name):
            total += FUNCTIONS[one.func.id].weight
        else:
            total += _EXTRA.get(type(one), 0)
    return total


def _iterable(value: Value, place: Place) -> "list[Value] | dict[str, Value]":
    if isinstance(value, list | dict):
        return value
    hint = "`list(text)` gives its characters" if isinstance(value, str) else None
    raise place.error(Fault(f"`for` wants a list or an object, not {describe(value)}", hint))
