"""The kinds of steps, one module each."""

from __future__ import annotations

from typing import Any, cast

from dsl.diagnostics import did_you_mean
from dsl.model.common import BodyStep, StepBase
from dsl.model.leaves import describe, mistake
from dsl.steps.activity import ActivityStep
from dsl.steps.do import DoStep
from dsl.steps.exits import BreakStep, ContinueStep
from dsl.steps.foreach import ForeachStep
from dsl.steps.loop import UntilStep, WhileStep
from dsl.steps.parallel import ParallelStep
from dsl.steps.raise_ import RaiseStep
from dsl.steps.return_ import ReturnStep
from dsl.steps.rollback import RollbackStep
from dsl.steps.search_attributes import SetSearchAttributesStep
from dsl.steps.send_signal import SendSignalStep
from dsl.steps.set import SetStep
from dsl.steps.sleep import SleepStep, SleepUntilStep
from dsl.steps.switch import Case, SwitchStep
from dsl.steps.value import ValueStep
from dsl.steps.wait_condition import WaitConditionStep
from dsl.steps.wait_signal import WaitSignalStep
from dsl.steps.workflow import WorkflowStep

__all__ = [
    "KINDS",
    "ActivityStep",
    "BreakStep",
    "Case",
    "ContinueStep",
    "DoStep",
    "ForeachStep",
    "ParallelStep",
    "RaiseStep",
    "ReturnStep",
    "RollbackStep",
    "SendSignalStep",
    "SetSearchAttributesStep",
    "SetStep",
    "SleepStep",
    "SleepUntilStep",
    "Step",
    "SwitchStep",
    "UntilStep",
    "ValueStep",
    "WaitConditionStep",
    "WaitSignalStep",
    "WhileStep",
    "WorkflowStep",
    "read_step",
]

KINDS: tuple[type[StepBase], ...] = (
    ActivityStep,
    WorkflowStep,
    DoStep,
    ParallelStep,
    ForeachStep,
    WhileStep,
    UntilStep,
    SwitchStep,
    SleepStep,
    SleepUntilStep,
    WaitSignalStep,
    WaitConditionStep,
    SendSignalStep,
    ValueStep,
    SetStep,
    SetSearchAttributesStep,
    RaiseStep,
    ReturnStep,
    RollbackStep,
    BreakStep,
    ContinueStep,
)
"""Every kind of step, in the order of the reference."""

_BY_KEY = {cls.kind: cls for cls in KINDS}


def read_step(value: Any) -> StepBase:
    """Reads a step of whatever kind it is."""
    if isinstance(value, StepBase):
        return value
    if not isinstance(value, dict):
        raise mistake(
            "DSL105", f"a step must be a map, is {describe(value)}", "- id: ...\n  activity: ..."
        )
    return _BY_KEY[_kind(cast("dict[str, Any]", value))].model_validate(value)


def _kind(step: dict[str, Any]) -> str:
    """The kind key of a step. `do` is a kind only where no other stands beside it."""
    keys = [key for key in step if key in _BY_KEY]
    others = [key for key in keys if key != "do"]
    if len(others) > 1:
        shown = " and ".join(f"`{key}`" for key in others)
        raise mistake(
            "DSL104", f"a step has one kind, this one has {shown}", "make two steps of it"
        )
    if others or keys:
        return (others or keys)[0]
    known = {field.alias or name for name, field in BodyStep.model_fields.items()}
    hints = (did_you_mean(key, _BY_KEY) for key in step if key not in known)
    raise mistake(
        "DSL103",
        "a step needs a kind: one of " + ", ".join(f"`{key}`" for key in _BY_KEY),
        next((hint for hint in hints if hint), None),
    )


Step = (
    ActivityStep
    | WorkflowStep
    | DoStep
    | ParallelStep
    | ForeachStep
    | WhileStep
    | UntilStep
    | SwitchStep
    | SleepStep
    | SleepUntilStep
    | WaitSignalStep
    | WaitConditionStep
    | SendSignalStep
    | ValueStep
    | SetStep
    | SetSearchAttributesStep
    | RaiseStep
    | ReturnStep
    | RollbackStep
    | BreakStep
    | ContinueStep
)
"""A step of any kind."""
