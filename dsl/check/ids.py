"""The ids of steps, wherever steps stand: found on the nodes, before anything is walked."""

from __future__ import annotations

from dsl.syntax import Mapping, Node, Scalar
from dsl.syntax import Sequence as SequenceNode

__all__ = ["MAX_STEPS", "Ids", "count_steps"]

_UNDOABLE = ("compensate", "workflow")
"""What a step has that can be undone: a child workflow may say itself how."""
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

    Attributes:
        all: Where each id is defined.
        twice: Ids that stand twice: the id, where it stands again, and where it is defined.
        inner: What those inside iterations, compensations and handlers are inside of.
        undoable: Those of steps that can be undone, or have such inside.
        changing: The variables that a step sets.
    """

    def __init__(self, document: Node) -> None:
        self.all: dict[str, Scalar] = {}
        self.twice: list[tuple[str, Scalar, Scalar]] = []
        self.inner: dict[str, str] = {}
        self.undoable: set[str] = set()
        self.changing: set[str] = set()
        self._collect(document, None)

    def _collect(self, node: Node, inner: str | None) -> bool:
        """Finds the ids in a node; says whether there is anything to undo in it."""
        undoable = False
        owner = _name(node)
        for steps, within in _step_lists(node):
            for step in steps if isinstance(steps, SequenceNode) else (steps,):
                if not isinstance(step, Mapping):
                    continue
                changed = step.get("set")
                if changed is not None and isinstance(changed.value, Mapping):
                    self.changing.update(e.name for e in changed.value.entries)
                entry = step.get("id")
                deeper = f"{within}{owner}" if within else inner
                has_undo = self._collect(step, deeper) or any(map(step.get, _UNDOABLE))
                undoable = undoable or has_undo
                if entry is not None and isinstance(entry.value, Scalar):
                    id = str(entry.value.value)
                    self._add(id, entry.value, deeper)
                    if has_undo:
                        self.undoable.add(id)
        return undoable

    def _add(self, id: str, node: Scalar, inner: str | None) -> None:
        first = self.all.get(id)
        if first is not None:
            self.twice.append((id, node, first))
            return
        self.all[id] = node
        if inner:
            self.inner[id] = inner


def _name(node: Node) -> str:
    entry = node.get("id") if isinstance(node, Mapping) else None
    return f" of `{entry.value.data()}`" if entry is not None else ""


def _handlers(messages: Mapping) -> list[tuple[Node, str | None]]:
    """The lists of steps of the handlers of a definition."""
    found: list[tuple[Node, str | None]] = []
    for message in messages.entries:
        steps = message.value.get("do") if isinstance(message.value, Mapping) else None
        if steps is not None:
            found.append((steps.value, f"the handler of `{message.name}`"))
    return found


def _step_lists(node: Node) -> list[tuple[Node, str | None]]:
    """The lists of steps directly in a step or a definition.

    Returns:
        Each list, and what it is called where its steps are not seen from outside.
    """
    if not isinstance(node, Mapping):
        return []
    found: list[tuple[Node, str | None]] = []
    for entry in node.entries:
        match entry.name:
            case "steps" | "finally":
                found.append((entry.value, None))
            case "do":
                looping = any(node.get(key) for key in ("foreach", "while", "until"))
                found.append((entry.value, "the iterations" if looping else None))
            case "compensate":
                found.append((entry.value, "the compensation"))
            case "signals" | "updates" if isinstance(entry.value, Mapping):
                found += _handlers(entry.value)
            case "parallel" if isinstance(entry.value, Mapping):
                found += [(branch.value, None) for branch in entry.value.entries]
            case "switch" | "catch" if isinstance(entry.value, SequenceNode):
                for case in entry.value:
                    if isinstance(case, Mapping):
                        found += [(e.value, None) for e in case.entries if e.name in ("do", "else")]
            case _:
                pass
    return found
