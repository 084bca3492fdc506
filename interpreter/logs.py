"""What a run logs: structured, and silent during replay.

Every record carries `definition`, `revision`, `workflow_id`, `run_id` and `step` (its path, or
null) as attributes, for whatever formatter the worker's process has.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from temporalio import workflow

if TYPE_CHECKING:
    from interpreter.execution import Execution

__all__ = ["FIELDS", "LOGGER", "log"]

LOGGER = logging.getLogger("temporal_dsl")
FIELDS = ("definition", "revision", "workflow_id", "run_id", "step")
"""The attributes that every record has."""


def log(
    execution: Execution, level: int, message: str, *arguments: Any, step: str | None = None
) -> None:
    """Logs something of a run, unless it is replayed.

    Args:
        execution: The run.
        level: A level of `logging`.
        message: The message, in the form of `logging`.
        arguments: What is put into it.
        step: The path of the step it is about.
    """
    if not LOGGER.isEnabledFor(level) or workflow.unsafe.is_replaying():
        return
    info = workflow.info()
    fields = {
        "definition": execution.program.name,
        "revision": execution.program.revision,
        "workflow_id": info.workflow_id,
        "run_id": info.run_id,
        "step": step,
    }
    LOGGER.log(level, message, *arguments, extra=fields)
