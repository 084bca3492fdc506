"""What a `foreach` with `batch` costs in events: its batching, walked slice by slice.

The numbers of a slice are measured where runs of `test_large_fan_out.py` are compared with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from interpreter.definitions.packed import pack, unpack
from interpreter.payloads import LARGEST_STORED

__all__ = ["SUGGESTED", "FanOut", "fan_out", "grown", "most_of_child", "slices_of"]

SUGGESTED = 4096
"""At how many events the server suggests to go on as new."""
_TASK = 3
"""A workflow task: scheduled, started, completed."""
_ACTIVITY = 3
"""An activity: scheduled, started, completed."""
_CHILD = 3
"""A child, as its parent sees it: initiated, started, completed."""
_PINNED = 1
"""The marker of a run's first task, which pins the definition. Children are sent it."""


@dataclass
class FanOut:
    """What a run does.

    Attributes:
        slices: How many children there are.
        items: How many items their slices have, all together.
        child: How many events a child has at most.
        parents: How many events each run of the parent has.
    """

    slices: int = 0
    items: int = 0
    child: int = 0
    parents: list[int] = field(default_factory=list[int])

    @property
    def largest(self) -> int:
        """How many events the longest history has at most."""
        return max(self.child, *self.parents)


def most_of_child(items: int, activities: int = 1) -> int:
    """How many events a child has at most: each activity ends in a workflow task of its own."""
    return 1 + _TASK + items * activities * (_ACTIVITY + _TASK) + 1


def fan_out(items: int, batch: int, activities: int = 1, most: int = SUGGESTED) -> FanOut:
    """Walks a run whose slices go one after the other, each with an activity or more an item.

    Args:
        items: How many.
        batch: How many a slice has.
        activities: How many each item needs.
        most: After how many events the parent goes on as new: the slice that begins then is its
            last one.
    """
    found = FanOut()
    # The first task has begun, and its marker is not written before it ends.
    events, marker, parks = 3, _PINNED, False
    for first in range(0, items, batch):
        if parks:
            found.parents.append(events + 1 + marker + 1)  # the task ends, the run goes on as new
            events, marker, parks = 3, 0, False
        parks = events + (marker if events > 3 else 0) >= most
        slice = range(items)[first : first + batch]
        found.slices += 1
        found.items += len(slice)
        found.child = max(found.child, most_of_child(len(slice), activities))
        # It is initiated and started, which makes a task; then it completes, which makes another.
        events += _CHILD + 2 * _TASK
    found.parents.append(events + 1 + marker + 1)  # the task ends, the run completes
    return found


def _members(state: str, loop: str) -> tuple[dict[str, Any], list[Any]]:
    """A state, and what it says of the slices of a loop."""
    data = json.loads(unpack(state, LARGEST_STORED))
    [rec] = [recs[loop] for recs in data["recs"] if loop in recs]
    return data, rec["held"]["join"]["join"]["members"]["tuple"]


def slices_of(state: str, loop: str) -> int:
    """How many slices of a loop have begun in a state that a parent brought along."""
    return len(_members(state, loop)[1])


def grown(state: str, loop: str, slices: int) -> str:
    """A state with more slices that have ended, each with what one adds to it."""
    data, members = _members(state, loop)
    for index in range(len(members), slices):
        done = {"data": True}
        group = {"group": len(data["groups"])}
        members.append({"tuple": [{"data": index}, done, done, done, group]})
        data["groups"].append([False, 0, []])
    return pack(json.dumps(data, ensure_ascii=False))
