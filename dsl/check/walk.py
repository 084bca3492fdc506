"""The walk over a definition: every expression in its scope, every name against its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from dsl.catalogue import Catalogue
from dsl.check.activities import check_activity
from dsl.check.ids import Ids
from dsl.check.report import Report
from dsl.check.schemas import check_schemas
from dsl.check.scope import Place
from dsl.diagnostics import Diagnostic, did_you_mean
from dsl.expressions import strip_braces
from dsl.model.common import BodyStep, Catch, Model, Retry, StepBase
from dsl.model.definition import Definition
from dsl.model.leaves import Leaf, Role
from dsl.source import Source
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
)
from dsl.syntax import Mapping, Node, Scalar, locate
from dsl.syntax import Sequence as SequenceNode

__all__ = ["check"]

_LATER = frozenset(("output", "collect", "vars", "until", "where"))
"""Fields that do not see what the others of their step see."""
_FIRST = frozenset(("if_", "timeout"))
"""Fields that are evaluated before the step has variables."""


def check(
    definition: Definition, document: Mapping, source: Source, catalogue: Catalogue | None
) -> list[Diagnostic]:
    """Checks a definition whose structure is right.

    Args:
        definition: The definition, as it was bound.
        document: Its nodes.
        source: Its text.
        catalogue: The activities that there are, or None where that is not known.
    """
    return _Checker(definition, document, source, catalogue).check()


class _Checker:
    def __init__(
        self, definition: Definition, document: Mapping, source: Source, catalogue: Catalogue | None
    ) -> None:
        self.definition = definition
        self.document = document
        self.catalogue = catalogue
        self.report = Report(source)
        self.ids = Ids(document, self.report)

    def check(self) -> list[Diagnostic]:
        definition, document = self.definition, self.document
        all_steps = frozenset(self.ids.all)
        place = Place(all_steps, all_steps - self.ids.inner)
        check_schemas(document, self.report)
        self.fields(definition, document, place, frozenset(("output", "vars")))
        place = self.variables(definition.vars, document, place)
        self.steps(definition.steps, self.child(document, "steps"), place)
        self.catches(definition.catch, document, place)
        self.cleanup(definition.finally_, document, place)
        if definition.has("output"):
            self.report.template(
                self.child(document, "output"), place.naming(result="the raw output")
            )
        return self.report.diagnostics

    @staticmethod
    def child(node: Node, key: str | int) -> Node:
        return locate(node, (key,))[0]

    # Steps.

    def steps(self, steps: Sequence[StepBase], node: Node, place: Place) -> None:
        """A sequence: each step sees those before it."""
        for index, step in enumerate(steps):
            self.step(step, cast("Mapping", self.child(node, index)), place)

    def step(self, given: StepBase, node: Mapping, place: Place, alone: bool = False) -> None:
        step = cast("Step", given)  # there are no others
        own = place
        if isinstance(step, BodyStep) and not isinstance(step, ForeachStep):
            own = self.variables(step.vars, node, place)
        for name in _FIRST:
            self.field(step, node, place, name)
        self.fields(step, node, own, _FIRST | _LATER)
        body = own
        if step.retry is not None and not isinstance(step, ActivityStep):
            body = own.naming(attempt="which try this is, from 1")
        self.kind(step, node, body, alone)
        if step.has("output"):
            outer = own.naming(result="the raw output")
            self.report.template(self.child(node, "output"), outer)
        if step.id is not None:
            own.visible.add(step.id)
        self.compensation(step, node, own)
        self.catches(step.catch, node, own)
        self.cleanup(step.finally_, node, own)

    def kind(self, step: Step, node: Mapping, place: Place, alone: bool) -> None:
        match step:
            case ActivityStep():
                self.activity(step, node, alone)
            case DoStep():
                self.steps(step.do, self.child(node, "do"), place)
            case ParallelStep():
                self.parallel(step, node, place)
            case ForeachStep():
                self.foreach(step, node, place)
            case WhileStep() | UntilStep():
                self.loop(step, node, place)
            case SwitchStep():
                self.switch(step, node, place)
            case WaitSignalStep():
                self.wait_signal(step, node, place)
            case SetStep():
                self.set(step, node, place)
            case RollbackStep():
                self.rollback(step, node, place)
            case BreakStep() | ContinueStep():
                entry = node.get(step.kind)
                if entry is not None and not place.looping:
                    message = f"there is no loop here that `{step.kind}` could leave"
                    self.report.add("DSL408", message, entry.key.span)
            case ReturnStep():
                if place.undoing or place.cleaning:
                    where = "a compensation" if place.undoing else "a `finally`"
                    entry = node.get("return")
                    assert entry is not None
                    self.report.add("DSL107", f"`return` cannot stand in {where}", entry.key.span)
            case RaiseStep():
                self.raising(step, node)
            case SleepStep() | SleepUntilStep() | WaitConditionStep() | ValueStep():
                pass

    def activity(self, step: ActivityStep, node: Mapping, alone: bool) -> None:
        entry = node.get("activity")
        assert entry is not None
        if step.id is None and not alone:
            hint = "its id is its name in Temporal's history"
            self.report.add("DSL406", "an activity needs an `id`", entry.key.span, hint)
        if "${" in step.activity:
            if not step.one_of:
                message = "an activity whose name is an expression needs `one_of`"
                self.report.add("DSL102", message, entry.value.span, "one_of: [names]")
        elif step.one_of:
            one_of = node.get("one_of")
            assert one_of is not None
            message = "`one_of` is for an activity whose name is an expression"
            self.report.add("DSL107", message, one_of.key.span)
        elif self.catalogue is not None and step.task_queue is None:
            check_activity(step, node, self.catalogue, self.report)
        if step.local:
            for name in ("task_queue", "heartbeat_timeout", "priority"):
                other = node.get(name)
                if other is not None:
                    message = f"a local activity has no `{name}`"
                    self.report.add("DSL107", message, other.key.span)
        both = node.get("args")
        if step.has("with_") and both is not None:
            self.report.add("DSL107", "`with` and `args` exclude one another", both.key.span)

    def loop(self, step: WhileStep | UntilStep, node: Mapping, place: Place) -> None:
        entry = node.get("index_as")
        if entry is not None and step.index_as in place.names:
            message = f"`{step.index_as}` already has a meaning here"
            self.report.add("DSL407", message, entry.value.span)
        inside = replace(place.apart().naming(**{step.index_as: "the iteration"}), looping=True)
        self.steps(step.do, self.child(node, "do"), inside)
        if isinstance(step, UntilStep):
            self.report.expression(self.child(node, "until"), inside)

    def rollback(self, step: RollbackStep, node: Mapping, place: Place) -> None:
        targets = self.child(node, "rollback")
        if place.undoing:
            entry = node.get("rollback")
            assert entry is not None
            message = "`rollback` cannot stand in a compensation"
            self.report.add("DSL107", message, entry.key.span)
        for index, id in enumerate(step.rollback if isinstance(step.rollback, list) else ()):
            span = self.child(targets, index).span
            if id not in self.ids.all:
                hint = did_you_mean(id, self.ids.all)
                self.report.add("DSL402", f"there is no step `{id}`", span, hint)
            elif id not in place.visible:
                self.report.add("DSL403", f"the step `{id}` cannot be undone from here", span)
            elif id not in self.ids.undoable:
                message = f"the step `{id}` has no `compensate`, and none inside it"
                self.report.add("DSL504", message, span)

    def parallel(self, step: ParallelStep, node: Mapping, place: Place) -> None:
        branches = self.child(node, "parallel")
        seen: set[str] = set()
        for name, steps in step.parallel.items():
            branch = place.apart()
            self.steps(steps, self.child(branches, name), branch)
            seen |= branch.visible
        place.visible.update(seen)

    def foreach(self, step: ForeachStep, node: Mapping, place: Place) -> None:
        for key, name in (("as", step.as_), ("index_as", step.index_as)):
            entry = node.get(key)
            if entry is not None and (
                name in place.names or (key == "index_as" and name == step.as_)
            ):
                self.report.add("DSL407", f"`{name}` already has a meaning here", entry.value.span)
        tolerated = node.get("tolerated_failures")
        if tolerated is not None and step.join not in (None, "all"):
            message = "`tolerated_failures` is for `join: all`"
            hint = "another `join` says itself how many may fail"
            self.report.add("DSL107", message, tolerated.key.span, hint)
        inside = place.apart().naming(**{step.as_: "the item", step.index_as: "its index"})
        inside = replace(self.variables(step.vars, node, inside), looping=True)
        self.steps(step.do, self.child(node, "do"), inside)
        if step.has("collect"):
            self.report.template(self.child(node, "collect"), inside)

    def switch(self, step: SwitchStep, node: Mapping, place: Place) -> None:
        cases = self.child(node, "switch")
        seen: set[str] = set()
        for index, case in enumerate(step.switch):
            inside = place.apart()
            case_node = cast("Mapping", self.child(cases, index))
            self.fields(case, case_node, inside, frozenset())
            body = "else" if case.has("else_") else "do"
            self.steps(case.do or case.else_, self.child(case_node, body), inside)
            seen |= inside.visible
        place.visible.update(seen)

    def wait_signal(self, step: WaitSignalStep, node: Mapping, place: Place) -> None:
        value = self.child(node, "wait_signal")
        names = step.wait_signal if isinstance(step.wait_signal, list) else [step.wait_signal]
        for index, name in enumerate(names):
            if name not in self.definition.signals:
                hint = did_you_mean(name, self.definition.signals) or "declare it under `signals`"
                span = (
                    self.child(value, index).span if isinstance(value, SequenceNode) else value.span
                )
                self.report.add("DSL501", f"the signal `{name}` is not declared", span, hint)
        if step.has("where"):
            inside = place.naming(payload="the payload", signal="the signal's name")
            self.report.expression(self.child(node, "where"), inside)

    def set(self, step: SetStep, node: Mapping, place: Place) -> None:
        for entry in cast("Mapping", self.child(node, "set")).entries:
            if entry.name not in place.variables:
                hint = did_you_mean(entry.name, place.variables) or "declare it under `vars`"
                message = f"the variable `{entry.name}` is not declared"
                self.report.add("DSL405", message, entry.key.span, hint)

    def raising(self, step: RaiseStep, node: Mapping) -> None:
        if strip_braces(step.raise_)[0].strip() == "error" and "${" in step.raise_:
            for name in ("message", "details"):
                entry = node.get(name)
                if entry is not None:
                    message = f"an error that is raised again takes no `{name}`"
                    self.report.add("DSL107", message, entry.key.span)

    # What every step may have.

    def fields(self, model: Model, node: Mapping, place: Place, leave: frozenset[str]) -> None:
        """Checks the expressions that stand directly in a model."""
        for name in type(model).model_fields:
            if name not in leave:
                self.field(model, node, place, name)

    def field(self, model: Model, node: Mapping, place: Place, name: str) -> None:
        """Checks a field of a model, if it is there."""
        if not model.has(name):
            return
        field = type(model).model_fields[name]
        child = self.child(node, field.alias or name)
        value = getattr(model, name)
        if isinstance(value, Retry):
            self.retry(value, cast("Mapping", child), place)
            return
        if isinstance(value, Model):
            self.fields(value, cast("Mapping", child), place, frozenset())
            return
        role = next((m.role for m in field.metadata if isinstance(m, Leaf)), Role.PLAIN)
        if role is Role.EXPRESSION and isinstance(child, Scalar):
            self.report.expression(child, place)
        elif role is not Role.PLAIN or name == "set":
            self.report.template(child, place)

    def retry(self, retry: Retry, node: Mapping, place: Place) -> None:
        self.fields(retry, node, place, frozenset(("when",)))
        if retry.has("when"):
            inside = place.naming(error="the error", attempt="which attempt failed, from 1")
            self.report.expression(self.child(node, "when"), inside)

    def variables(self, variables: dict[str, object], node: Mapping, place: Place) -> Place:
        if not variables:
            return place
        entries = cast("Mapping", self.child(node, "vars"))
        self.report.template(entries, place)
        for entry in entries.entries:
            if entry.name in place.variables:
                message = f"the variable `{entry.name}` is declared round this step already"
                self.report.add("DSL407", message, entry.key.span, "choose another name")
        return place.declaring(variables)

    def catches(self, catches: Sequence[Catch], node: Mapping, place: Place) -> None:
        clauses = self.child(node, "catch")
        inside = place.naming(error="the error")
        for index, clause in enumerate(catches):
            clause_node = cast("Mapping", self.child(clauses, index))
            self.fields(clause, clause_node, inside, frozenset(("output",)))
            if clause.do:
                self.steps(clause.do, self.child(clause_node, "do"), inside)
            if clause.has("output"):
                self.report.template(self.child(clause_node, "output"), inside)

    def cleanup(self, steps: Sequence[StepBase], node: Mapping, place: Place) -> None:
        if steps:
            names = {"error": "the error, or null", "status": "how it ended"}
            inside = replace(place.naming(**names), cleaning=True, looping=False)
            self.steps(steps, self.child(node, "finally"), inside)

    def compensation(self, step: StepBase, step_node: Mapping, place: Place) -> None:
        if not step.compensate:
            return
        entry = step_node.get("compensate")
        assert entry is not None
        if place.undoing:
            message = "a compensation has no compensation of its own"
            self.report.add("DSL107", message, entry.key.span)
            return
        names = {"step": "status, input, output and error of the step", "error": "what happened"}
        inside = replace(place.apart().naming(**names), undoing=True, looping=False)
        if len(step.compensate) == 1:
            node = entry.value if isinstance(entry.value, Mapping) else self.child(entry.value, 0)
            self.step(step.compensate[0], cast("Mapping", node), inside, alone=True)
        else:
            self.steps(step.compensate, entry.value, inside)
