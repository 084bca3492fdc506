"""What can still be read of a document whose structure is wrong, so that the rest is checked too.

A key with a slip of the pen is taken for the one that was meant; what cannot be read is left
out; a step without what it needs becomes a step that does nothing. Whatever mistakes come of
that are nobody's, and are not reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dsl.diagnostics import closest
from dsl.model.common import BodyStep, StepBase
from dsl.model.definition import Definition
from dsl.source import Source, Span
from dsl.syntax import Entry, Node, Scalar
from dsl.syntax import Mapping as MappingNode
from dsl.syntax import Sequence as SequenceNode

__all__ = ["Repaired", "repair"]

Path: TypeAlias = tuple[str | int, ...]

_ROUNDS = 8
_ALIKE = 0.75
"""How much alike a word and a kind must be for one to be a slip of the pen."""
_STEP_LISTS = frozenset(("steps", "do", "else", "finally", "compensate"))
_LOOPS = frozenset(("foreach", "while", "until"))
_NAMING = frozenset(("as", "index_as"))
"""What gives names to the body of a loop, and is put under its head by mistake."""
_COMMON = frozenset(field.alias or name for name, field in StepBase.model_fields.items())


@dataclass(frozen=True, slots=True)
class Repaired:
    """A document that can be read.

    Args:
        definition: What it is read as.
        document: Its nodes; those that are right are those of the text.
        holes: The steps that do nothing instead of what their author wrote.
    """

    definition: Definition
    document: MappingNode
    holes: frozenset[MappingNode]


def repair(document: MappingNode, source: Source, details: list[ErrorDetails]) -> Repaired | None:
    """Makes a document readable.

    Args:
        document: The document.
        source: Its text.
        details: What is wrong with its structure.

    Returns:
        What can be read of it; None where that is nothing.
    """
    repairs = _Repairs(source)
    node: Node = document
    for _ in range(_ROUNDS):
        node = repairs.apply(node, details)
        assert isinstance(node, MappingNode)
        try:
            definition = Definition.model_validate(node.data())
        except ValidationError as error:
            details = error.errors(include_url=False)
            continue
        return Repaired(definition, node, frozenset(repairs.holes))
    return None


class _Repairs:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.holes: set[MappingNode] = set()
        self.wrong: dict[Path, ErrorDetails] = {}
        self.lacking: set[Path] = set()
        self.touched: set[Path] = set()
        self.renamed: set[Path] = set()
        self.unnamed = 0

    def apply(self, node: Node, details: list[ErrorDetails]) -> Node:
        """A document in which nothing is left of what was wrong."""
        self.wrong.clear()
        for detail in details:
            self.wrong.setdefault(tuple(p for p in detail["loc"] if p != "[key]"), detail)
        missing = (path for path, detail in self.wrong.items() if detail["type"] == "missing")
        self.lacking = {path[:-1] for path in missing}
        self.touched = {path[:end] for path in self.wrong for end in range(len(path) + 1)}
        return self.node(node, (), step=False) or node

    def node(self, node: Node, path: Path, step: bool) -> Node | None:
        """The node without what is wrong in it; None where nothing is left."""
        if path not in self.touched:
            return node
        detail = self.wrong.get(path)
        if path and (detail is not None or path in self.lacking):
            if not step:
                return None
            if not isinstance(node, MappingNode):
                return self.hole(node.span, ())
            return self.step(node, detail)
        if isinstance(node, MappingNode):
            changed = self.mapping(node, path)
            return changed if path else self.completed(changed)
        if isinstance(node, SequenceNode):
            steps = bool(path) and _holds_steps(path)
            given = (self.node(item, (*path, at), steps) for at, item in enumerate(node.items))
            items = tuple(item for item in given if item is not None)
            return replace(node, items=items) if items else None
        return node

    def mapping(self, node: MappingNode, path: Path) -> MappingNode:
        entries: list[Entry] = []
        # A map that stands for a list of one has an index in its path.
        base = (*path, 0) if (*path, 0) in self.touched else path
        for entry in node.entries:
            here = (*base, entry.name)
            detail = self.wrong.get(here)
            if detail is not None and detail["type"] == "unknown_key":
                meant = self.meant(detail, node, here)
                if meant is not None:
                    entries.append(replace(entry, name=meant))
                continue
            value = self.node(entry.value, here, step=entry.name == "compensate")
            if value is None and (entry.name == "id" or entry.name in _LOOPS):
                entries += self.instead(entry, node)
            elif value is not None:
                entries.append(entry if value is entry.value else replace(entry, value=value))
        return replace(node, entries=tuple(entries))

    def instead(self, entry: Entry, owner: MappingNode) -> list[Entry]:
        """What stands for an id that is none, or for the head of a loop whose body is right."""
        if entry.name == "id":
            self.unnamed += 1
            return [self.entry("id", f"unnamed_{self.unnamed}", entry.key.span)]
        found = [self.entry(entry.name, 'from_json("null")', entry.key.span)]
        nested = entry.value.entries if isinstance(entry.value, MappingNode) else ()
        return found + [e for e in nested if e.name in _NAMING and owner.get(e.name) is None]

    def meant(self, detail: ErrorDetails, owner: MappingNode, path: Path) -> str | None:
        """The key that an unknown one was meant to be, the first time it is met."""
        context = cast("Mapping[str, Any]", detail.get("ctx", {}))
        _, found, rest = str(context.get("hint")).partition("did you mean `")
        if not found or path in self.renamed:
            return None
        name = rest.partition("`")[0]
        self.renamed.add((*path[:-1], name))
        return name if owner.get(name) is None else None

    def step(self, node: MappingNode, detail: ErrorDetails | None) -> MappingNode:
        """A step that is wrong as a whole: without a kind, with several, without a key."""
        from dsl.steps import KINDS  # which are made of what `dsl.model` has

        kinds = [kind.kind for kind in KINDS]
        context = detail.get("ctx", {}) if detail is not None else {}
        code = cast("Mapping[str, Any]", context).get("code")
        if code == "DSL104":
            first = next(e.name for e in node.entries if e.name in kinds and e.name != "do")
            others = {kind for kind in kinds if kind not in (first, "do")}
            kept = tuple(entry for entry in node.entries if entry.name not in others)
            return replace(node, entries=kept)
        if code == "DSL103":
            models = (BodyStep, *KINDS)
            fields = (field for model in models for field in model.model_fields.items())
            known = {field.alias or name for name, field in fields}
            for entry in node.entries:
                meant = None if entry.name in known else closest(entry.name, kinds, _ALIKE)
                if meant is not None:
                    others = tuple(e for e in node.entries if e is not entry)
                    return replace(node, entries=(replace(entry, name=meant), *others))
        return self.hole(node.span, node.entries)

    def hole(self, span: Span, entries: tuple[Entry, ...]) -> MappingNode:
        """A step that does nothing, with what every step may have."""
        kept = tuple(entry for entry in entries if entry.name in _COMMON)
        hole = MappingNode((*kept, self.entry("value", None, span)), span, False)
        self.holes.add(hole)
        return hole

    def completed(self, node: MappingNode) -> MappingNode:
        """A definition with what it needs."""
        entries = list(node.entries)
        at = Span(node.span.start, node.span.start)
        for name, value in (("dsl", 1), ("name", "unnamed")):
            if node.get(name) is None:
                entries.append(self.entry(name, value, at))
        if node.get("steps") is None:
            steps = SequenceNode((self.hole(at, ()),), at)
            entries.append(replace(self.entry("steps", None, at), value=steps))
        return node if len(entries) == len(node.entries) else replace(node, entries=tuple(entries))

    def entry(self, name: str, value: Any, span: Span) -> Entry:
        return Entry(
            Scalar(name, span, "", self.source), name, Scalar(value, span, "", self.source)
        )


def _holds_steps(path: Path) -> bool:
    """Whether the list at a path is one of steps."""
    return path[-1] in _STEP_LISTS or (len(path) > 1 and path[-2] == "parallel")
