"""Scalars: what a plain one means by YAML 1.2, and where the characters of each stand."""

from __future__ import annotations

import re

__all__ = ["NotInJson", "offsets", "resolve"]

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_FOLDED = re.compile(r"\\\r?\n[ \t]*")
_ESCAPES = {"x": 4, "u": 6, "U": 10}
_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]")


class NotInJson(ValueError):
    """A number that JSON or 64 bits cannot hold."""


def resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar by YAML 1.2's core schema.

    Raises:
        NotInJson: an infinity, no number, or a number beyond 64 bits.
    """
    if not text or text[0] not in "~nNtTfF+-.0123456789":
        return None if text in _NULL else text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.match(text):
        if len(text) > 70:
            raise NotInJson(text)
        number = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if not -(2**63) <= number < 2**63:
            raise NotInJson(text)
        return number
    if _FLOAT.match(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise NotInJson(text)
        return value
    if _NOT_FINITE.match(text):
        raise NotInJson(text)
    return text


def offsets(text: str, style: str, value: str) -> list[int]:
    """Where each character of a scalar's value stands in its source text.

    Both are walked side by side: what is no white space appears in the same order in both,
    and a run of white space (folded, or an indentation that was cut) answers to a run.

    Args:
        text: The scalar as it is written, with quotes or block indicator.
        style: Its style, see `Scalar`.
        value: Its value.

    Returns:
        One offset into `text` for each character of `value`, and one for its end.
    """
    at = 0
    if style in ("'", '"'):
        at = 1
    elif style in ("|", ">"):
        newline = text.find("\n")
        at = newline + 1 if newline >= 0 else len(text)
    found: list[int] = []
    length = len(text)
    for index, char in enumerate(value):
        if style == '"' and at < length and text[at] == "\\":
            while folded := _FOLDED.match(text, at):  # no character of the value
                at = folded.end()
            found.append(at)
            if _SURROGATE.match(text, at):
                at += 12
            elif at < length and text[at] == "\\":
                at += _ESCAPES.get(text[at + 1 : at + 2], 2)
            else:
                at += 1
            continue
        if char.isspace():
            found.append(min(at, length))
            if at < length and text[at].isspace():
                at += 1
            continue
        if index == 0 or value[index - 1].isspace():
            while at < length and text[at].isspace():
                at += 1
        elif at < length and text[at] != char:
            while at < length and text[at] != char and text[at].isspace():
                at += 1
        found.append(min(at, length))
        at += 2 if style == "'" and char == "'" else 1
    found.append(min(at, length))
    return found
