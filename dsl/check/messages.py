"""Signals that are declared, against those that are waited for."""

from __future__ import annotations

from dsl.check.report import Report
from dsl.check.tree import Tree
from dsl.steps import WaitSignalStep
from dsl.syntax import Mapping

__all__ = ["check_messages"]


def check_messages(tree: Tree, report: Report) -> None:
    """Reports signals that nobody waits for."""
    signals = tree.document.get("signals")
    if not tree.whole or signals is None or not isinstance(signals.value, Mapping):
        return
    awaited: set[str] = set()
    for item in tree.walk():
        if isinstance(item.step, WaitSignalStep):
            given = item.step.wait_signal
            awaited.update(given if isinstance(given, list) else [given])
    if not awaited <= tree.definition.signals.keys():
        return  # a name that is wrong where it is waited for
    for entry in signals.value.entries:
        if entry.name not in awaited and not tree.definition.signals[entry.name].do:
            message = f"nothing waits for the signal `{entry.name}`"
            hint = f"`wait_signal: {entry.name}` takes it, or a `do` of its own; without either it "
            hint += "is kept and never read"
            report.add("DSL505", message, entry.key.span, hint)
