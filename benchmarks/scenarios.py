"""What is measured: a scenario has the same meaning for each variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["OPEN", "QUEUES", "SCENARIOS", "STORES", "VARIANTS", "Scenario"]

VARIANTS: tuple[str, ...] = ("dsl", "plain", "sandboxed")
"""The interpreter; by hand, unsandboxed; by hand, sandboxed as is the SDK's default."""
STORES: tuple[str, ...] = ("registry", "directory", "plain")
"""The interpreter with definitions of the registry, of a folder; by hand, unsandboxed."""
QUEUES = {
    variant: f"bench-{number}" for number, variant in enumerate(dict.fromkeys(VARIANTS + STORES))
}
"""The task queue of each variant: names of the same length, for they stand in histories."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario.

    Attributes:
        name: The Workflow Type, of all variants.
        title: For the report.
        given: The input.
        expected: The output that each execution must give.
        activities: How many activities each execution must have run.
        batch: How many executions a measurement has.
        concurrent: How many of them run at the same time.
    """

    name: str
    title: str
    given: dict[str, Any]
    expected: Any
    activities: int
    batch: int
    concurrent: int = 40


_ORDER = {"value": 700, "active": True, "tier": "gold", "tags": ["express", "large"]}
_RATED = {"score": 40, "level": "platinum", "label": "platinum-1404"}

SCENARIOS = (
    Scenario("five", "five activities in sequence", {"value": 1}, 6, 5, 50),
    Scenario("ten", "ten activities in parallel", {"value": 1}, list(range(1, 11)), 10, 30),
    Scenario("loop", "loop of 50, an activity each", {"value": 0, "until": 50}, 50, 50, 6, 6),
    Scenario("conditions", "100 steps, mostly conditions", _ORDER, _RATED, 5, 40),
    Scenario("twenty", "twenty activities in sequence", {"value": 1}, 21, 20, 15, 15),
)
"""Those of which CPU, throughput, histories and replay are measured."""

OPEN = Scenario("open", "five activities, then a signal", {"value": 1}, 6, 5, 0)
"""The one whose executions stay open."""
