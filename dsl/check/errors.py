"""The types of errors that are caught, against those that can be raised."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dsl.check.report import Report
from dsl.check.tree import Item, Tree
from dsl.model.common import Catch
from dsl.steps import ActivityStep, RaiseStep, SendSignalStep, WorkflowStep
from dsl.syntax import Mapping, locate

__all__ = ["check_errors"]

_OURS = ("Timeout", "MaxIterations", "JoinFailed")
_FAULTS = (
    "ExpressionFailed",
    "UnregisteredActivity",
    "InvalidArguments",
    "InvalidResult",
    "UnregisteredSearchAttribute",
    "UnknownDefinition",
    "LimitExceeded",
)
_NEAR = 0.87
"""How much alike two names must be for one to be a slip of the pen."""


def check_errors(tree: Tree, report: Report) -> None:
    """Reports types of errors that nothing raises."""
    if not tree.whole:
        return
    steps = list(tree.walk())
    raised = sorted({type for item in steps for type in _raised(item)})
    fails = tree.definition.on_fault == "fail"
    definition = tree.definition
    if definition.catch:
        # The error of a signal's handler reaches the definition, that of an update's does not.
        blocks = (block for block in tree.blocks if block.role in ("steps", "signal"))
        inside = [item for block in blocks for item in block.walk()]
        timed = definition.timeout is not None
        _clauses(definition.catch, tree.document, inside, timed, raised, fails, report)
    for item in steps:
        if item.step.catch:
            inside = [item, *(one for block in item.body() for one in block.walk())]
            _clauses(item.step.catch, item.node, inside, False, raised, fails, report)


def _clauses(
    clauses: list[Catch],
    owner: Mapping,
    inside: list[Item],
    timed: bool,
    raised: list[str],
    fails: bool,
    report: Report,
) -> None:
    nodes = locate(owner, ("catch",))[0]
    anything = any(map(_may_raise_anything, inside))
    here = {type for item in inside for type in _raised(item)}
    timed = timed or any(item.step.timeout is not None for item in inside)
    for index, clause in enumerate(clauses):
        for place, type in enumerate(clause.errors):
            if type in here:
                continue
            message, hint = f"nothing here raises `{type}`", None
            known = (*_OURS, *(one for one in raised if one != type))
            if type in _FAULTS:
                if fails:
                    continue
                hint = "a fault is no error: it suspends the run, unless the definition says "
                hint += "`on_fault: fail`"
            elif type in _OURS:
                if type != "Timeout" or timed or anything:
                    continue
                hint = "nothing in it has a `timeout`"
            elif anything:
                near = _nearest(type, known)
                if near is None:
                    continue
                hint = f"did you mean `{near}`?"
            elif (near := _nearest(type, known)) is not None:
                hint = f"did you mean `{near}`?"
            node = locate(nodes, (index, "errors", place))[0]
            report.add("DSL506", message, node.span, hint)


def _raised(item: Item) -> Iterable[str]:
    if isinstance(item.step, RaiseStep) and "${" not in item.step.raise_:
        yield item.step.raise_
    if isinstance(item.step, SendSignalStep):
        yield "SignalFailed"
    if isinstance(item.step, WorkflowStep):
        yield "WorkflowAlreadyStarted"


def _may_raise_anything(item: Item) -> bool:
    step = item.step
    acts = isinstance(step, ActivityStep | WorkflowStep)
    return acts or (isinstance(step, RaiseStep) and "${" in step.raise_)


def _nearest(word: str, choices: Iterable[str]) -> str | None:
    """The name that a word is a slip of the pen for."""
    known = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), known, 1, _NEAR)
    return known[found[0]] if found else None
