"""What PyYAML says of a text it cannot read, in the author's words."""

from __future__ import annotations

import re

import yaml

from dsl.diagnostics import Diagnostic, Related
from dsl.source import Source, Span

__all__ = ["syntax_error"]

_AFTER_BLOCK = "after `|` and `>` the text begins on the next line"
_IN_BLOCK = "put a text that begins with | or > in quotes"
_WORDS: tuple[tuple[str, str, str | None], ...] = (
    (
        "while scanning a directive",
        "a line that begins with % is for YAML itself, and this is none of its words",
        "leave the line out, or write `%YAML 1.2`",
    ),
    ("incompatible YAML", "this version of YAML is not known", "leave the line out"),
    (
        "tag",
        "a text cannot begin with !",
        "put the text in quotes; in an expression write `not`",
    ),
    (
        "mapping values are not allowed here",
        "a `: ` that is no key here",
        "put a text that contains `: ` in quotes",
    ),
    (
        "could not find expected ':'",
        "a key without its `:`",
        "a `:` and a space, or the end of the line, must follow a key",
    ),
    ("sequence entries are not allowed", "a list cannot begin on the line of its key", None),
    ("mapping keys are not allowed", "a `?` cannot begin a key here", "put the text in quotes"),
    ("found character '\\t'", "a tab where spaces must stand", "indent with spaces"),
    (
        "that cannot start any token",
        "a text cannot begin with this character",
        "put the text in quotes",
    ),
    (
        "expected ',' or '}'",
        "the map in `{ }` is not closed, or a comma is missing",
        "put a text that contains any of `, { } [ ]` in quotes",
    ),
    (
        "expected ',' or ']'",
        "the list in `[ ]` is not closed, or a comma is missing",
        "put a text that contains any of `, { } [ ]` in quotes",
    ),
    (
        "found unknown escape character",
        "a backslash in double quotes begins an escape, and this is none",
        "write two backslashes, or use single quotes",
    ),
    (
        "hexadecimal numbers",
        "an escape with `\\x`, `\\u` or `\\U` needs its hexadecimal digits",
        "write two backslashes for a backslash",
    ),
    ("found unexpected end of stream", "the text in quotes is never closed", None),
    ("found unexpected document separator", "the text in quotes is never closed", None),
    (
        "expected <block end>",
        "this does not fit what stands before it",
        "what belongs together must begin in the same column",
    ),
    ("expected the node content", "a value is missing here", None),
    ("chomping or indentation", _AFTER_BLOCK, _IN_BLOCK),
    ("expected a comment or a line break", _AFTER_BLOCK, _IN_BLOCK),
    ("expected indentation indicator", _AFTER_BLOCK, _IN_BLOCK),
    (
        "expected '<document start>'",
        "this does not belong to the definition before it",
        "a `---` begins another one; keys begin in the first column",
    ),
    (
        "expected alphabetic or numeric character",
        "a name is missing after `&` or `*`",
        "put a text that begins with & or * in quotes",
    ),
)
_BEGINS = re.compile(r"\s*(?:- +)*[\w-]+: +(?P<value>[\"'\[{])")
_ENDS = re.compile(r"""[:,\[{]\s*(?P<value>(?P<quote>["']).*(?P=quote))\s*\Z""")
_KEY = re.compile(r"\s+[\w.-]+\s*")
_BEGUN = ("could not find expected ':'", "found unexpected")
"""Problems that are seen where something else begins: what had begun is shown instead."""
_OPENS = {
    "while parsing a block mapping": "the map begins here",
    "while parsing a block collection": "the list begins here",
    "while parsing a flow mapping": "it is opened here",
    "while parsing a flow sequence": "it is opened here",
    "while scanning a quoted scalar": "it begins here",
    "while scanning a simple key": "the key is here",
}


def syntax_error(source: Source, error: yaml.YAMLError) -> Diagnostic:
    """The diagnostic of an error of the reader."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return _unreadable(source, error)
    mark = error.problem_mark or error.context_mark
    at = mark.index if mark else 0
    problem = error.problem or error.context or ""
    if "$" in source.text[max(0, at - 1) : at + 1] and "{" in source.text[at : at + 2]:
        return Diagnostic(
            "DSL012",
            "an expression inside { } or [ ] must be quoted",
            source,
            Span(max(0, at - 1), at + 1),
            'write "${ ... }", or put the map or list on lines of its own',
        )
    line = source.line(source.position(at).line)
    column = source.position(at).column - 1
    begun = _BEGINS.match(line)
    if problem.startswith("expected <block end>") and begun and begun.end() <= column:
        whole = line[begun.start("value") :].split(" #")[0].rstrip()
        return _taken_for_another(source, at - column + begun.start("value"), whole)
    ended = _ENDS.search(line[:column])
    if problem.startswith("expected ',' or") and ended:
        whole = line[ended.start("value") : column] + re.split("[],}]", line[column:])[0]
        return _taken_for_another(source, at - column + ended.start("value"), whole.rstrip())
    found = ((said, hint) for words, said, hint in _WORDS if words in f"{error.context} {problem}")
    message, hint = next(found, ("this cannot be read as YAML", None))
    text, span, related = source.text, Span(at, at + 1), ()
    first = error.context_mark.index if error.context_mark else at
    if text[at : at + 1] in ("}", "]") and problem.startswith("expected"):
        message, hint = f"this `{text[at]}` closes nothing", None
    elif problem.startswith("mapping values") and _KEY.fullmatch(line[:column]):
        span = Span(at - len(line[:column].lstrip()), at)
        message = "this is indented deeper than the key before it"
        hint = f"the keys of a map begin in the same column; {hint}"
    elif "escape" in problem:
        span = Span(max(text.rfind("\\", 0, at), 0), at + 1)
    elif problem.startswith("expected alphabetic"):
        span = Span(first, at)
    elif problem.startswith(_BEGUN) or not text[at:].strip():
        span = Span(first, first + len(text[first:].partition("\n")[0].rstrip()))
    if error.context and first < span.start:
        there = Span(first, first + 1)
        related = (Related(_OPENS.get(error.context, "it begins here"), source, there),)
    return Diagnostic("DSL004", message, source, span, hint, related=related)


def _unreadable(source: Source, error: yaml.YAMLError) -> Diagnostic:
    """A character that YAML does not have."""
    position = getattr(error, "position", 0)
    at = position if isinstance(position, int) else 0
    char = source.text[at : at + 1]
    message = f"the character U+{ord(char or ' '):04X} may not stand in YAML"
    return Diagnostic("DSL003", message, source, Span(at, at))


def _taken_for_another(source: Source, start: int, whole: str) -> Diagnostic:
    """A value that goes on after what YAML took for the whole of it."""
    what = {'"': "a text in quotes", "'": "a text in quotes", "[": "a list", "{": "a map"}
    message = f"YAML takes the beginning of this for {what[whole[0]]}"
    quote = "'" if "'" not in whole else '"' if '"' not in whole else None
    hint = f"put the whole in quotes: {quote}{whole}{quote}" if quote else "write it under `|`"
    return Diagnostic("DSL014", message, source, Span(start, start + len(whole)), hint)
