"""Source text to syntax tree: limits, tokens, the standard library's `ast`, positions."""

import ast
import keyword
import re
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .errors import Place, Problem
from .limits import LIMITS
from .tokens import Token, refused, tokens

__all__ = ["Source", "read"]

_TRIES: Final = 20

_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Source:
    """An expression's source and what is needed to find a node of its tree in it.

    Attributes:
        text: The source.
        words: Names by the place where they end, as they are written.
        columns: The character for each byte of the parsed line; None if they are the same.
    """

    text: str
    words: dict[int, str]
    columns: list[int] | None

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Where a node stands, in characters."""
        start = self._character(node.col_offset)
        end = self._character(node.end_col_offset or 0)
        # A tuple without its own parentheses gets those around the source.
        return max(start, 0), min(end, len(self.text))

    def place(self, node: ast.expr) -> Place:
        """Where a node stands, for its errors."""
        return Place(self.text, *self.span(node))

    def key(self, node: ast.Attribute) -> str:
        """The key after the dot, as it is written: not normalised, keywords included."""
        return self.words[self.span(node)[1]]

    def _character(self, column: int) -> int:
        # The parsed line has a parenthesis before the source.
        return (column if self.columns is None else self.columns[column]) - 1


def read(text: str) -> tuple[ast.expr | None, Source, list[Problem]]:
    """Parse a source.

    Returns:
        The tree (None if there is a problem), what finds its nodes in the source, the problems.
    """
    bare = Source(text, {}, None)
    if len(text) > LIMITS.source:
        message = f"the expression is too long ({len(text)} characters, {LIMITS.source} allowed)"
        return None, bare, [Problem("too-long", message, LIMITS.source, len(text))]
    if unreadable := _UNREADABLE.search(text):
        return (
            None,
            bare,
            [Problem("expression-syntax", "unreadable character", *unreadable.span())],
        )
    found = list(tokens(text))
    if not found:
        return None, bare, [Problem("empty", "the expression is empty", 0, len(text))]
    problems = refused(found) or _nested(found)
    if problems:
        return None, bare, problems
    line = _line(text, found)
    words = {token.end: token.text for token in found if token.kind == "name"}
    source = Source(text, words, None if line.isascii() else _columns(line))
    try:
        return _tree(line), source, []
    except SyntaxError as error:
        return None, source, [_unexpected(found, error, len(text))]
    except (RecursionError, MemoryError):
        return None, source, [_too_deep(0, len(text))]


_one_at_a_time = threading.Lock()


def _tree(line: str) -> ast.expr:
    """The syntax tree of a line.

    CPython 3.11 counts the depth of trees that are being made in one place for all threads, and
    raises `SystemError` where another thread makes one at the same time (gh-106905). Ours wait
    for one another; where somebody else's came between, it is tried again.
    """
    for _ in range(_TRIES):
        try:
            with _one_at_a_time:
                return ast.parse(line, mode="eval").body
        except SystemError:
            time.sleep(0.001)
    return ast.parse(line, mode="eval").body


def _line(text: str, found: list[Token]) -> str:
    """The source as one line in parentheses, with keywords after dots replaced, same columns."""
    parts = ["("]
    end = 0
    dot = False
    for token in found:
        parts.append(" " * (token.start - end))
        word = dot and keyword.iskeyword(token.text)
        parts.append("_" * len(token.text) if word else token.text)
        end = token.end
        dot = token.text == "."
    return "".join((*parts, " " * (len(text) - end), ")"))


def _columns(line: str) -> list[int]:
    columns: list[int] = []
    for index, character in enumerate(line):
        columns.extend([index] * len(character.encode()))
    columns.append(len(line))
    return columns


def _nested(found: list[Token]) -> list[Problem]:
    """Refuse deep nesting before the parser sees it: its own limits are not ours."""
    unary = 0
    # For each open bracket, and for the whole: how many conditionals are open in it.
    ifs = [0]
    for token in found:
        text = token.text if token.kind in ("op", "name") else ""
        if text in ("(", "[", "{"):
            ifs.append(0)
        elif text in (")", "]", "}"):
            ifs.pop()
        elif text == ",":
            ifs[-1] = 0
        elif text == "if":
            ifs[-1] += 1
        unary = unary + 1 if text in ("-", "+", "not") else 0
        if len(ifs) - 1 + sum(ifs) + unary > LIMITS.depth:
            return [_too_deep(token.start, token.end)]
    return []


def _too_deep(start: int, end: int) -> Problem:
    message = f"the expression is nested too deeply (over {LIMITS.depth} levels)"
    return Problem("too-deep", message, start, end)


def _unexpected(found: list[Token], error: SyntaxError, size: int) -> Problem:
    """What the parser stumbled over, in the author's words; its own are not shown."""
    # Offsets count from 1, and the parsed line has a parenthesis before the source.
    start = (error.offset or 2) - 2
    end = max(start, (error.end_offset or 2) - 2)
    if "expected 'else'" in error.msg:
        message = "an `if` needs an `else`"
        return Problem("expression-syntax", message, start, end, "write `a if condition else b`")
    if "Generator" in error.msg:
        return Problem(
            "expression-syntax", "`for` needs brackets here", start, end, "write `[x for x in xs]`"
        )
    if "forgot a comma" in error.msg:
        for left, right in pairwise(found):
            if start <= left.start and right.end <= end and _operand(left) and _operand(right):
                message = f"`{left.text}` and `{right.text}` stand side by side"
                hint = "an operator or a comma is missing"
                return Problem("expression-syntax", message, left.start, right.end, hint)
        message = "something is missing here"
        return Problem("expression-syntax", message, start, end)
    for token in found:
        if start < token.end:
            return Problem("expression-syntax", f"unexpected `{token.text}`", *token[2:])
    return Problem("expression-syntax", "the expression ends too early", size, size)


def _operand(token: Token) -> bool:
    if token.kind == "name":
        return not keyword.iskeyword(token.text) or token.text in ("True", "False", "None")
    return token.kind in ("number", "string")
