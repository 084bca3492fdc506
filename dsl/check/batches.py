"""What cannot stand in a `foreach` with `batch`: its items run in executions of their own."""

from __future__ import annotations

from collections.abc import Iterator

from dsl.check.report import Report
from dsl.check.tree import Block, Item, Tree
from dsl.model.common import BodyStep
from dsl.steps import (
    BreakStep,
    ForeachStep,
    ReturnStep,
    RollbackStep,
    SetSearchAttributesStep,
    SetStep,
    UntilStep,
    WaitConditionStep,
    WaitSignalStep,
    WhileStep,
)

__all__ = ["check_batches"]

_OUTSIDE = (WaitSignalStep, WaitConditionStep, ReturnStep, RollbackStep, SetSearchAttributesStep)
"""Kinds that are about the run as a whole."""
_LOOPS = (ForeachStep, WhileStep, UntilStep)
_HINT = "the items of a `batch` run in child workflows: do it after the `foreach`"


def check_batches(tree: Tree, report: Report) -> None:
    """Reports what in a batch is about the run that it is a part of."""
    for item in tree.walk():
        if isinstance(item.step, ForeachStep) and item.step.batch is not None:
            for inner, looping in _inside(item, False):
                _check(inner, looping, _declared(item), report)


def _inside(item: Item, looping: bool) -> Iterator[tuple[Item, bool]]:
    """The steps in a step, and whether a loop inside it is round them."""
    for block in item.blocks:
        yield from _of_block(block, looping)


def _of_block(block: Block, looping: bool) -> Iterator[tuple[Item, bool]]:
    for item in block.items:
        yield item, looping
        yield from _inside(item, looping or isinstance(item.step, _LOOPS))


def _declared(item: Item) -> frozenset[str]:
    """The variables that are declared in a step or inside it."""
    steps = (one.step for one in item.walk())
    return frozenset(name for step in steps if isinstance(step, BodyStep) for name in step.vars)


def _check(item: Item, looping: bool, own: frozenset[str], report: Report) -> None:
    step = item.step
    if isinstance(step, _OUTSIDE) or (isinstance(step, BreakStep) and not looping):
        report.add("DSL416", f"`{step.kind}` cannot stand in a `batch`", item.place, _HINT)
    pivot = item.entry("pivot")
    if step.pivot and pivot is not None:
        report.add("DSL416", "`pivot` cannot stand in a `batch`", pivot.key.span, _HINT)
    if isinstance(step, SetStep):
        for name in step.set:
            if name not in own:
                message = f"`{name}` is a variable outside the `batch`: its items cannot set it"
                hint = "let `collect` give what an item found, and use the output of the `foreach`"
                report.add("DSL416", message, item.place, hint)
