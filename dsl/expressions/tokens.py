"""The tokens of an expression, and what can be refused by its tokens alone."""

import keyword
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from .errors import Problem

__all__ = ["Token", "closing_brace", "refused", "tokens"]


class Token(NamedTuple):
    """A token: its kind (name, number, string, open, op or bad), text, and place in characters."""

    kind: str
    text: str
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+)
  | (?P<string>(?i:rb|br|rf|fr|[rbfu])?
        (?:"[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*" | '[^'\\\r\n]*(?:\\[^\r\n][^'\\\r\n]*)*'))
  | (?P<open>(?i:rb|br|rf|fr|[rbfu])?["'])
  | (?P<number>0[xX]\w* | \.?[0-9](?:[eE][+-][0-9]|[\w.])*)
  | (?P<name>[^\W\d]\w*)
  | (?P<op>\.\.\.|===|!==|\*\*|//|==|!=|<=|>=|<>|<<|>>|:=|->|=>|&&|\|\||\?\?|\?\.
        |[-+*/%<>()\[\]{},:.=!&|^~@;?`\#$])
  | (?P<bad>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DIGITS = r"[0-9](?:_?[0-9])*"
_NUMBER: Final = re.compile(
    rf"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0+|[1-9](?:_?[0-9])*"
    rf"|(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
    rf"|{_DIGITS}[eE][+-]?{_DIGITS}"
)
_ESCAPE: Final = re.compile(
    r"""\\(?:[\\'"abfnrtv]|[0-3][0-7]{2}|[0-7]{1,2}(?![0-7])|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}"""
    r"""|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|(?P<bad>.))"""
)
_ALLOWED_WORDS: Final = frozenset(
    ("and", "or", "not", "in", "if", "else", "for", "True", "False", "None")
)
_WORD_HINTS: Final = {"is": "write `==`", "elif": "write `a if b else c if d else e`"}
_OPERATOR_HINTS: Final = {
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "&": "write `and`",
    "|": "write `or`",
    "===": "write `==`",
    "!==": "write `!=`",
    "<>": "write `!=`",
    "?": "write `a if condition else b`",
    "??": "write `default(a, b)`",
    "?.": "write `default(a.b, null)`",
    "`": "write strings with `\"` or `'`",
    "$": "inside an expression names stand without `${ }`",
}
_REFUSED: Final = frozenset(_OPERATOR_HINTS) | frozenset(
    ("**", "...", "<<", ">>", ":=", "->", "=>", "^", "~", "@", ";", "#")
)


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """Cut a source into tokens, from a place on; every character is in a token or white space."""
    while found := _TOKEN.match(source, start):
        start = found.end()
        kind = found.lastgroup or "bad"
        if kind != "space":
            yield Token(kind, found.group(), found.start(), start)


def closing_brace(text: str, start: int) -> tuple[int | None, Problem | None]:
    """Find the `}` that closes a `${`.

    Args:
        text: The text the expression stands in.
        start: The place after the `${`.

    Returns:
        The place of the `}`, or None with the problem that kept it from being found.
    """
    depth = 0
    for token in tokens(text, start):
        if token.kind == "open":
            return None, _unclosed_string(token)
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            if depth == 0:
                return token.start, None
            depth -= 1
    message = "this `${` is never closed"
    return None, Problem(
        "template-unclosed", message, start - 2, start, "write `}` at its end, or `$${` for text"
    )


def _unclosed_string(token: Token) -> Problem:
    return Problem("expression-syntax", "this string is never closed", token.start, token.end, None)


def refused(found: list[Token]) -> list[Problem]:
    """Everything wrong that the tokens show by themselves."""
    problems: list[Problem] = []
    for index, token in enumerate(found):
        before = found[index - 1] if index else None
        problem = _refuse(token, before)
        if problem is not None:
            problems.append(problem)
    return problems + _unbalanced(found)


def _refuse(token: Token, before: Token | None) -> Problem | None:
    kind, text, start, end = token
    match kind:
        case "open":
            return _unclosed_string(token)
        case "string":
            return _refuse_string(token, before)
        case "number":
            return _refuse_number(token, before)
        case "name":
            after_dot = before is not None and before.text == "."
            if not text.isidentifier():
                return Problem("expression-syntax", f"`{text}` is no name", start, end)
            if text.startswith("__") and text.endswith("__"):
                hint = f'write `["{text}"]` for a key of this name' if after_dot else None
                return Problem("not-allowed", f"the name `{text}` is not allowed", start, end, hint)
            if after_dot or text in _ALLOWED_WORDS or not keyword.iskeyword(text):
                return None
            hint = _WORD_HINTS.get(text)
            return Problem("not-allowed", f"`{text}` is not allowed here", start, end, hint)
        case "op":
            if text in _REFUSED:
                hint = _OPERATOR_HINTS.get(text)
                what = {"#": "comments are", "`": "backquotes are"}.get(text, f"`{text}` is")
                return Problem(
                    "not-allowed", f"{what} not allowed in expressions", start, end, hint
                )
            return None
        case _:
            what = f"`{text}`" if text.isprintable() else f"character U+{ord(text):04X}"
            return Problem("expression-syntax", f"unexpected {what}", start, end)


def _refuse_string(token: Token, before: Token | None) -> Problem | None:
    _, text, start, end = token
    quote = min(place for place in (text.find('"'), text.find("'")) if place >= 0)
    prefix = text[:quote].lower()
    if "b" in prefix or "f" in prefix:
        what = "format strings" if "f" in prefix else "bytes"
        hint = "put the parts together with `+`" if "f" in prefix else None
        return Problem("not-allowed", f"{what} are not allowed", start, end, hint)
    if before is not None and before.kind == "string" and before.end <= start:
        hint = "write `+` or `,` between them"
        return Problem("expression-syntax", "two strings stand side by side", start, end, hint)
    if "r" in prefix:
        return None
    for escape in _ESCAPE.finditer(text, quote):
        if escape.group("bad") is not None:
            at = start + escape.start()
            message = f"`{escape.group()}` is no escape in a string"
            return Problem("expression-syntax", message, at, at + 2, "write `\\\\` for a backslash")
    return None


def _refuse_number(token: Token, before: Token | None) -> Problem | None:
    _, text, start, end = token
    if text.startswith(".") and before is not None and before.end == start:
        hint = f"write `[{text[1:]}]` for an item of a list"
        return Problem("expression-syntax", f"unexpected `{text}`", start, end, hint)
    if _NUMBER.fullmatch(text):
        return None
    hint = "write the number without the zeros before it" if text.isdigit() else None
    return Problem("expression-syntax", f"`{text}` is no number", start, end, hint)


def _unbalanced(found: list[Token]) -> list[Problem]:
    """Brackets that do not match, and `=` (an argument with a name in calls, else a mistake)."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    stack: list[tuple[Token, bool]] = []
    before: Token | None = None
    for token in found:
        text = token.text if token.kind == "op" else ""
        if text in pairs:
            call = text == "(" and before is not None and before.kind == "name"
            stack.append((token, call))
        elif text in (")", "]", "}"):
            if not stack or pairs[stack[-1][0].text] != text:
                message = f"this `{text}` closes nothing"
                return [Problem("expression-syntax", message, token.start, token.end)]
            stack.pop()
        elif text == "=":
            if stack and stack[-1][1]:
                message, hint = "arguments have no names", "write the value alone"
            else:
                message, hint = "`=` does not compare", "write `==`"
            return [Problem("not-allowed", message, token.start, token.end, hint)]
        before = token
    return [
        Problem("expression-syntax", f"this `{token.text}` is never closed", token.start, token.end)
        for token, _ in stack[-1:]
    ]
