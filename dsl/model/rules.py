"""What the keys of a map say to one another, as JSON Schema.

`errorMessage` is what editors show instead of a message of their own.
"""

from __future__ import annotations

from pydantic import JsonValue

__all__ = ["forbids", "needs"]


def forbids(*keys: str, why: str) -> dict[str, JsonValue]:
    """A map that has none of the keys."""
    return {"properties": dict.fromkeys(keys, False), "errorMessage": why}


def needs(key: str, why: str) -> dict[str, JsonValue]:
    """A map that has the key."""
    return {"required": [key], "errorMessage": why}
