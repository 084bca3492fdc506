"""What definitions give to one another, where both are read together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from dsl.check.activities import check_arguments
from dsl.check.report import Report
from dsl.check.tree import Item, Tree
from dsl.diagnostics import Diagnostic
from dsl.model.definition import Definition
from dsl.source import Source
from dsl.steps import WorkflowStep
from dsl.syntax import Mapping

__all__ = ["Calls"]


@dataclass
class Calls:
    """The definitions that are read together, and what of them runs others."""

    _inputs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _found: list[tuple[Source, Item]] = field(default_factory=list[tuple[Source, Item]])

    def note(self, definition: Definition, tree: Tree, source: Source) -> None:
        """Notes a definition, and the steps of it that run others."""
        self._inputs[definition.name] = definition.input or {}
        self._found += [
            (source, item) for item in tree.walk() if isinstance(item.step, WorkflowStep)
        ]

    def check(self) -> list[Diagnostic]:
        """What the definitions refuse of what they are given."""
        found: list[Diagnostic] = []
        for source, item in self._found:
            step = cast("WorkflowStep", item.step)
            schema = self._inputs.get(step.workflow)
            # Another revision, or task queue, may take something else.
            elsewhere = step.has("args") or step.has("revision") or step.has("task_queue")
            entry = item.entry("workflow")
            given = item.entry("with")
            if schema is None or entry is None or elsewhere:
                continue
            if given is not None and not isinstance(given.value, Mapping):
                continue
            report = Report(source, {})
            name = f"`{step.workflow}`"
            check_arguments(name, entry.value.span, given, None, schema, report)
            found += report.diagnostics
        return found
