"""The point of no return: what stands after it goes forward only."""

from __future__ import annotations

from dsl.check.report import Report
from dsl.check.tree import Block, Item, Tree
from dsl.model.common import Retry
from dsl.steps import ActivityStep, ForeachStep, ParallelStep, SwitchStep, WhileStep
from dsl.syntax import Mapping

__all__ = ["check_sagas"]

_OPEN = (SwitchStep, ForeachStep, WhileStep)
"""Steps of which it is open what in them is run."""


def check_sagas(tree: Tree, report: Report) -> None:
    """Reports pivots among concurrent steps, and what does not fit behind a pivot."""
    for block in tree.blocks[:1]:
        _Pivot(tree, report).block(block)
    for block in tree.blocks:
        if block.role in ("signal", "update"):
            for item in block.walk():
                _concurrent(item, report)
    for item in tree.walk():
        concurrent = isinstance(item.step, ParallelStep) or (
            isinstance(item.step, ForeachStep) and (item.step.concurrency or 1) > 1
        )
        if concurrent:
            for block in item.body():
                for inner in block.walk():
                    _concurrent(inner, report)


def _concurrent(item: Item, report: Report) -> None:
    entry = item.entry("pivot")
    if item.step.pivot and entry is not None:
        message = "a point of no return cannot stand among steps that run at the same time"
        hint = "the others may have to be undone after it: put it behind them"
        if not any(d.span == entry.key.span for d in report.diagnostics):
            report.add("DSL604", message, entry.key.span, hint)


class _Pivot:
    """One walk in the order of the text, which knows the last point of no return."""

    def __init__(self, tree: Tree, report: Report) -> None:
        self.tree = tree
        self.report = report
        self.pivot: Item | None = None

    def block(self, block: Block, caught: bool = False) -> None:
        for item in block.items:
            self.item(item, caught)

    def item(self, item: Item, caught: bool) -> None:
        caught = caught or bool(item.step.catch)
        if self.pivot is not None:
            self.after(item, self.pivot, caught)
        before = self.pivot
        for block in item.body():
            if isinstance(item.step, SwitchStep):
                self.pivot = before  # one case is taken, none comes after another
            self.block(block, caught)
        if item.step.pivot:
            self.pivot = item
        if item.step.if_ is not None or item.step.catch or isinstance(item.step, _OPEN):
            self.pivot = before  # the point may not have been passed

    def after(self, item: Item, pivot: Item, caught: bool) -> None:
        """Reports what of a step does not fit behind a pivot."""
        there = pivot.entry("pivot")
        assert there is not None
        span = there.key.span
        undo = item.entry("compensate")
        if undo is not None:
            message = "after the point of no return there is nothing left to go back to"
            hint = "let the step be tried until it succeeds, or move it before the `pivot`"
            self.report.add("DSL602", message, undo.key.span, hint, "it is here", span)
        if not isinstance(item.step, ActivityStep) or caught:
            return
        defaults = self.tree.definition.defaults
        if _finite(item.step.retry):
            entry = item.entry("retry")
            node = entry.value if entry is not None else item.node
            given = node.get("maximum_attempts") if isinstance(node, Mapping) else None
            at = given.key.span if given is not None else item.place
        elif defaults is not None and _finite(defaults.retry) and not _says(item.step.retry):
            at = item.place
        else:
            return
        message = "after the point of no return a step that gives up leaves the run half done"
        hint = "write `maximum_attempts: unlimited`, or `catch` what is to be done instead"
        self.report.add("DSL603", message, at, hint, "it is here", span)


def _says(retry: Retry | None) -> bool:
    return retry is not None and retry.maximum_attempts is not None


def _finite(retry: Retry | None) -> bool:
    return retry is not None and isinstance(retry.maximum_attempts, int)
