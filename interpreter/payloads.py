"""Values that a run sends and receives, as payloads.

They are written here and not by the SDK's converter, which sorts the keys of maps: what the
author wrote keeps its order, and a payload that is too large is found before it is sent. They
are read here because whoever calls may send anything, and a value that is no JSON must become
an answer, never a workflow task that fails for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import ExternalStorage

from interpreter.errors import Fault

__all__ = [
    "INLINE",
    "LARGEST_LOCAL",
    "LARGEST_STORED",
    "MAX_BYTES",
    "NAME_STORAGE",
    "Budget",
    "bounded",
    "budget_of",
    "json_size",
    "payload",
    "value_of",
    "written",
]

MAX_BYTES = 2 * 1024 * 1024 - 4096
"""The largest value that is sent, in bytes: what Temporal takes, less some room."""
LARGEST_STORED = 64 * 1024 * 1024
"""The largest value with external storage, in bytes."""
LARGEST_LOCAL = 256 * 1024
"""The largest result or error of a local activity: those of one workflow task go together."""
NAME_STORAGE = "Name it with --payload-storage or TEMPORAL_DSL_PAYLOAD_STORAGE."
"""What to do on a worker that has no external storage, where a run needs it."""
_REFERENCE = 1024
"""What a reference to a payload that is stored elsewhere has, in bytes, at the most."""
_DEEPEST = 200


@dataclass(frozen=True, slots=True)
class Budget:
    """How large values may be. It decides a run's path, so it is pinned with the definition.

    Args:
        largest: The largest value, in bytes.
        stored_from: From which size on payloads are kept in external storage; None for never.
    """

    largest: int = MAX_BYTES
    stored_from: int | None = None

    @property
    def local(self) -> int:
        """The largest result of a local activity."""
        stored = self.stored_from is not None and self.stored_from <= LARGEST_LOCAL
        return self.largest if stored else LARGEST_LOCAL

    def sent(self, payloads: Iterable[RawValue]) -> int:
        """The bytes that payloads have when they are sent."""
        if self.stored_from is None:
            return sum(len(one.payload.data) for one in payloads)
        sizes = [one.payload.ByteSize() for one in payloads]
        return sum(_REFERENCE if size >= self.stored_from else size for size in sizes)


INLINE = Budget()
"""Without external storage."""


def budget_of(storage: ExternalStorage | None) -> Budget:
    """How large values may be with the storage that a client has."""
    # One that chooses may leave a payload where it is.
    if storage is None or storage.driver_selector is not None:
        return INLINE
    return Budget(LARGEST_STORED, storage.payload_size_threshold)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


_suspicious = re.compile(rb"\\u|[0-9][eE]").search
_decode = json.JSONDecoder(parse_constant=_refuse).decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def json_size(value: Any) -> int:
    """How large a value is as a text, in bytes, for those who only show it."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def payload(value: Any, what: str, most: int = MAX_BYTES) -> RawValue:
    """A value as a payload.

    Args:
        value: A JSON value.
        what: What it is, for the message: `the arguments`.
        most: How many bytes it may have.

    Raises:
        Fault: `LimitExceeded`, if it is too large or no JSON.
    """
    try:
        return written(value, what, most)
    except TypeError as error:
        raise Fault("LimitExceeded", f"{what} cannot be written as JSON: {error}") from None


def written(value: Any, what: str, most: int = MAX_BYTES) -> RawValue:
    """As `payload`, for a value that need not be of JSON's types.

    Raises:
        TypeError: if it is not.
    """
    try:
        data = _encode(value).encode()
    except (ValueError, RecursionError) as error:
        raise Fault("LimitExceeded", f"{what} cannot be written as JSON: {error}") from None
    raw = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
    bounded(raw, what, most)
    return raw


def bounded(raw: RawValue, what: str, most: int = MAX_BYTES) -> None:
    """Refuses a payload that is too large.

    Raises:
        Fault: `LimitExceeded`, if it is.
    """
    size = len(raw.payload.data)
    if size > most:
        raise Fault("LimitExceeded", f"{what}: {size:,} bytes, {most:,} are allowed")


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
