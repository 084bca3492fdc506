"""What a condition tells of what can be read: `has(input.note)` says that `input.note` can be."""

from __future__ import annotations

import ast
from typing import Final, TypeAlias

from .names import CONSTANTS
from .parse import Source

__all__ = ["Facts", "Path", "conjuncts", "facts", "given", "path_of"]

Path: TypeAlias = tuple[str, ...]
"""A root name and keys: `("input", "note")`."""
Facts: TypeAlias = frozenset[Path]
"""What is there, and is not null."""

_NOTHING: Final[Facts] = frozenset()
_COMPLETED: Final[Facts] = frozenset((("step", "output"),))
_HAS_OUTPUT: Final = ("completed", "caught")


def path_of(node: ast.expr, source: Source) -> Path | None:
    """The path that a node reads, if it reads constant keys from a name."""
    keys: list[str] = []
    while True:
        match node:
            case ast.Attribute():
                keys.append(source.key(node))
                node = node.value
            case ast.Subscript(slice=ast.Constant(value=str() as key)):
                keys.append(key)
                node = node.value
            case ast.Name(id=name) if name not in CONSTANTS:
                return (name, *reversed(keys))
            case _:
                return None


def facts(node: ast.expr, source: Source, outcome: bool = True) -> Facts:
    """What is known to be there where a condition is true, or where it is false."""
    match node:
        case ast.BoolOp():
            known = [facts(value, source, outcome) for value in node.values]
            every = isinstance(node.op, ast.And) is outcome
            return _NOTHING.union(*known) if every else known[0].intersection(*known[1:])
        case ast.UnaryOp(op=ast.Not()):
            return facts(node.operand, source, not outcome)
        case ast.Compare(ops=[op], comparators=[right]):
            return _comparison(node.left, op, right, source, outcome)
        case ast.Call(func=ast.Name(id="has"), args=[argument]) if outcome:
            return _with_what_holds_it(path_of(argument, source))
        case _:
            return _with_what_holds_it(path_of(node, source)) if outcome else _NOTHING


def _comparison(
    left: ast.expr, op: ast.cmpop, right: ast.expr, source: Source, outcome: bool
) -> Facts:
    same = isinstance(op, ast.Eq | ast.In) is outcome
    if isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "default":
        left, other = left.args
        match op, other, right:
            case ast.Eq() | ast.NotEq(), ast.Constant(), ast.Constant():
                # `default(x, "") != ""`: it is not the default, so x is there.
                if (type(other.value), other.value) == (type(right.value), right.value):
                    return _NOTHING if same else _with_what_holds_it(path_of(left, source))
            case _:
                pass
        if not _is_null(other):
            return _NOTHING
    path = path_of(left, source)
    if path is None:
        return _NOTHING
    if path == ("step", "error") and _is_null(right):
        # An act that did not complete has an error, whichever way it ended.
        return _COMPLETED if same else _with_what_holds_it(path)
    if path[-1] == "status" and path[0] in ("steps", "step"):
        wanted = _texts(right)
        done = bool(wanted) and all(word in _HAS_OUTPUT for word in wanted)
        ran = "skipped" in wanted
        known = done if same else ran and isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn)
        return frozenset(((*path[:-1], "output"),)) if known else _NOTHING
    match op:
        case ast.Eq() | ast.NotEq():
            told = not same if _is_null(right) else same and isinstance(right, ast.Constant)
        case ast.In():
            told = outcome
        case ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE():
            told = True
        case _:
            told = False
    return _with_what_holds_it(path) if told else _NOTHING


def _is_null(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None):
            return True
        case ast.Name(id=name):
            return name in CONSTANTS and CONSTANTS[name] is None
        case _:
            return False


def _texts(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str() as word):
            return [word]
        case ast.List(elts=elts):
            return [word for one in elts for word in _texts(one)]
        case _:
            return []


def _with_what_holds_it(path: Path | None) -> Facts:
    return frozenset(path[: end + 1] for end in range(1, len(path))) if path else _NOTHING


def given(node: ast.expr, source: Source, outcome: bool = True) -> Facts:
    """What is known where a condition is true or false: its facts, and the words it is made of."""
    known = facts(node, source, outcome)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        node, outcome = node.operand, not outcome
    return known | {("if", text) for text in conjuncts(node, source)} if outcome else known


def conjuncts(node: ast.expr, source: Source) -> list[str]:
    """The conditions that must all be true for a condition to be, in a form that compares."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [one for value in node.values for one in conjuncts(value, source)]
    start, end = source.span(node)
    return ["".join(source.text[start:end].split())]
