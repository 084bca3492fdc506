"""Functions on strings."""

import base64
import hashlib
from typing import Final

from .errors import Fault
from .frame import Frame, Value
from .function import Function, function, want_items, want_list, want_text, want_whole
from .limits import LIMITS
from .values import describe, scan_cost, too_long

__all__ = ["TEXT_FUNCTIONS"]


def _whole_text(frame: Frame, name: str, value: Value, shift: int = 4) -> str:
    """A string that is about to be copied: spends for it, one unit for 2**shift characters."""
    text = want_text(name, value)
    if len(text) > LIMITS.string:
        raise too_long()
    frame.spend(len(text) >> shift)
    return text


def _made(text: str) -> str:
    if len(text) > LIMITS.string:
        raise too_long()
    return text


@function(
    "upper(text)", "string -> string", "The string in capital letters.", ('upper("aB")', "AB")
)
def _upper(frame: Frame, text: Value) -> Value:
    return _made(_whole_text(frame, "upper", text, 3).upper())


@function("lower(text)", "string -> string", "The string in small letters.", ('lower("aB")', "ab"))
def _lower(frame: Frame, text: Value) -> Value:
    return _made(_whole_text(frame, "lower", text, 3).lower())


@function(
    "strip(text, characters)",
    "string, string -> string",
    "The string without the white space (or the given characters) at both ends.",
    ('strip("  a b ")', "a b"),
    ('strip("--a-", "-")', "a"),
)
def _strip(frame: Frame, text: Value, characters: Value = None) -> Value:
    source = _whole_text(frame, "strip", text)
    if characters is None:
        return source.strip()
    taken = want_text("strip", characters)
    frame.spend(len(source) * min(len(taken), 1_000) >> 6)
    if len(taken) > 1_000:
        raise Fault("`strip` takes at most 1000 characters")
    return source.strip(taken)


@function(
    "split(text, separator)",
    "string, string -> [string]",
    "The parts between separators; without one, the parts between white space.",
    ('split("a,b,,c", ",")', ["a", "b", "", "c"]),
    ('split(" a  b ")', ["a", "b"]),
    weight=4,
)
def _split(frame: Frame, text: Value, separator: Value = None) -> Value:
    if separator is None:
        parts = _whole_text(frame, "split", text, 0).split()
        want_items(frame, len(parts))
        return [*parts]
    source = _whole_text(frame, "split", text)
    by = want_text("split", separator)
    want_items(frame, _count(frame, "split", source, by) + 1, 2)
    return [*source.split(by)]


def _count(frame: Frame, name: str, text: str, part: str) -> int:
    if not part:
        raise Fault(f"`{name}` wants something to look for; the string is empty")
    frame.spend(2 * scan_cost(len(text), len(part)))
    return text.count(part)


@function(
    'join(strings, separator="")',
    "list, string -> string",
    "One string of many, with the separator between them.",
    ('join(["a", "b"], ", ")', "a, b"),
    ("join(str(x) for x in [1, 2])", "12"),
    iterates=True,
)
def _join(frame: Frame, strings: Value, separator: Value = "") -> Value:
    items = want_list("join", strings)
    between = want_text("join", separator)
    frame.spend(len(items))
    size = len(between) * max(0, len(items) - 1)
    texts: list[str] = []
    for place, item in enumerate(items):
        if not isinstance(item, str):
            hint = "write `join([str(x) for x in xs], separator)`"
            raise Fault(f"`join` wants strings; item {place} is {describe(item)}", hint)
        size += len(item)
        texts.append(item)
    if size > LIMITS.string:
        raise too_long()
    frame.spend(size >> 4)
    return between.join(texts)


@function(
    "replace(text, old, new)",
    "string, string, string -> string",
    "The string with each `old` in it made `new`.",
    ('replace("a-b-c", "-", "+")', "a+b+c"),
    weight=4,
)
def _replace(frame: Frame, text: Value, old: Value, new: Value) -> Value:
    source = _whole_text(frame, "replace", text)
    out, into = want_text("replace", old), want_text("replace", new)
    size = len(source) + _count(frame, "replace", source, out) * (len(into) - len(out))
    if size > LIMITS.string:
        raise too_long()
    frame.spend(size >> 4)
    return source.replace(out, into)


@function(
    "starts_with(text, start)",
    "string, string -> bool",
    "Whether the string begins with another.",
    ('starts_with("abc", "ab")', True),
)
def _starts_with(frame: Frame, text: Value, start: Value) -> Value:
    part = want_text("starts_with", start)
    frame.spend(len(part) >> 7)
    return want_text("starts_with", text).startswith(part)


@function(
    "ends_with(text, end)",
    "string, string -> bool",
    "Whether the string ends with another.",
    ('ends_with("abc", "bc")', True),
)
def _ends_with(frame: Frame, text: Value, end: Value) -> Value:
    part = want_text("ends_with", end)
    frame.spend(len(part) >> 7)
    return want_text("ends_with", text).endswith(part)


@function(
    'pad_left(text, width, fill=" ")',
    "string, int, string -> string",
    "The string with a character before it until it is as wide as wanted.",
    ('pad_left("7", 3, "0")', "007"),
    ('pad_left("abc", 2)', "abc"),
)
def _pad_left(frame: Frame, text: Value, width: Value, fill: Value = " ") -> Value:
    source = _whole_text(frame, "pad_left", text)
    wide = want_whole("pad_left", width, 0, LIMITS.string)
    character = want_text("pad_left", fill)
    if len(character) != 1:
        raise Fault("`pad_left` fills with one character")
    frame.spend(wide >> 4)
    return source.rjust(wide, character)


def _bytes(frame: Frame, name: str, value: Value) -> bytes:
    try:
        return _whole_text(frame, name, value, 3).encode()
    except UnicodeEncodeError:
        raise Fault(f"`{name}` cannot take half a character (a surrogate)") from None


@function(
    "base64(text)",
    "string -> string",
    "The base64 text of the string's UTF-8 bytes.",
    ('base64("hello")', "aGVsbG8="),
    weight=6,
)
def _base64(frame: Frame, text: Value) -> Value:
    return _made(base64.b64encode(_bytes(frame, "base64", text)).decode())


@function(
    "sha256(text)",
    "string -> string",
    "The SHA-256 of the string's UTF-8 bytes, in hexadecimal.",
    ('sha256("")', "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    weight=15,
)
def _sha256(frame: Frame, text: Value) -> Value:
    data = _bytes(frame, "sha256", text)
    frame.spend(len(data) >> 5)
    return hashlib.sha256(data).hexdigest()


TEXT_FUNCTIONS: Final[tuple[Function, ...]] = (
    _upper,
    _lower,
    _strip,
    _split,
    _join,
    _replace,
    _starts_with,
    _ends_with,
    _pad_left,
    _base64,
    _sha256,
)
"""The functions of this module."""
