"""The walk over a definition: every expression in its scope, every name against its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from dsl.catalogue import Catalogue
from dsl.check.activities import check_activity
from dsl.check.ids import Ids
from dsl.check.report import Report
from dsl.check.scope import Condition, Place, Steps
from dsl.check.shapes import type_of
from dsl.diagnostics import did_you_mean
from dsl.expressions import Syntax, Type, strip_braces
from dsl.expressions.infer import ERROR
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
from dsl.model.bind import Bound
from dsl.model.common import BodyStep, Catch, Model, Retry, StepBase
from dsl.model.leaves import DURATION, TEXT_TEMPLATE, TIME, Leaf, Role
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

__all__ = ["Checker"]

_APART = frozenset(
    (
        *("if_", "timeout", "vars", "output"),
        *("collect", "foreach", "set", "until", "value", "where", "with_"),
    )
)
"""Fields of a step that do not see what its others see, or whose type is asked for."""
_WANTED = ((DURATION, of("string", "int", "float")), (TIME, of("string", "int", "float")))
"""What a text that is one expression must give, where it need not be a text."""
_WORKFLOW = object_of(
    {
        "id": Field(STRING),
        "run_id": Field(STRING),
        "type": Field(STRING),
        "revision": Field(ANY),
        "digest": Field(STRING),
        "start_time": Field(STRING),
    }
)
_MAYBE_ERROR = union((ERROR, NULL))
_NULLABLE = frozenset((("step", "output"),))
"""What a compensation reads, and is null where its step did not complete."""
_ENDS = one_of(("completed", "failed", "timed_out", "cancelled"))


class Checker:
    """Walks over a definition once.

    Args:
        bound: The definition, or what could be read of it.
        document: Its nodes, as the author wrote them.
        ids: The ids in them.
        catalogue: The activities that there are, or None where that is not known.
        report: Where mistakes are reported.
    """

    def __init__(
        self,
        bound: Bound,
        document: Mapping,
        ids: Ids,
        catalogue: Catalogue | None,
        report: Report,
    ) -> None:
        assert bound.definition is not None and bound.document is not None
        self.definition = bound.definition
        self.document = bound.document
        self.holes = bound.holes
        self.catalogue = catalogue
        self.report = report
        self.ids = ids
        self.known = Steps(frozenset(ids.all), ids.inner)
        self.changing = ids.changing

    def check(self) -> None:
        """Checks every expression in its scope, every name against its declaration."""
        definition, document = self.definition, self.document
        given = definition.input
        names = {
            "input": ANY if given is None else type_of(given, defaults=True),
            "workflow": _WORKFLOW,
        }
        observable = self.known.all - self.ids.inner.keys()
        options = definition.compensation
        late = options is not None and options.register_ == "after"
        place = Place(self.known, observable, names, late=late)
        self.fields(definition, document, place, frozenset(("output", "vars")))
        place = self.variables(definition.vars, document, place)
        body = place.where(Condition(("in", "definition"), "the run may have failed before it"))
        last = self.steps(definition.steps, self.child(document, "steps"), body)
        self.catches(definition.catch, document, place)
        self.cleanup(definition.finally_, document, place)
        if definition.has("output"):
            self.report.template(self.child(document, "output"), body.naming({"result": last}))

    @staticmethod
    def child(node: Node, key: str | int) -> Node:
        return locate(node, (key,))[0]

    # Steps.

    def steps(self, steps: Sequence[StepBase], node: Node, place: Place) -> Type:
        """A sequence: each step sees those before it. Gives the type of the last one's output."""
        last = NULL
        for index, step in enumerate(steps):
            last = self.step(step, cast("Mapping", self.child(node, index)), place)
        return last

    def step(self, given: StepBase, node: Mapping, place: Place, alone: bool = False) -> Type:
        step = cast("Step", given)  # there are no others
        outer = place
        place = self.condition(step, node, place)
        own = place
        if isinstance(step, BodyStep) and not isinstance(step, ForeachStep):
            own = self.variables(step.vars, node, place)
        self.field(step, node, place, "timeout")
        self.fields(step, node, own, _APART)
        body, inside = own, Condition(("in", node), "an error before it may have been caught")
        if isinstance(step, BodyStep):
            body = body.where(inside)
            if step.compensation is not None and step.compensation.register_ is not None:
                body = replace(body, late=step.compensation.register_ == "after")
        if step.retry is not None and not isinstance(step, ActivityStep):
            body = body.naming({"attempt": INT})
        raw = self.kind(step, node, body, alone)
        found = raw
        if step.has("output"):
            ended = own.where(inside).naming({"result": raw})
            found = self.report.template(self.child(node, "output"), ended)
        if node in self.holes:
            raw = found = ANY
        for clause in self.catches(step.catch, node, own):
            found = union((found, clause))
        if step.id is not None:
            own.done(step.id, found)
        self.compensation(step, node, own.where(inside), raw)
        self.cleanup(step.finally_, node, own)
        if isinstance(step, BodyStep) and not step.catch:
            outer.certain.add(inside)
        return found

    def condition(self, step: Step, node: Mapping, place: Place) -> Place:
        """The place inside a step: where its `if` is true."""
        if not step.has("if_"):
            return place
        child = self.child(node, "if")
        _, syntax = self.report.expression(child, place)
        if syntax is None:
            return place
        line = self.report.source.position(child.span.start).line
        doubt = f"it is skipped where the `if` in line {line} is false"
        return place.where(*self.conditions(syntax, doubt, node), facts=syntax.facts())

    def conditions(self, syntax: Syntax, doubt: str, node: Mapping) -> list[Condition]:
        """The conditions that an `if` is made of.

        The same words mean the same wherever they stand, unless they read what changes.
        """
        texts = syntax.conjuncts()
        changes = any(path[0] == "vars" and path[1] in self.changing for path in syntax.reads)
        if changes or any(call in text for text in texts for call in ("now(", "uuid(")):
            return [Condition(("if", node), doubt)]
        return [Condition(("if", text), doubt) for text in texts]

    def kind(self, step: Step, node: Mapping, place: Place, alone: bool) -> Type:
        """What is special to a kind. Gives the type of the output, as the step makes it."""
        match step:
            case ActivityStep():
                return self.activity(step, node, place, alone)
            case DoStep():
                return self.steps(step.do, self.child(node, "do"), place)
            case ParallelStep():
                return self.parallel(step, node, place)
            case ForeachStep():
                return self.foreach(step, node, place)
            case WhileStep() | UntilStep():
                return self.loop(step, node, place)
            case SwitchStep():
                return self.switch(step, node, place)
            case WaitSignalStep():
                return self.wait_signal(step, node, place)
            case SetStep():
                return self.set(step, node, place)
            case ValueStep():
                return self.report.template(self.child(node, "value"), place)
            case RollbackStep():
                self.rollback(step, node, place)
                return NULL
            case BreakStep() | ContinueStep():
                entry = node.get(step.kind)
                if entry is not None and not place.looping:
                    message = f"there is no loop here that `{step.kind}` could leave"
                    self.report.add("DSL408", message, entry.key.span)
                return ANY
            case ReturnStep():
                if place.undoing or place.cleaning:
                    where = "a compensation" if place.undoing else "a `finally`"
                    entry = node.get("return")
                    assert entry is not None
                    self.report.add("DSL107", f"`return` cannot stand in {where}", entry.key.span)
                return ANY
            case RaiseStep():
                self.raising(step, node)
                return ANY
            case SleepStep() | SleepUntilStep() | WaitConditionStep():
                return NULL

    def activity(self, step: ActivityStep, node: Mapping, place: Place, alone: bool) -> Type:
        given = None
        if step.has("with_"):
            given = self.report.template(self.child(node, "with"), place)
        known = None
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
            check_activity(step, node, given, self.catalogue, self.report)
            known = self.catalogue.get(step.activity)
        if step.local:
            for name in ("task_queue", "heartbeat_timeout", "priority"):
                other = node.get(name)
                if other is not None:
                    message = f"a local activity has no `{name}`"
                    self.report.add("DSL107", message, other.key.span)
        both = node.get("args")
        if step.has("with_") and both is not None:
            self.report.add("DSL107", "`with` and `args` exclude one another", both.key.span)
        return type_of(known.result) if known is not None and known.result is not None else ANY

    def loop(self, step: WhileStep | UntilStep, node: Mapping, place: Place) -> Type:
        entry = node.get("index_as")
        if entry is not None and step.index_as in place.names:
            message = f"`{step.index_as}` already has a meaning here"
            self.report.add("DSL407", message, entry.value.span)
        inside = replace(place.apart().naming({step.index_as: INT}), looping=True)
        last = self.steps(step.do, self.child(node, "do"), inside)
        if isinstance(step, UntilStep):
            self.report.expression(self.child(node, "until"), inside)
        return union((last, NULL))

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

    def parallel(self, step: ParallelStep, node: Mapping, place: Place) -> Type:
        branches = self.child(node, "parallel")
        places: list[Place] = []
        fields: dict[str, Field] = {}
        whole = step.join in (None, "all", len(step.parallel))
        for name, steps in step.parallel.items():
            branch = place.apart()
            if not whole:
                branch = branch.where(
                    Condition((node, name), f"the branch `{name}` may be cut off")
                )
            last = self.steps(steps, self.child(branches, name), branch)
            fields[name] = Field(last, required=whole)
            places.append(branch)
        for branch in places:
            place.visible.update(branch.visible)
            place.certain.update(branch.certain)
        return object_of(fields)

    def foreach(self, step: ForeachStep, node: Mapping, place: Place) -> Type:
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
        items = self.items(self.child(node, "foreach"), place)
        item = items.items if items.is_only("list") else ANY
        inside = place.apart().naming({step.as_: item, step.index_as: INT})
        inside = replace(self.variables(step.vars, node, inside), looping=True)
        last = self.steps(step.do, self.child(node, "do"), inside)
        if step.has("collect"):
            last = self.report.template(self.child(node, "collect"), inside)
        return list_of(union((last, NULL)))

    def items(self, node: Node, place: Place) -> Type:
        if isinstance(node, Scalar):
            return self.report.expression(node, place, of("list"))[0]
        return self.report.template(node, place)

    def switch(self, step: SwitchStep, node: Mapping, place: Place) -> Type:
        cases = self.child(node, "switch")
        places: list[Place] = []
        found = [] if step.switch[-1].else_ else [NULL]
        for index, case in enumerate(step.switch):
            inside = place.apart()
            case_node = cast("Mapping", self.child(cases, index))
            line = self.report.source.position(case_node.span.start).line
            doubt = f"the case in line {line} may not be taken"
            inside = inside.where(Condition((node, index), doubt))
            if case.has("when"):
                _, syntax = self.report.expression(self.child(case_node, "when"), inside)
                if syntax is not None:
                    conditions = self.conditions(syntax, doubt, case_node)
                    inside = inside.where(*conditions, facts=syntax.facts())
            body = "else" if case.has("else_") else "do"
            steps = case.do or case.else_
            found.append(self.steps(steps, self.child(case_node, body), inside))
            places.append(inside)
        for inside in places:
            place.visible.update(inside.visible)
            place.certain.update(inside.certain)
        return union(found)

    def wait_signal(self, step: WaitSignalStep, node: Mapping, place: Place) -> Type:
        value = self.child(node, "wait_signal")
        names = step.wait_signal if isinstance(step.wait_signal, list) else [step.wait_signal]
        for index, name in enumerate(names):
            if name not in self.definition.signals:
                hint = did_you_mean(name, self.definition.signals) or "declare it under `signals`"
                span = (
                    self.child(value, index).span if isinstance(value, SequenceNode) else value.span
                )
                self.report.add("DSL501", f"the signal `{name}` is not declared", span, hint)
        signals = [self.definition.signals.get(name) for name in names]
        payload = union(
            ANY if signal is None or signal.payload is None else type_of(signal.payload)
            for signal in signals
        )
        if step.has("where"):
            inside = place.naming({"payload": payload, "signal": one_of(names)})
            self.report.expression(self.child(node, "where"), inside)
        found = payload
        if isinstance(step.wait_signal, list):
            found = object_of({"signal": Field(one_of(names)), "payload": Field(payload)})
        return found if step.count is None else list_of(found)

    def set(self, step: SetStep, node: Mapping, place: Place) -> Type:
        found = self.report.template(self.child(node, "set"), place)
        for entry in cast("Mapping", self.child(node, "set")).entries:
            if entry.name not in place.variables:
                hint = did_you_mean(entry.name, place.variables) or "declare it under `vars`"
                message = f"the variable `{entry.name}` is not declared"
                self.report.add("DSL405", message, entry.key.span, hint)
        return found

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
        leaf = next((m for m in field.metadata if isinstance(m, Leaf)), None)
        if leaf is None or leaf.role is Role.PLAIN:
            return
        if leaf.role is Role.EXPRESSION:
            self.report.expression(child, place)
        else:
            self.report.template(child, place, _wanted(leaf))

    def retry(self, retry: Retry, node: Mapping, place: Place) -> None:
        self.fields(retry, node, place, frozenset(("when",)))
        if retry.has("when"):
            inside = place.naming({"error": ERROR, "attempt": INT})
            self.report.expression(self.child(node, "when"), inside, lenient=True)

    def variables(self, variables: dict[str, object], node: Mapping, place: Place) -> Place:
        if not variables:
            return place
        entries = cast("Mapping", self.child(node, "vars"))
        found = self.report.template(entries, place)
        for entry in entries.entries:
            if entry.name in place.variables:
                message = f"the variable `{entry.name}` is declared round this step already"
                self.report.add("DSL407", message, entry.key.span, "choose another name")
        types = {name: field.type for name, field in found.fields.items()}
        return place.declaring(
            {name: ANY if name in self.changing else types.get(name, ANY) for name in variables}
        )

    def catches(self, catches: Sequence[Catch], node: Mapping, place: Place) -> list[Type]:
        """Checks the clauses. Gives the types of their outputs."""
        clauses = self.child(node, "catch")
        inside = place.naming({"error": ERROR})
        found: list[Type] = []
        for index, clause in enumerate(catches):
            clause_node = cast("Mapping", self.child(clauses, index))
            if clause.has("when"):
                self.report.expression(self.child(clause_node, "when"), inside, lenient=True)
            caught = Condition(("catch", clause_node), "it runs only after an error")
            clause_place = inside.where(caught)
            last = NULL
            if clause.do:
                last = self.steps(clause.do, self.child(clause_node, "do"), clause_place)
            if clause.has("output"):
                last = self.report.template(self.child(clause_node, "output"), clause_place)
            found.append(last)
        return found

    def cleanup(self, steps: Sequence[StepBase], node: Mapping, place: Place) -> None:
        if steps:
            names = {"error": _MAYBE_ERROR, "status": _ENDS}
            inside = replace(place.naming(names), cleaning=True, looping=False)
            self.steps(steps, self.child(node, "finally"), inside)

    def compensation(self, step: StepBase, step_node: Mapping, place: Place, output: Type) -> None:
        if not step.compensate:
            return
        entry = step_node.get("compensate")
        assert entry is not None
        if place.undoing:
            message = "a compensation has no compensation of its own"
            self.report.add("DSL107", message, entry.key.span)
            return
        about = {
            "status": Field(_ENDS),
            "input": Field(ANY),
            "output": Field(output if place.late else union((output, NULL))),
            "error": Field(_MAYBE_ERROR),
        }
        nullable = frozenset[tuple[str, ...]]() if place.late else _NULLABLE
        names = {"step": object_of(about), "error": _MAYBE_ERROR}
        inside = place.apart().naming(names)
        inside = replace(inside, undoing=True, looping=False, nullable=nullable)
        if len(step.compensate) == 1:
            node = entry.value if isinstance(entry.value, Mapping) else self.child(entry.value, 0)
            self.step(step.compensate[0], cast("Mapping", node), inside, alone=True)
        else:
            self.steps(step.compensate, entry.value, inside)


def _wanted(leaf: Leaf) -> Type | None:
    """What a text that is one expression must give."""
    if leaf is TEXT_TEMPLATE:
        return STRING
    return next((want for known, want in _WANTED if known is leaf), None)
