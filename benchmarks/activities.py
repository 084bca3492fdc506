"""The activities, as each kind of worker has them: the same work and the same payloads."""

from __future__ import annotations

import time
from typing import Any

from temporalio import activity

__all__ = ["OURS", "PLAIN"]


@activity.defn(name="bench.add")
async def add(value: int, by: int) -> dict[str, int]:
    """Adds."""
    return {"value": value + by}


@activity.defn(name="bench.clock")
async def clock(value: int) -> dict[str, float]:
    """Tells when it began."""
    return {"value": value, "began": time.time()}


@activity.defn(name="bench.add")
async def plain_add(given: dict[str, Any]) -> dict[str, int]:
    """Adds, as written without the DSL."""
    return {"value": given["value"] + given["by"]}


OURS = [add, clock]
"""For definitions: arguments by name, through the registry."""
PLAIN = [plain_add]
"""For hand-written workflows."""
