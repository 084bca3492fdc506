"""What is special to each kind of step: what its parts see, and the type of its output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast

from dsl.catalogue import Catalogue
from dsl.check.activities import check_activity
from dsl.check.ids import Ids
from dsl.check.report import Report
from dsl.check.scope import Condition, Place
from dsl.check.shapes import type_of
from dsl.check.tree import Item, block_of
from dsl.diagnostics import did_you_mean
from dsl.expressions import Syntax, Type, range_arguments, strip_braces
from dsl.expressions.types import (
    ANY,
    INT,
    NULL,
    STRING,
    Field,
    list_of,
    object_of,
    of,
    one_of,
    union,
)
from dsl.model.common import StepBase
from dsl.model.definition import Definition
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
from dsl.steps.activity import NOT_LOCAL
from dsl.syntax import Mapping, Node, Scalar, locate
from dsl.syntax import Sequence as SequenceNode

__all__ = ["Walk", "check_kind", "child"]


class Walk(Protocol):
    """The walk over a definition that a step is a part of."""

    definition: Definition
    ids: Ids
    catalogue: Catalogue | None
    report: Report

    def steps(self, steps: Sequence[StepBase], node: Node, place: Place) -> Type:
        """Checks a sequence; gives the type of the last one's output."""
        ...

    def variables(self, variables: dict[str, object], node: Mapping, place: Place) -> Place:
        """Checks variables; gives the place that sees them."""
        ...

    def conditions(self, syntax: Syntax, doubt: str, node: Mapping) -> list[Condition]:
        """The conditions that an expression is made of."""
        ...


def child(node: Node, key: str | int) -> Node:
    """What stands under a key or at a place of a node."""
    return locate(node, (key,))[0]


def check_kind(walk: Walk, step: Step, node: Mapping, place: Place, alone: bool) -> Type:
    """What is special to a kind. Gives the type of the output, as the step makes it."""
    match step:
        case ActivityStep():
            return _activity(walk, step, node, place, alone)
        case WorkflowStep():
            return _workflow(walk, step, node, place, alone)
        case DoStep():
            return walk.steps(step.do, child(node, "do"), place)
        case ParallelStep():
            return _parallel(walk, step, node, place)
        case ForeachStep():
            return _foreach(walk, step, node, place)
        case WhileStep() | UntilStep():
            return _loop(walk, step, node, place)
        case SwitchStep():
            return _switch(walk, step, node, place)
        case WaitSignalStep():
            return _wait_signal(walk, step, node, place)
        case SetStep():
            return _set(walk, step, node, place)
        case SendSignalStep():
            _send_signal(walk, step, node)
            return NULL
        case SetSearchAttributesStep():
            _search_attributes(walk, node, place)
            return NULL
        case ValueStep():
            return walk.report.template(child(node, "value"), place)
        case RollbackStep():
            _rollback(walk, step, node, place)
            return NULL
        case BreakStep() | ContinueStep():
            entry = node.get(step.kind)
            if entry is not None and not place.looping:
                message = f"there is no loop here that `{step.kind}` could leave"
                walk.report.add("DSL408", message, entry.key.span)
            return ANY
        case ReturnStep():
            if place.undoing or place.cleaning or place.handling:
                where = "a `finally`" if place.cleaning else "the handler of a message"
                where = "a compensation" if place.undoing else where
                entry = node.get("return")
                assert entry is not None
                walk.report.add("DSL107", f"`return` cannot stand in {where}", entry.key.span)
            return ANY
        case RaiseStep():
            _raising(walk, step, node)
            return ANY
        case SleepStep() | SleepUntilStep() | WaitConditionStep():
            return NULL


def _activity(walk: Walk, step: ActivityStep, node: Mapping, place: Place, alone: bool) -> Type:
    given = None
    if step.has("with_"):
        given = walk.report.template(child(node, "with"), place)
    known = None
    _named(walk, step, "an activity", node, alone)
    if step.one_of or "${" in step.activity:
        pass  # which one it is shows at run time
    elif walk.catalogue is not None and step.task_queue is None:
        check_activity(step, node, given, walk.catalogue, walk.report)
        known = walk.catalogue.get(step.activity)
    if step.local:
        for name in NOT_LOCAL:
            other = node.get(name)
            if other is not None:
                message = f"a local activity has no `{name}`"
                walk.report.add("DSL107", message, other.key.span)
    return type_of(known.result) if known is not None and known.result is not None else ANY


def _workflow(walk: Walk, step: WorkflowStep, node: Mapping, place: Place, alone: bool) -> Type:
    if step.has("with_"):
        walk.report.template(child(node, "with"), place)
    _named(walk, step, "a workflow", node, alone)
    revision = node.get("revision")
    if step.has("args") and revision is not None:
        message = "`args` are for other workflows than definitions: they have no `revision`"
        walk.report.add("DSL107", message, revision.key.span)
    if step.detached:
        return object_of({"workflow_id": Field(STRING), "run_id": Field(STRING)})
    return ANY


def _named(
    walk: Walk, step: ActivityStep | WorkflowStep, what: str, node: Mapping, alone: bool
) -> None:
    """What is the same for a step that names what it runs."""
    entry = node.get(step.kind)
    assert entry is not None
    name = step.activity if isinstance(step, ActivityStep) else step.workflow
    if step.id is None and not alone:
        hint = "its id is its name in Temporal's history"
        walk.report.add("DSL406", f"{what} needs an `id`", entry.key.span, hint)
    if "${" in name:
        if not step.one_of:
            message = f"{what} whose name is an expression needs `one_of`"
            walk.report.add("DSL102", message, entry.value.span, "one_of: [names]")
    elif step.one_of:
        one_of = node.get("one_of")
        assert one_of is not None
        message = f"`one_of` is for {what} whose name is an expression"
        walk.report.add("DSL107", message, one_of.key.span)
    both = node.get("args")
    if step.has("with_") and both is not None:
        walk.report.add("DSL107", "`with` and `args` exclude one another", both.key.span)


def _loop(walk: Walk, step: WhileStep | UntilStep, node: Mapping, place: Place) -> Type:
    entry = node.get("index_as")
    if entry is not None and step.index_as in place.names:
        message = f"`{step.index_as}` already has a meaning here"
        walk.report.add("DSL407", message, entry.value.span)
    inside = replace(place.apart().naming({step.index_as: INT}), looping=True)
    last = walk.steps(step.do, child(node, "do"), inside)
    if isinstance(step, UntilStep):
        for item in block_of("do", step.do, child(node, "do")).walk():
            if _continues(item):  # then its block has not ended
                inside.certain.discard(Condition(("in", item.node), ""))
        walk.report.expression(child(node, "until"), inside)
    return union((last, NULL))


def _continues(item: Item) -> bool:
    """Whether a clause of its `catch` goes on with the next iteration."""
    clauses = (block for block in item.blocks if block.role == "catch")
    return any(isinstance(one.step, ContinueStep) for block in clauses for one in block.walk())


def _rollback(walk: Walk, step: RollbackStep, node: Mapping, place: Place) -> None:
    targets = child(node, "rollback")
    if place.undoing:
        entry = node.get("rollback")
        assert entry is not None
        message = "`rollback` cannot stand in a compensation"
        walk.report.add("DSL107", message, entry.key.span)
    for index, id in enumerate(step.rollback if isinstance(step.rollback, list) else ()):
        span = child(targets, index).span
        if id not in walk.ids.all:
            hint = did_you_mean(id, walk.ids.all)
            walk.report.add("DSL402", f"there is no step `{id}`", span, hint)
        elif id not in place.visible:
            walk.report.add("DSL403", f"the step `{id}` cannot be undone from here", span)
        elif id not in walk.ids.undoable:
            message = f"the step `{id}` has no `compensate`, and none inside it"
            walk.report.add("DSL504", message, span)


def _parallel(walk: Walk, step: ParallelStep, node: Mapping, place: Place) -> Type:
    branches = child(node, "parallel")
    places: list[Place] = []
    fields: dict[str, Field] = {}
    whole = step.join in (None, "all", len(step.parallel))
    for name, steps in step.parallel.items():
        branch = place.apart()
        if not whole:
            branch = branch.where(Condition((node, name), f"the branch `{name}` may be cut off"))
        last = walk.steps(steps, child(branches, name), branch)
        fields[name] = Field(last, required=whole)
        places.append(branch)
    for branch in places:
        place.visible.update(branch.visible)
        place.certain.update(branch.certain)
    return object_of(fields)


def _foreach(walk: Walk, step: ForeachStep, node: Mapping, place: Place) -> Type:
    for key, name in (("as", step.as_), ("index_as", step.index_as)):
        entry = node.get(key)
        if entry is not None and (name in place.names or (key == "index_as" and name == step.as_)):
            walk.report.add("DSL407", f"`{name}` already has a meaning here", entry.value.span)
    tolerated = node.get("tolerated_failures")
    if tolerated is not None and step.join not in (None, "all"):
        message = "`tolerated_failures` is for `join: all`"
        hint = "another `join` says itself how many may fail"
        walk.report.add("DSL107", message, tolerated.key.span, hint)
    for key in ("join", "losers"):
        entry = node.get(key)
        if entry is not None and step.batch is not None:
            message = f"`{key}` cannot stand beside `batch`"
            hint = "a `batch` waits for all its items: remove one of the two"
            walk.report.add("DSL107", message, entry.key.span, hint)
    items = _items(walk, step, child(node, "foreach"), place)
    item = items.items if items.is_only("list") else ANY
    inside = place.apart().naming({step.as_: item, step.index_as: INT})
    inside = replace(walk.variables(step.vars, node, inside), looping=True)
    last = walk.steps(step.do, child(node, "do"), inside)
    if step.has("collect"):
        last = walk.report.template(child(node, "collect"), inside)
    return list_of(union((last, NULL)))


def _items(walk: Walk, step: ForeachStep, node: Node, place: Place) -> Type:
    if isinstance(node, Scalar):
        if step.batch is not None and _plain_range(str(node.value)):
            return list_of(INT)  # it is never made as a whole, so it cannot be too large
        return walk.report.expression(node, place, of("list"))[0]
    return walk.report.template(node, place)


def _plain_range(text: str) -> bool:
    """Whether an expression is `range` of whole numbers that are written out."""
    arguments = range_arguments(strip_braces(text)[0])
    return arguments is not None and all(
        re.fullmatch(r"-?[0-9_]{1,18}", argument) for argument in arguments
    )


def _switch(walk: Walk, step: SwitchStep, node: Mapping, place: Place) -> Type:
    cases = child(node, "switch")
    places: list[Place] = []
    found = [] if step.switch[-1].else_ else [NULL]
    for index, case in enumerate(step.switch):
        inside = place.apart()
        case_node = cast("Mapping", child(cases, index))
        line = walk.report.source.position(case_node.span.start).line
        doubt = f"the case in line {line} may not be taken"
        inside = inside.where(Condition((node, index), doubt))
        if case.has("when"):
            _, syntax = walk.report.expression(child(case_node, "when"), inside)
            if syntax is not None:
                conditions = walk.conditions(syntax, doubt, case_node)
                inside = inside.where(*conditions, facts=syntax.facts())
        body = "else" if case.has("else_") else "do"
        steps = case.do or case.else_
        found.append(walk.steps(steps, child(case_node, body), inside))
        places.append(inside)
    for inside in places:
        place.visible.update(inside.visible)
        place.certain.update(inside.certain)
    return union(found)


def _wait_signal(walk: Walk, step: WaitSignalStep, node: Mapping, place: Place) -> Type:
    value = child(node, "wait_signal")
    names = step.wait_signal if isinstance(step.wait_signal, list) else [step.wait_signal]
    for index, name in enumerate(names):
        declared = walk.definition.signals.get(name)
        span = child(value, index).span if isinstance(value, SequenceNode) else value.span
        if declared is None:
            hint = did_you_mean(name, walk.definition.signals) or "declare it under `signals`"
            walk.report.add("DSL501", f"the signal `{name}` is not declared", span, hint)
        elif declared.do:
            message = f"the signal `{name}` has a handler: it is not kept for a wait"
            hint = "let the handler set a variable, and wait for that with `wait_condition`"
            walk.report.add("DSL508", message, span, hint)
    signals = [walk.definition.signals.get(name) for name in names]
    payload = union(
        ANY if signal is None or signal.payload is None else type_of(signal.payload)
        for signal in signals
    )
    if step.has("where"):
        inside = place.naming({"payload": payload, "signal": one_of(names)})
        walk.report.expression(child(node, "where"), inside)
    found = payload
    if isinstance(step.wait_signal, list):
        found = object_of({"signal": Field(one_of(names)), "payload": Field(payload)})
    return found if step.count is None else list_of(found)


def _set(walk: Walk, step: SetStep, node: Mapping, place: Place) -> Type:
    found = walk.report.template(child(node, "set"), place)
    for entry in cast("Mapping", child(node, "set")).entries:
        if entry.name not in place.variables:
            hint = did_you_mean(entry.name, place.variables) or "declare it under `vars`"
            message = f"the variable `{entry.name}` is not declared"
            walk.report.add("DSL405", message, entry.key.span, hint)
    return found


def _send_signal(walk: Walk, step: SendSignalStep, node: Mapping) -> None:
    """What is sent to the workflow itself must be declared, as where it is waited for."""
    itself = "${" in step.workflow_id and strip_braces(step.workflow_id)[0].strip()
    if itself == "workflow.id" and step.send_signal not in walk.definition.signals:
        hint = did_you_mean(step.send_signal, walk.definition.signals)
        message = f"the signal `{step.send_signal}` is not declared"
        span = child(node, "send_signal").span
        walk.report.add("DSL501", message, span, hint or "declare it under `signals`")


def _search_attributes(walk: Walk, node: Mapping, place: Place) -> None:
    values = child(node, "set_search_attributes")
    found = walk.report.template(values, place)
    for entry in cast("Mapping", values).entries:
        given = found.fields[entry.name].type if entry.name in found.fields else ANY
        texts = given.items if given.is_only("list") else STRING
        if given.is_only("object"):
            message = "a search attribute cannot be an object"
            hint = "it is a text, a number, true or false, a time, or a list of texts"
        elif texts.kinds.isdisjoint(("string",)):
            message = f"a list in a search attribute must be of texts, is of {texts}"
            hint = "`[str(one) for one in ...]` makes texts of other values"
        else:
            continue
        walk.report.add("DSL310", message, entry.value.span, hint)


def _raising(walk: Walk, step: RaiseStep, node: Mapping) -> None:
    if strip_braces(step.raise_)[0].strip() == "error" and "${" in step.raise_:
        for name in ("message", "details"):
            entry = node.get(name)
            if entry is not None:
                message = f"an error that is raised again takes no `{name}`"
                walk.report.add("DSL107", message, entry.key.span)
