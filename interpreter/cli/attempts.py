"""How often Temporal tried each activity of a run: only the history knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

__all__ = ["add_attempts"]

_LONGEST = 10_000
"""The longest history that is read, in events."""


async def add_attempts(handle: WorkflowHandle[Any, Any], state: dict[str, Any]) -> None:
    """Adds `attempts` to the steps and the compensations of a state that took several.

    Args:
        handle: The run.
        state: What its `status` query gave.
    """
    paths: dict[int, str] = {}
    most: dict[str, int] = {}
    count = 0
    async for event in handle.fetch_history_events():
        count += 1
        if count > _LONGEST:
            return
        if event.HasField("activity_task_scheduled_event_attributes"):
            given = event.activity_task_scheduled_event_attributes
            paths[event.event_id] = given.activity_id
        elif event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            path = paths.get(started.scheduled_event_id, "")
            most[path] = max(most.get(path, 1), started.attempt)
    _add(state.get("steps", []), most)
    for entry in state.get("compensations", []):
        undo = f"{entry['step']}!undo"
        tried = [n for path, n in most.items() if path == undo or path.startswith(f"{undo}.")]
        if "attempts" in entry:
            entry["attempts"] = max(entry["attempts"], *tried, 0)


def _add(steps: Iterable[dict[str, Any]], most: dict[str, int]) -> None:
    for step in steps:
        if most.get(step["path"], 1) > 1:
            step["attempts"] = most[step["path"]]
        _add(step.get("steps", []), most)
