"""Replaying histories from an empty cache."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from benchmarks.child import handwritten
from benchmarks.scenarios import VARIANTS
from benchmarks.stats import Series
from interpreter import workflow as interpreter_workflow
from interpreter.headers import HeaderInterceptor
from interpreter.workflow import DslWorkflow

__all__ = ["replay", "replay_rounds", "replayer"]


def replayer(variant: str, executor: ThreadPoolExecutor | None = None) -> Replayer:
    """What replays the histories of a variant."""
    if variant == "dsl":
        return Replayer(
            workflows=[DslWorkflow],
            interceptors=[HeaderInterceptor()],
            workflow_task_executor=executor,
        )
    plain = variant == "plain"
    return Replayer(
        workflows=handwritten(),
        workflow_runner=UnsandboxedWorkflowRunner() if plain else SandboxedWorkflowRunner(),
        workflow_task_executor=executor,
    )


async def _each(histories: Sequence[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in histories:
        yield history


async def replay(
    variant: str, histories: Sequence[WorkflowHistory], executor: ThreadPoolExecutor | None = None
) -> float:
    """Replays histories; gives the seconds of CPU time for an event of them.

    CPU time, because others use the machine too, and a replay does nothing but compute.
    """
    interpreter_workflow.forget_programs()
    gc.collect()
    made = replayer(variant, executor)
    begin = time.process_time()
    await made.replay_workflows(_each(histories), raise_on_replay_failure=True)
    seconds = time.process_time() - begin
    return seconds / sum(len(history.events) for history in histories)


async def replay_rounds(
    histories: dict[str, list[WorkflowHistory]], rounds: int, events: int = 0
) -> Series:
    """Replays histories of all variants in rounds, by turns: copies of them, of so many events."""
    copies = max(1, events // sum(len(history.events) for history in histories["plain"]))
    series: Series = {variant: [] for variant in VARIANTS}
    for turn in range(rounds + 1):
        for place in range(len(VARIANTS)):
            variant = VARIANTS[(turn + place) % len(VARIANTS)]
            seconds = await replay(variant, histories[variant] * copies)
            if turn:  # the first is to warm up
                series[variant].append(seconds)
    return series
