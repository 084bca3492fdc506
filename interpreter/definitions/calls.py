"""Which definitions a definition runs, and with which of their revisions.

`deploy` writes the revision of each into the `workflow` step that does not say one: what was
deployed together runs together, whatever is deployed later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from dsl.model.common import steps_in
from dsl.model.definition import Definition
from dsl.steps import WorkflowStep

__all__ = ["called_by", "in_order", "pinned"]


def called_by(definition: Definition) -> tuple[str, ...]:
    """The names whose revisions are to be written into a definition, sorted.

    Not its own: one that runs itself runs its own revision.
    """
    steps = (step for step in steps_in(definition) if isinstance(step, WorkflowStep))
    names = {step.workflow for step in steps if _is_open(step)}
    return tuple(sorted(names - {definition.name}))


def pinned(definition: Definition, revisions: Mapping[str, int]) -> Definition:
    """A definition with the revisions of those that it runs, as far as they are known."""
    known = {name: revisions[name] for name in called_by(definition) if name in revisions}
    return cast("Definition", _written(definition, known)) if known else definition


def in_order(definitions: Sequence[Definition]) -> list[Definition]:
    """Definitions, each after those that it runs. Of a circle one is the first all the same."""
    known = {one.name: one for one in definitions}
    found: dict[str, Definition] = {}
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name in begun:
            return
        begun.add(name)
        for called in called_by(known[name]):
            if called in known:
                visit(called)
        found[name] = known[name]

    for name in sorted(known):
        visit(name)
    return list(found.values())


def _is_open(step: WorkflowStep) -> bool:
    """Whether it runs a definition, if there is one of that name, and says no revision."""
    named = "${" not in step.workflow
    return named and step.revision is None and not step.has("args")


def _written(part: Any, revisions: Mapping[str, int]) -> Any:
    """A part of the model, with the revisions in its steps."""
    if isinstance(part, dict):
        fields = cast("dict[str, Any]", part)
        return {key: _written(value, revisions) for key, value in fields.items()}
    if isinstance(part, list):
        return [_written(value, revisions) for value in cast("list[Any]", part)]
    if not isinstance(part, BaseModel):
        return part
    changed = {name: _written(getattr(part, name), revisions) for name in part.model_fields_set}
    if isinstance(part, WorkflowStep) and _is_open(part) and part.workflow in revisions:
        changed["revision"] = revisions[part.workflow]
    return part.model_copy(update=changed)
