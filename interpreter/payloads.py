"""Values that a run sends and receives, as payloads.

They are written here and not by the SDK's converter, which sorts the keys of maps: what the
author wrote keeps its order, and a payload that is too large is found before it is sent. They
are read here because whoever calls may send anything, and a value that is no JSON must become
an answer, never a workflow task that fails for ever.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from interpreter.errors import Fault

__all__ = ["MAX_BYTES", "payload", "value_of", "written"]

MAX_BYTES = 2 * 1024 * 1024 - 4096
"""The largest value that is sent, in bytes: what Temporal takes, less some room."""
_DEEPEST = 200


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


_suspicious = re.compile(rb"\\u|[0-9][eE]").search
_decode = json.JSONDecoder(parse_constant=_refuse).decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def payload(value: Any, what: str) -> RawValue:
    """A value as a payload.

    Args:
        value: A JSON value.
        what: What it is, for the message: `the arguments`.

    Raises:
        Fault: `LimitExceeded`, if it is too large or no JSON.
    """
    try:
        return written(value, what)
    except TypeError as error:
        raise Fault("LimitExceeded", f"{what} cannot be written as JSON: {error}") from None


def written(value: Any, what: str) -> RawValue:
    """As `payload`, for a value that need not be of JSON's types.

    Raises:
        TypeError: if it is not.
    """
    try:
        data = _encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise Fault("LimitExceeded", f"{what} cannot be written as JSON: {error}") from None
    if len(data) > MAX_BYTES:
        size = f"{len(data):,} bytes, {MAX_BYTES:,} are allowed"
        raise Fault("LimitExceeded", f"{what}: {size}")
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))


def value_of(given: Payload) -> Any:
    """The value of a payload.

    Raises:
        ValueError: if it is no JSON.
    """
    encoding = given.metadata.get("encoding", b"")
    if encoding == b"binary/null":
        return None
    if encoding not in (b"json/plain", b"json/protobuf"):
        raise ValueError(f"its encoding is {encoding.decode(errors='replace')!r}, not JSON")
    data = given.data
    try:
        value = _decode(data.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Only an escape can make half a character, and only an exponent a number without end.
    if _suspicious(data):
        _encode(value).encode()
    if data.count(b"[") + data.count(b"{") > _DEEPEST and _depth(value) > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    return value


def _depth(value: Any) -> int:
    """How deep a value is nested."""
    depth = 0
    level: list[Any] = [value]
    while level:
        depth += 1
        inner: list[Any] = []
        for one in level:
            inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        level = [one for one in inner if isinstance(one, dict | list)]
    return depth
