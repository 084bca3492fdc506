"""Running things at the same time: the only place that makes tasks of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpreter.execution import Execution

__all__ = ["in_lanes"]


async def in_lanes(
    execution: Execution,
    indexes: Sequence[int],
    limit: int,
    body: Callable[[int], Awaitable[None]],
) -> None:
    """Runs `body` for each index, at most `limit` at the same time, and waits for all.

    Args:
        execution: The run.
        indexes: The indexes, in the order in which they begin.
        limit: How many lanes work on them. Each takes the next index when it is free.
        body: Must deal with errors and stops itself. What it lets through is a bug, which
            fails the workflow task.
    """
    count = len(indexes)
    if count == 0:
        return
    lanes = min(limit, count)
    settled = execution.future()
    upcoming = 0
    open_lanes = lanes

    async def lane() -> None:
        nonlocal upcoming, open_lanes
        while upcoming < count:
            index = indexes[upcoming]
            upcoming += 1
            await body(index)
        open_lanes -= 1
        if open_lanes == 0:
            settled.set_result(None)

    for _ in range(lanes):
        execution.spawn(lane)
    await settled
