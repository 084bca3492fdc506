"""How each kind of step becomes commands to Temporal, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dsl.model.common import StepBase
from dsl.steps import (
    ActivityStep,
    BreakStep,
    ContinueStep,
    DoStep,
    ForeachStep,
    ParallelStep,
    RaiseStep,
    ReturnStep,
    RollbackStep,
    SendSignalStep,
    SetSearchAttributesStep,
    SetStep,
    SleepStep,
    SleepUntilStep,
    Step,
    SwitchStep,
    UntilStep,
    ValueStep,
    WaitConditionStep,
    WaitSignalStep,
    WhileStep,
    WorkflowStep,
)
from interpreter.nodes import Node, Place
from interpreter.steps.activity import ActivityNode
from interpreter.steps.batch import BatchNode
from interpreter.steps.blocks import DoNode, RootNode, SwitchNode
from interpreter.steps.foreach import ForeachNode
from interpreter.steps.loops import ExitNode, LoopNode
from interpreter.steps.parallel import ParallelNode
from interpreter.steps.rollback import RollbackNode
from interpreter.steps.search_attributes import SetSearchAttributesNode
from interpreter.steps.send_signal import SendSignalNode
from interpreter.steps.values import RaiseNode, ReturnNode, SetNode, ValueNode
from interpreter.steps.waits import SleepNode, SleepUntilNode, WaitConditionNode, WaitSignalNode
from interpreter.steps.workflow import WorkflowNode

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["RootNode", "node_for"]


def node_for(step: StepBase, place: Place, compiler: Compiler, owner: Node) -> Node:
    """The compiled form of a step."""
    known = cast("Step", step)
    match known:
        case ActivityStep():
            return ActivityNode(known, place, compiler, owner)
        case WorkflowStep():
            return WorkflowNode(known, place, compiler, owner)
        case DoStep():
            return DoNode(known, place, compiler, owner)
        case ParallelStep():
            return ParallelNode(known, place, compiler, owner)
        case ForeachStep() if known.batch is not None:
            return BatchNode(known, place, compiler, owner)
        case ForeachStep():
            return ForeachNode(known, place, compiler, owner)
        case WhileStep() | UntilStep():
            return LoopNode(known, place, compiler, owner)
        case SwitchStep():
            return SwitchNode(known, place, compiler, owner)
        case SleepStep():
            return SleepNode(known, place, compiler, owner)
        case SleepUntilStep():
            return SleepUntilNode(known, place, compiler, owner)
        case WaitConditionStep():
            return WaitConditionNode(known, place, compiler, owner)
        case WaitSignalStep():
            return WaitSignalNode(known, place, compiler, owner)
        case SendSignalStep():
            return SendSignalNode(known, place, compiler, owner)
        case ValueStep():
            return ValueNode(known, place, compiler, owner)
        case SetStep():
            return SetNode(known, place, compiler, owner)
        case SetSearchAttributesStep():
            return SetSearchAttributesNode(known, place, compiler, owner)
        case RaiseStep():
            return RaiseNode(known, place, compiler, owner)
        case ReturnStep():
            return ReturnNode(known, place, compiler, owner)
        case RollbackStep():
            return RollbackNode(known, place, compiler, owner)
        case BreakStep() | ContinueStep():
            return ExitNode(known, place, compiler, owner)
