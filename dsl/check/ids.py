"""The ids of steps, wherever steps stand: found on the nodes, before anything is walked."""

from __future__ import annotations

from dsl.check.report import Report
from dsl.syntax import Mapping, Node, Scalar
from dsl.syntax import Sequence as SequenceNode

__all__ = ["MAX_STEPS", "Ids", "count_steps"]

MAX_STEPS = 20_000
"""The most steps of a definition."""


def count_steps(document: Node) -> int:
    """How many steps a document has, at any depth."""
    count = 0
    for steps, _ in _step_lists(document):
        for step in steps if isinstance(steps, SequenceNode) else (steps,):
            count += 1 + count_steps(step)
    return count


class Ids:
    """The ids of a definition.

    Args:
        document: Its nodes.
        report: Where ids that stand twice are reported.

    Attributes:
        all: Where each id is defined.
        inner: Those inside iterations and compensations.
        undoable: Those of steps that can be undone, or have such inside.
    """

    def __init__(self, document: Node, report: Report) -> None:
        self.all: dict[str, Scalar] = {}
        self.inner: set[str] = set()
        self.undoable: set[str] = set()
        self._report = report
        self._collect(document, inner=False)

    def _collect(self, node: Node, inner: bool) -> bool:
        """Finds the ids in a node; says whether there is anything to undo in it."""
        undoable = False
        for steps, within in _step_lists(node):
            for step in steps if isinstance(steps, SequenceNode) else (steps,):
                if not isinstance(step, Mapping):
                    continue
                entry = step.get("id")
                deeper = inner or within
                has_undo = self._collect(step, deeper) or step.get("compensate") is not None
                undoable = undoable or has_undo
                if entry is not None and isinstance(entry.value, Scalar):
                    id = str(entry.value.value)
                    self._add(id, entry.value, deeper)
                    if has_undo:
                        self.undoable.add(id)
        return undoable

    def _add(self, id: str, node: Scalar, inner: bool) -> None:
        first = self.all.get(id)
        if first is node:
            return  # the same step by way of an alias
        if first is not None:
            self._report.add(
                "DSL401",
                f"two steps have the id `{id}`",
                node.span,
                related="first defined here",
                there=first.span,
            )
            return
        self.all[id] = node
        if inner:
            self.inner.add(id)


def _step_lists(node: Node) -> list[tuple[Node, bool]]:
    """The lists of steps directly in a step or a definition, and whether each is an iteration."""
    if not isinstance(node, Mapping):
        return []
    found: list[tuple[Node, bool]] = []
    for entry in node.entries:
        match entry.name:
            case "steps" | "finally":
                found.append((entry.value, False))
            case "do":
                looping = any(node.get(key) for key in ("foreach", "while", "until"))
                found.append((entry.value, looping))
            case "compensate":
                found.append((entry.value, True))
            case "parallel" if isinstance(entry.value, Mapping):
                found += [(branch.value, False) for branch in entry.value.entries]
            case "switch" | "catch" if isinstance(entry.value, SequenceNode):
                for case in entry.value:
                    if isinstance(case, Mapping):
                        found += [
                            (e.value, False) for e in case.entries if e.name in ("do", "else")
                        ]
            case _:
                pass
    return found
