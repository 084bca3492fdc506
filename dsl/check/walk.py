"""The walk over a definition: every expression in its scope, every name against its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from dsl.catalogue import Catalogue
from dsl.check.ids import Ids
from dsl.check.kinds import check_kind, child
from dsl.check.reach import leaves
from dsl.check.report import Report
from dsl.check.scope import MAIN, Condition, Place, Steps
from dsl.check.shapes import type_of
from dsl.check.tree import catches_of
from dsl.expressions import Syntax, Type
from dsl.expressions.infer import ERROR
from dsl.expressions.types import (
    ANY,
    INT,
    NULL,
    STRING,
    Field,
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
    ForeachStep,
    Step,
)
from dsl.syntax import Mapping, Node

__all__ = ["Checker"]

_APART = frozenset(
    (
        *("if_", "timeout", "vars", "output"),
        *("collect", "foreach", "set", "set_search_attributes", "until", "value", "where", "with_"),
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
        body = place.where(Condition(MAIN, "the run may have failed before it"))
        last = self.steps(definition.steps, child(document, "steps"), body)
        self.messages(place)
        self.catches(definition.catch, document, place)
        self.cleanup(definition.finally_, document, place)
        if definition.has("output"):
            self.report.template(child(document, "output"), body.naming({"result": last}))

    # Messages.

    def messages(self, place: Place) -> None:
        """Checks the handlers and queries, which see what the main flow has done so far."""
        definition, document = self.definition, self.document
        place = replace(place.apart(), certain=set(), handling=True)
        looking = replace(place, looking=True)
        for name, signal in definition.signals.items():
            if signal.do:
                node = child(child(document, "signals"), name)
                inside = place.apart().naming({"payload": _payload(signal.payload)})
                self.steps(signal.do, child(node, "do"), inside)
        for name, update in definition.updates.items():
            node = child(child(document, "updates"), name)
            names = {"payload": _payload(update.payload)}
            for index, rule in enumerate(update.validate_):
                at = cast("Mapping", child(child(node, "validate"), index))
                self.fields(rule, at, looking.naming(names), frozenset())
            inside = place.apart().naming(names)
            last = self.steps(update.do, child(node, "do"), inside)
            if update.has("output"):
                ended = inside.naming({"result": last})
                self.report.template(child(node, "output"), ended)
        if definition.queries:
            for query in cast("Mapping", child(document, "queries")).entries:
                self.report.template(query.value, looking)

    # Steps.

    def steps(self, steps: Sequence[StepBase], node: Node, place: Place) -> Type:
        """A sequence: each step sees those before it. Gives the type of the last one's output."""
        last = NULL
        for index, step in enumerate(steps):
            last = self.step(step, cast("Mapping", child(node, index)), place)
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
        raw = check_kind(self, step, node, body, alone)
        found = raw
        if step.has("output"):
            ended = own.where(inside).naming({"result": raw})
            found = self.report.template(child(node, "output"), ended)
        if node in self.holes:
            raw = found = ANY
        for clause in self.catches(step.catch, node, own):
            found = union((found, clause))
        if step.id is not None:
            own.done(step.id, found)
        self.compensation(step, node, own.where(inside), raw)
        self.cleanup(step.finally_, node, own)
        if isinstance(step, BodyStep) and all(map(leaves, catches_of(step.catch, node))):
            outer.certain.add(inside)
        return found

    def condition(self, step: Step, node: Mapping, place: Place) -> Place:
        """The place inside a step: where its `if` is true."""
        if not step.has("if_"):
            return place
        there = child(node, "if")
        _, syntax = self.report.expression(there, place)
        if syntax is None:
            return place
        line = self.report.source.position(there.span.start).line
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
        there = child(node, field.alias or name)
        value = getattr(model, name)
        if isinstance(value, Retry):
            self.retry(value, cast("Mapping", there), place)
            return
        if isinstance(value, Model):
            self.fields(value, cast("Mapping", there), place, frozenset())
            return
        leaf = next((m for m in field.metadata if isinstance(m, Leaf)), None)
        if leaf is None or leaf.role is Role.PLAIN:
            return
        if leaf.role is Role.EXPRESSION:
            self.report.expression(there, place)
        else:
            self.report.template(there, place, _wanted(leaf))

    def retry(self, retry: Retry, node: Mapping, place: Place) -> None:
        self.fields(retry, node, place, frozenset(("when",)))
        if retry.has("when"):
            inside = place.naming({"error": ERROR, "attempt": INT})
            self.report.expression(child(node, "when"), inside, lenient=True)

    def variables(self, variables: dict[str, object], node: Mapping, place: Place) -> Place:
        if not variables:
            return place
        entries = cast("Mapping", child(node, "vars"))
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
        clauses = child(node, "catch")
        inside = place.naming({"error": ERROR})
        found: list[Type] = []
        for index, clause in enumerate(catches):
            clause_node = cast("Mapping", child(clauses, index))
            if clause.has("when"):
                self.report.expression(child(clause_node, "when"), inside, lenient=True)
            caught = Condition(("catch", clause_node), "it runs only after an error")
            clause_place = inside.where(caught)
            last = NULL
            if clause.do:
                last = self.steps(clause.do, child(clause_node, "do"), clause_place)
            if clause.has("output"):
                last = self.report.template(child(clause_node, "output"), clause_place)
            found.append(last)
        return found

    def cleanup(self, steps: Sequence[StepBase], node: Mapping, place: Place) -> None:
        if steps:
            names = {"error": _MAYBE_ERROR, "status": _ENDS}
            inside = replace(place.naming(names), cleaning=True, looping=False)
            self.steps(steps, child(node, "finally"), inside)

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
            node = entry.value if isinstance(entry.value, Mapping) else child(entry.value, 0)
            self.step(step.compensate[0], cast("Mapping", node), inside, alone=True)
        else:
            self.steps(step.compensate, entry.value, inside)


def _payload(schema: dict[str, object] | None) -> Type:
    return ANY if schema is None else type_of(schema)


def _wanted(leaf: Leaf) -> Type | None:
    """What a text that is one expression must give."""
    if leaf is TEXT_TEMPLATE:
        return STRING
    return next((want for known, want in _WANTED if known is leaf), None)
