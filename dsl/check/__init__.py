"""Checks of a whole definition: what its parts say to one another."""

from __future__ import annotations

from dsl.catalogue import Catalogue
from dsl.check.batches import check_batches
from dsl.check.calls import Calls
from dsl.check.errors import check_errors
from dsl.check.ids import MAX_STEPS, Ids, count_steps
from dsl.check.messages import check_messages
from dsl.check.races import check_races
from dsl.check.reach import check_reach
from dsl.check.report import Report
from dsl.check.sagas import check_sagas
from dsl.check.schedules import check_schedule
from dsl.check.schemas import check_schemas
from dsl.check.timeouts import check_timeouts
from dsl.check.tree import tree_of
from dsl.check.walk import Checker
from dsl.diagnostics import Diagnostic
from dsl.model.bind import Bound
from dsl.source import Source
from dsl.syntax import Mapping, Node

__all__ = ["MAX_STEPS", "Calls", "check", "count_steps"]

_RULES = (
    check_reach,
    check_races,
    check_batches,
    check_sagas,
    check_errors,
    check_timeouts,
    check_messages,
)


def check(
    bound: Bound,
    document: Node,
    source: Source,
    catalogue: Catalogue | None,
    calls: Calls | None = None,
) -> list[Diagnostic]:
    """Checks a definition, or what could be read of it.

    Args:
        bound: What was read.
        document: Its nodes, as the author wrote them.
        source: Its text.
        catalogue: The activities that there are, or None where that is not known.
        calls: Is told what the definition runs.
    """
    if bound.definition is None or not isinstance(document, Mapping):
        return []
    ids = Ids(document)
    report = Report(source, ids.all)
    for id, again, first in ids.twice:
        message = f"two steps have the id `{id}`"
        if again is first:
            hint = "an alias repeats it: give the copy an `id` of its own"
            report.add("DSL401", message, again.span, hint)
            continue
        report.add("DSL401", message, again.span, None, "first defined here", first.span)
    check_schemas(document, report)
    check_schedule(bound.definition, document, report)
    Checker(bound, document, ids, catalogue, report).check()
    tree = tree_of(bound)
    for rule in _RULES:
        rule(tree, report)
    if calls is not None:
        calls.note(bound.definition, tree, source)
    return report.diagnostics
