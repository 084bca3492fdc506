"""What can be read in a place of a definition, and what is sure there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dsl.expressions import Scope, Type
from dsl.expressions.facts import Facts
from dsl.expressions.types import ANY

__all__ = ["MAIN", "Condition", "Place", "Steps"]

MAIN = ("in", "definition")
"""Identifies the condition that the steps of a definition have run."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must have happened for a step to have run to its end.

    Args:
        key: What identifies it.
        doubt: Why it may not have happened.
    """

    key: tuple[object, ...]
    doubt: str = field(compare=False)


@dataclass(slots=True)
class Steps:
    """The steps of a definition, as far as they were walked.

    Attributes:
        all: Every id.
        inner: What the ids inside iterations, compensations and handlers are inside of.
        outputs: The types of outputs.
        needs: The conditions under which each ran.
    """

    all: frozenset[str]
    inner: Mapping[str, str]
    outputs: dict[str, Type] = field(default_factory=dict[str, Type])
    needs: dict[str, frozenset[Condition]] = field(default_factory=dict[str, frozenset[Condition]])

    def hidden(self, id: str) -> tuple[str, str]:
        """Why a step cannot be read from a place where it is not visible."""
        message = f"the step `{id}` cannot be read here"
        if id in self.inner:
            where = self.inner[id]
            return message, f"it lies in {where}, and is seen only from inside"
        if id in self.needs:
            return message, "it lies in a branch or a case beside this one"
        return message, "it comes later: only steps before this one can be read"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a definition: what expressions see there, and what may stand there.

    Args:
        steps: The steps of the definition.
        observable: Ids outside iterations: their status can be read from anywhere.
        names: The names in scope, with their types.
        variables: The variables in scope, with their types.
        visible: Ids of the steps before it. Grows while a sequence is walked.
        conditions: What must have happened for a run to be here.
        certain: What must have happened besides, once what was walked has ended. Grows as well.
        facts: What the conditions say of what can be read.
        nullable: What is read as an object, and may be null.
        late: Whether steps are registered only once they completed.
        undoing: Whether it is in a compensation.
        cleaning: Whether it is in a `finally`.
        looping: Whether it is in a loop that can be left from here.
        handling: Whether it is in a handler: at any time, whatever the main flow does.
        looking: Whether it must not change anything: a query, or a rule of an update.
    """

    steps: Steps
    observable: frozenset[str]
    names: Mapping[str, Type]
    variables: Mapping[str, Type] = field(default_factory=dict[str, Type])
    visible: set[str] = field(default_factory=set[str])
    conditions: frozenset[Condition] = frozenset()
    certain: set[Condition] = field(default_factory=set[Condition])
    facts: Facts = frozenset()
    nullable: Facts = frozenset()
    late: bool = False
    undoing: bool = False
    cleaning: bool = False
    looping: bool = False
    handling: bool = False
    looking: bool = False

    def scope(self, lenient: bool = False) -> Scope:
        """The scope of an expression here; `lenient` where what is not there is no mistake."""
        steps = self.steps
        return Scope(
            self.names,
            self.variables,
            self.visible,
            steps.all,
            self.observable,
            steps.outputs,
            self.doubt,
            steps.hidden,
            self.facts,
            self.nullable,
            lenient,
            self.looking,
        )

    def doubt(self, id: str, known: Facts) -> str | None:
        """Why a step may have no output here, where some facts are known."""
        missing = self.steps.needs.get(id, frozenset()) - self.conditions - self.certain
        if self.handling and any(need.key == MAIN for need in missing):
            return "it may not have ended at that moment"
        return next((need.doubt for need in missing if need.key not in known), None)

    def naming(self, names: Mapping[str, Type]) -> Place:
        """The same place with more names."""
        return replace(self, names={**self.names, **names})

    def declaring(self, variables: Mapping[str, Type]) -> Place:
        """The same place with more variables."""
        return replace(self, variables={**self.variables, **variables})

    def where(self, *conditions: Condition, facts: Facts = frozenset()) -> Place:
        """The same place, where something is known to have happened."""
        if not conditions and not facts:
            return self
        return replace(self, conditions=self.conditions.union(conditions), facts=self.facts | facts)

    def apart(self) -> Place:
        """A place whose steps are not seen from outside: an iteration, a compensation."""
        return replace(self, visible=set(self.visible), certain=set(self.certain))

    def done(self, id: str, type: Type = ANY) -> None:
        """Notes a step that was walked."""
        self.visible.add(id)
        self.steps.outputs[id] = type
        self.steps.needs[id] = self.conditions
