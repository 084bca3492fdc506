"""Values that a run sends, as payloads.

They are written here and not by the SDK's converter, which sorts the keys of maps: what the
author wrote keeps its order, and a payload that is too large is found before it is sent.
"""

from __future__ import annotations

import json
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from interpreter.errors import Fault

__all__ = ["MAX_BYTES", "payload"]

MAX_BYTES = 2 * 1024 * 1024
"""The largest payload that Temporal takes, in bytes."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def payload(value: Any, what: str) -> RawValue:
    """A value as a payload.

    Args:
        value: A JSON value.
        what: What it is, for the message: `the arguments`.

    Raises:
        Fault: `LimitExceeded`, if it is too large.
    """
    data = _encode(value).encode()
    if len(data) > MAX_BYTES:
        size = f"{len(data):,} bytes, Temporal takes {MAX_BYTES:,}"
        raise Fault("LimitExceeded", f"{what} of the step have {size}")
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
