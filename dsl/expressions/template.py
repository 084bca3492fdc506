"""Templates: values with `${ }` in their strings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from .errors import ExpressionError, Fault, Place, Problem
from .expression import Expression, parse
from .frame import Context, Frame, Value
from .limits import LIMITS, MAX_INT, MIN_INT
from .tokens import closing_brace
from .values import measure, text_of, too_long

__all__ = ["Template", "TemplateProblem", "parse_template", "parts", "strip_braces"]

Path: TypeAlias = tuple[str | int, ...]
Make: TypeAlias = Callable[[Context], Value]


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """A problem in a string of a template.

    Attributes:
        path: The keys and places that lead to the string.
        problem: The problem; its characters count from the start of that string.
    """

    path: Path
    problem: Problem


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A JSON value with expressions in its strings, parsed once.

    Attributes:
        constant: Whether there is no expression in it.
        reads: What its expressions read.
        expressions: For each expression the path to its string, the characters of that string
            before it, and the expression.
    """

    constant: bool
    reads: frozenset[tuple[str, ...]]
    expressions: tuple[tuple[Path, int, Expression], ...]
    _value: Value = field(repr=False)
    _make: Make | None = field(repr=False)
    _measured: bool = field(repr=False)

    def evaluate(self, context: Context) -> Value:
        """The value.

        Args:
            context: What its expressions read.

        Returns:
            A value that may share parts with the template and with what was read; for a constant
            template always the same object.

        Raises:
            ExpressionError: An expression failed, or the value is too large.
        """
        if self._make is None:
            return self._value
        value = self._make(context)
        if self._measured:
            try:
                measure(value)
            except Fault as fault:
                path, offset, expression = self.expressions[0]
                place = Place(expression.source, 0, len(expression.source))
                raise _at(place.error(fault), path, offset) from None
        return value


@dataclass(slots=True)
class _Found:
    expressions: list[tuple[Path, int, Expression]] = field(
        default_factory=list[tuple[Path, int, Expression]]
    )
    problems: list[TemplateProblem] = field(default_factory=list[TemplateProblem])


def parse_template(value: Value) -> tuple[Template | None, tuple[TemplateProblem, ...]]:
    """Parse a template.

    Args:
        value: Any JSON value. Its keys are never templates.

    Returns:
        The template, or None if it has problems; and the problems.
    """
    found = _Found()
    constant, make = _compile(value, (), found)
    if found.problems:
        return None, tuple(found.problems)
    reads = frozenset[tuple[str, ...]]().union(*(one.reads for _, _, one in found.expressions))
    measured = isinstance(value, list | dict)
    return Template(make is None, reads, tuple(found.expressions), constant, make, measured), ()


def _compile(value: Value, path: Path, found: _Found) -> tuple[Value, Make | None]:
    """The value itself if it is constant, else what makes it."""
    if isinstance(value, str):
        return _compile_text(value, path, found)
    if not isinstance(value, list | dict):
        return value, None
    if len(path) >= LIMITS.value_depth:
        message = f"the value is nested too deeply (over {LIMITS.value_depth} levels)"
        found.problems.append(TemplateProblem(path, Problem("too-deep", message, 0, 0)))
        return value, None
    if isinstance(value, dict):
        return _compile_object(value, path, found)
    parts = [_compile(item, (*path, place), found) for place, item in enumerate(value)]
    if all(make is None for _, make in parts):
        same = all(part is item for (part, _), item in zip(parts, value, strict=True))
        return value if same else [part for part, _ in parts], None
    makes = [make or _constant(part) for part, make in parts]
    return None, lambda context: [make(context) for make in makes]


def _compile_object(
    value: dict[str, Value], path: Path, found: _Found
) -> tuple[Value, Make | None]:
    parts = {key: _compile(item, (*path, key), found) for key, item in value.items()}
    if all(make is None for _, make in parts.values()):
        same = all(part is value[key] for key, (part, _) in parts.items())
        return value if same else {key: part for key, (part, _) in parts.items()}, None
    makes = [(key, make or _constant(part)) for key, (part, make) in parts.items()]
    return None, lambda context: {key: make(context) for key, make in makes}


def _constant(value: Value) -> Make:
    return lambda context: value


def _compile_text(text: str, path: Path, found: _Found) -> tuple[Value, Make | None]:
    if "${" not in text:
        return text, None
    pieces: list[str | tuple[int, Expression]] = []
    failed = False
    for part in parts(text):
        if isinstance(part, str):
            pieces.append(part)
            continue
        if isinstance(part, Problem):
            problems: tuple[Problem, ...] = (part,)
            expression, offset = None, 0
        else:
            offset, end = part
            expression, problems = parse(text[offset:end])
            problems = tuple(_shift(one, offset) for one in problems)
        found.problems.extend(TemplateProblem(path, problem) for problem in problems)
        if expression is None:
            failed = True
        else:
            pieces.append((offset, expression))
            found.expressions.append((path, offset, expression))
    if failed:
        return None, None
    texts = [piece for piece in pieces if isinstance(piece, str)]
    if len(texts) == len(pieces):
        return "".join(texts), None
    spots = [piece for piece in pieces if not isinstance(piece, str)]
    if len(spots) == 1 and not "".join(texts).strip():
        return None, _whole(path, *spots[0])
    return None, _joined(path, pieces)


def parts(text: str) -> Iterator[str | tuple[int, int] | Problem]:
    """The parts of a string of a template.

    Yields:
        Its literal parts, unescaped; the places of its expressions; what is wrong with its braces.
    """
    start = 0
    while True:
        place = text.find("${", start)
        if place < 0:
            yield text[start:]
            return
        if place > start and text[place - 1] == "$":
            yield text[start : place - 1] + "${"
            start = place + 2
            continue
        yield text[start:place]
        end, problem = closing_brace(text, place + 2)
        if end is None:
            if problem is not None:
                yield problem
            return
        inner = text[place + 2 : end]
        offset = place + 2 + len(inner) - len(inner.lstrip())
        yield offset, max(offset, place + 2 + len(inner.rstrip()))
        start = end + 1


def _shift(problem: Problem, offset: int) -> Problem:
    start, end = problem.start + offset, problem.end + offset
    return Problem(problem.code, problem.message, start, end, problem.hint)


def _at(error: ExpressionError, path: Path, offset: int) -> ExpressionError:
    error.path = path
    error.offset = offset
    return error


def _whole(path: Path, offset: int, expression: Expression) -> Make:
    evaluate = expression.evaluate

    def make(context: Context) -> Value:
        try:
            return evaluate(context)
        except ExpressionError as error:
            _at(error, path, offset)
            raise

    return make


def _joined(path: Path, parts: list[str | tuple[int, Expression]]) -> Make:
    makes = [part if isinstance(part, str) else _piece(path, *part) for part in parts if part != ""]
    first = next(part for part in parts if not isinstance(part, str))

    def make(context: Context) -> Value:
        text = "".join([one if isinstance(one, str) else one(context) for one in makes])
        if len(text) > LIMITS.string:
            offset, expression = first
            place = Place(expression.source, 0, len(expression.source))
            raise _at(place.error(too_long()), path, offset)
        return text

    return make


def _piece(path: Path, offset: int, expression: Expression) -> Callable[[Context], str]:
    whole = _whole(path, offset, expression)
    place = Place(expression.source, 0, len(expression.source))

    def make(context: Context) -> str:
        value = whole(context)
        if isinstance(value, str):
            return value
        if type(value) is int and MIN_INT <= value <= MAX_INT:
            return str(value)
        try:
            return text_of(Frame(context), value)
        except Fault as fault:
            raise _at(place.error(fault), path, offset) from None

    return make


def strip_braces(text: str) -> tuple[str, int]:
    """Take the `${ }` from an expression that may stand bare.

    Args:
        text: The text of a key that is always an expression.

    Returns:
        The source, and the characters of the text before it. Text without `${ }` round the whole
        of it comes back as it is.
    """
    start = len(text) - len(text.lstrip())
    if not text.startswith("${", start):
        return text, 0
    end, _ = closing_brace(text, start + 2)
    if end is None or text[end + 1 :].strip():
        return text, 0
    inner = text[start + 2 : end]
    return inner.strip(), start + 2 + len(inner) - len(inner.lstrip())
