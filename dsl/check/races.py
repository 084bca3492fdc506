"""Variables that are set by steps that run at the same time: which comes last is open."""

from __future__ import annotations

import json
from collections.abc import Iterable

from dsl.check.report import Report
from dsl.check.tree import Block, Item, Tree
from dsl.model.common import BodyStep
from dsl.steps import ForeachStep, ParallelStep, SetStep
from dsl.syntax import Entry, Mapping

__all__ = ["check_races"]


def check_races(tree: Tree, report: Report) -> None:
    """Reports variables that concurrent steps overwrite."""
    reported: set[Entry] = set()
    for item in tree.walk():
        match item.step:
            case ParallelStep():
                _branches(item, report, reported)
            case ForeachStep() if (item.step.concurrency or 1) > 1:
                _iterations(item, report, reported)
            case _:
                pass


def _branches(item: Item, report: Report, reported: set[Entry]) -> None:
    before: dict[str, list[Entry]] = {}
    for block in item.body():
        for name, entries in _overwritten(block, set()).items():
            first, known = entries[0], before.setdefault(name, [])
            if known and first not in reported and not _same([*known, *entries]):
                reported.add(first)
                message = f"`{name}` is set by branches that run at the same time: the last wins"
                there = known[0].key.span
                report.add("DSL411", message, first.key.span, _HINT, "it is set here too", there)
            known += entries


def _iterations(item: Item, report: Report, reported: set[Entry]) -> None:
    own = set(item.step.vars) if isinstance(item.step, BodyStep) else set[str]()
    for block in item.body():
        for name, entries in _overwritten(block, own).items():
            if entries[0] not in reported and not _same(entries):
                reported.add(entries[0])
                message = f"`{name}` is set by iterations that run at the same time: the last wins"
                report.add("DSL411", message, entries[0].key.span, _HINT)


_HINT = "read it in what it is set to, as in `${ vars.x + 1 }`, or use the outputs of the steps"


def _same(entries: Iterable[Entry]) -> bool:
    """Whether all set the same: a mark that something has happened."""
    values = {json.dumps(entry.value.data()) for entry in entries}
    return len(values) == 1 and "${" not in values.pop()


def _overwritten(block: Block, own: set[str]) -> dict[str, list[Entry]]:
    """Variables of outside that a block sets to what does not depend on what they were."""
    found: dict[str, list[Entry]] = {}
    own = set(own)
    for item in block.walk():
        if isinstance(item.step, BodyStep):
            own |= item.step.vars.keys()
        if isinstance(item.step, SetStep):
            for entry in _entries(item):
                if f"vars.{entry.name}" not in str(entry.value.data()):
                    found.setdefault(entry.name, []).append(entry)
    return {name: entries for name, entries in found.items() if name not in own}


def _entries(item: Item) -> Iterable[Entry]:
    entry = item.entry("set")
    return entry.value.entries if entry is not None and isinstance(entry.value, Mapping) else ()
