"""What PyYAML says of a text it cannot read, in the author's words."""

from __future__ import annotations

import re

import yaml

from dsl.diagnostics import Diagnostic, Related
from dsl.source import Source, Span

__all__ = ["syntax_error"]

_WORDS: tuple[tuple[str, str, str | None], ...] = (
    (
        "mapping values are not allowed here",
        "a `: ` that is no key here",
        "put a text that contains `: ` in quotes",
    ),
    ("could not find expected ':'", "a key without its `:`", None),
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
    (
        "chomping or indentation",
        "after `|` and `>` the text begins on the next line",
        "put a text that begins with | or > in quotes",
    ),
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
        position = getattr(error, "position", 0)
        at = position if isinstance(position, int) else 0
        char = source.text[at : at + 1]
        message = f"the character U+{ord(char or ' '):04X} may not stand in YAML"
        return Diagnostic("DSL003", message, source, Span(at, at))
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
        return _taken_for_another(source, at, line, begun)
    found = ((said, hint) for words, said, hint in _WORDS if words in problem)
    message, hint = next(found, ("this cannot be read as YAML", None))
    related: tuple[Related, ...] = ()
    if error.context and error.context_mark and error.context_mark.index != at:
        place = Span(error.context_mark.index, error.context_mark.index + 1)
        related = (Related(_OPENS.get(error.context, "it begins here"), source, place),)
    return Diagnostic("DSL004", message, source, Span(at, at + 1), hint, related=related)


def _taken_for_another(source: Source, at: int, line: str, begun: re.Match[str]) -> Diagnostic:
    """A value that goes on after what YAML took for the whole of it."""
    start = at - (source.position(at).column - 1) + begun.start("value")
    whole = line[begun.start("value") :].split(" #")[0].rstrip()
    what = {'"': "a text in quotes", "'": "a text in quotes", "[": "a list", "{": "a map"}
    message = f"YAML takes the beginning of this for {what[begun['value']]}"
    quote = "'" if "'" not in whole else '"' if '"' not in whole else None
    hint = f"put the whole in quotes: {quote}{whole}{quote}" if quote else "write it under `|`"
    return Diagnostic("DSL014", message, source, Span(start, start + len(whole)), hint)
