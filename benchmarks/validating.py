"""`temporal-dsl validate` against `check-jsonschema` with the published schema, on the same files.

Ours does more: names, types, flow. Both are commands, start-up included, the time is CPU time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.stats import Series

__all__ = ["SIZES", "Validating", "validate_rounds"]

SIZES = (100, 1_000, 10_000)
"""How many steps the definitions have."""
_SCHEMA = Path(__file__).parent.parent / "schemas" / "workflow.schema.json"
_HEAD = """\
dsl: 1
name: steps-{steps}
input:
  type: object
  required: [items, amount]
  properties:
    items:
      type: array
      items: {{type: object, required: [id], properties: {{id: {{type: string}}}}}}
    amount: {{type: number}}
vars: {{total: 0}}
steps:
"""
_STEP = """\
  - id: step_{number}
    description: The step number {number}, which charges what was reserved before it.
    if: input.amount > {number} and len(input.items) > 0
    activity: payments.charge
    with:
      order_id: order ${{ input.items[0].id }} of {number}
      amount: ${{ input.amount * 2 + vars.total }}
    start_to_close_timeout: 20s
    retry: {{maximum_attempts: 3}}
"""


@dataclass(slots=True)
class Validating:
    """What the rounds gave.

    Attributes:
        ours: Seconds of CPU time of `temporal-dsl validate`, by the number of steps.
        theirs: The same of `check-jsonschema`.
        bytes: How large the files are.
    """

    ours: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    theirs: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    bytes: dict[int, int] = field(default_factory=dict[int, int])

    def series(self, steps: int) -> Series:
        """Both, for the ratio."""
        return {"ours": self.ours[steps], "theirs": self.theirs[steps]}


def validate_rounds(rounds: int) -> Validating:
    """Measures both commands by turns."""
    found = Validating()
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        for steps in SIZES:
            file = Path(folder) / f"steps-{steps}.yaml"
            body = "".join(_STEP.format(number=number) for number in range(steps))
            file.write_text(_HEAD.format(steps=steps) + body)
            found.bytes[steps] = file.stat().st_size
            ours = [str(binaries / "temporal-dsl"), "validate", str(file)]
            theirs = [str(binaries / "check-jsonschema"), "--schemafile", str(_SCHEMA), str(file)]
            for turn in range(rounds):
                pairs = [(found.ours, ours), (found.theirs, theirs)]
                for times, command in pairs if turn % 2 else reversed(pairs):
                    times.setdefault(steps, []).append(_seconds(command))
    return found


def _seconds(command: list[str]) -> float:
    """The CPU time of a command, which must find nothing wrong."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True)
    after = os.times()
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
