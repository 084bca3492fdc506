"""What is never run: steps after the end, cases after all cases; and what never ends."""

from __future__ import annotations

from collections.abc import Iterator

from dsl.check.report import Report
from dsl.check.tree import Block, Item, Tree
from dsl.expressions import analyse
from dsl.model.common import Catch
from dsl.model.joins import JoinStep
from dsl.source import Span
from dsl.steps import (
    ActivityStep,
    BreakStep,
    ContinueStep,
    DoStep,
    ForeachStep,
    ParallelStep,
    RaiseStep,
    ReturnStep,
    SendSignalStep,
    SetStep,
    SleepStep,
    SleepUntilStep,
    SwitchStep,
    UntilStep,
    WaitConditionStep,
    WaitSignalStep,
    WhileStep,
    WorkflowStep,
)
from dsl.syntax import Mapping, Node, locate

__all__ = ["check_reach", "leaves"]


def check_reach(tree: Tree, report: Report) -> None:
    """Reports steps and cases that are never reached, and loops that never end."""
    for block in tree.blocks:
        _sequence(block, report)
    _clauses(tree, tree.definition.catch, tree.document, report)
    for item in tree.walk():
        for block in item.blocks:
            _sequence(block, report)
        _clauses(tree, item.step.catch, item.node, report)
        match item.step:
            case SwitchStep():
                _cases(item.step, item.node, report)
            case WhileStep() | UntilStep():
                _loop(item.step, item, tree, report)
            case ParallelStep() | ForeachStep():
                _join(item.step, item, report)
            case _:
                pass


def _sequence(block: Block, report: Report) -> None:
    for before, after in zip(block.items, block.items[1:], strict=False):
        if _leaves(before):
            message, why = "this step is never reached", "what stands before it ends here"
            report.add("DSL412", message, after.place, None, why, before.place)
            return


def leaves(block: Block) -> bool:
    """Whether nothing after a list of steps is ever run."""
    return any(map(_leaves, block.items))


def _leaves(item: Item) -> bool:
    """Whether nothing after a step is ever run."""
    step = item.step
    if step.if_ is not None:
        return False
    match step:
        case ReturnStep() | BreakStep() | ContinueStep():
            return True
        case RaiseStep():
            return not step.catch
        case WhileStep():
            return step.while_ == "true" and not step.catch and not _breaks(item)
        case DoStep():
            return not step.catch and leaves(next(item.body()))
        case SwitchStep():
            whole = bool(step.switch[-1].else_) and not step.catch
            return whole and all(map(leaves, item.body()))
        case _:
            return False


def _breaks(item: Item) -> bool:
    return any(isinstance(inner.step, BreakStep) for inner in item.walk())


def _clauses(tree: Tree, clauses: list[Catch], owner: Mapping, report: Report) -> None:
    """Reports clauses whose errors one before them takes."""
    if not tree.whole:
        return  # one whose errors cannot be read is no clause for all
    nodes = locate(owner, ("catch",))[0]
    taken: dict[str, int] = {}
    for index, clause in enumerate(clauses):
        node = locate(nodes, (index,))[0]
        known = clause.errors or ["*"]
        by = [taken.get("*", taken.get(type)) for type in known]
        if all(one is not None for one in by):
            first = locate(nodes, (by[0] or 0,))[0]
            message = "this clause is never taken: one before it takes its errors"
            _add("DSL414", message, node, first, report)
        if clause.when is None:
            for type in known:
                taken.setdefault(type, index)


def _cases(step: SwitchStep, owner: Mapping, report: Report) -> None:
    cases = locate(owner, ("switch",))[0]
    for index, case in enumerate(step.switch[:-1]):
        if case.when == "true":
            after, first = locate(cases, (index + 1,))[0], locate(cases, (index,))[0]
            message = "this case is never taken: the one before it is always"
            _add("DSL414", message, after, first, report)
            return


def _add(code: str, message: str, node: Node, first: Node, report: Report) -> None:
    at, there = map(_beginning, (node, first))
    report.add(code, message, at, None, "it is taken here", there)


def _beginning(node: Node) -> Span:
    if isinstance(node, Mapping) and node.entries:
        return node.entries[0].key.span
    return Span(node.span.start, node.span.start + 1)


def _loop(step: WhileStep | UntilStep, item: Item, tree: Tree, report: Report) -> None:
    """Reports a loop that does nothing but turn."""
    source = step.while_ if isinstance(step, WhileStep) else step.until
    syntax, _ = analyse(source)
    if step.max_iterations is not None or syntax is None or not tree.whole or "uuid(" in source:
        return
    inside = [one for block in item.body() for one in block.walk()]
    if any(isinstance(one.step, _WAITS) for one in inside):
        return
    ids = {one.step.id for one in inside}
    changed = {name for one in tree.walk() for name in _sets(one)}
    for path in syntax.reads:
        if path[0] == step.index_as or (path[0] == "steps" and path[1] in ids):
            return
        if path[0] == "vars" and path[1] in changed:
            return
    if source == ("false" if isinstance(step, WhileStep) else "true"):
        return
    report.add(
        "DSL413",
        "this loop cannot end: nothing in it waits, leaves it, or changes what its condition reads",
        item.place,
        "let it wait or act (`sleep`, `wait_signal`, `activity`), or say `max_iterations`",
    )


_WAITS = (
    ActivityStep,
    SleepStep,
    SleepUntilStep,
    WaitSignalStep,
    WaitConditionStep,
    SendSignalStep,
    WorkflowStep,
    BreakStep,
    RaiseStep,
    ReturnStep,
)
"""Steps that wait, or leave a loop."""


def _sets(item: Item) -> Iterator[str]:
    if isinstance(item.step, SetStep):
        yield from item.step.set


def _join(step: JoinStep, item: Item, report: Report) -> None:
    if not isinstance(step.join, int):
        return
    if isinstance(step, ParallelStep):
        count, what = len(step.parallel), "branches"
    elif isinstance(step, ForeachStep) and isinstance(step.foreach, list):
        count, what = len(step.foreach), "items"
    else:
        return
    entry = item.entry("join")
    if step.join > count and entry is not None:
        message = f"{step.join} of {count} {what} can never succeed"
        hint = f"write a number up to {count}, or `all`"
        report.add("DSL415", message, entry.value.span, hint)
