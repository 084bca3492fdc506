"""References inside a JSON Schema: where they lead, and whether they ever end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from dsl.syntax import Mapping, Node
from dsl.syntax import Sequence as SequenceNode

__all__ = ["References"]

_ANCHORS = ("$anchor", "$dynamicAnchor")
_LISTS = frozenset(("allOf", "anyOf", "oneOf"))
_SCHEMAS = frozenset(("not", "if", "then", "else"))
"""Keywords whose schemas are for the same value."""


class References:
    """The references of a schema.

    Args:
        root: The schema.
        schemas: It, and all that are in it.
    """

    def __init__(self, root: Mapping, schemas: Iterable[Mapping]) -> None:
        self.root = root
        self.schemas = list(schemas)
        self._values: dict[Mapping, dict[str, Node]] = {}
        found = (self._of(one).get(word) for one in self.schemas for word in _ANCHORS)
        self._anchors = {str(node.data()) for node in found if node is not None}

    def wrong(self, reference: str) -> str | None:
        """What is wrong with a reference."""
        if not reference.startswith("#"):
            return "only references inside the schema (`#...`) are followed"
        first, *names = _names(reference)
        if first:
            known = first in self._anchors
            return None if known else f"there is no `$anchor` named `{first}` in this schema"
        node: Node | None = self.root
        for name in names:
            node = self._child(node, name)
            if node is None:
                return f"there is nothing at `{reference}` in this schema: `{name}` is missing"
        return None

    def endless(self) -> Mapping | None:
        """A schema that leads back to itself, while it is still about the same value."""
        done: set[Mapping] = set()
        for start in self.schemas:
            within = {start}
            walk = [(start, self._in_place(start))]
            while walk:
                schema, others = walk[-1]
                other = next(others, None)
                if other is None:
                    walk.pop()
                    within.discard(schema)
                    done.add(schema)
                elif other in within:
                    return schema
                elif other not in done:
                    within.add(other)
                    walk.append((other, self._in_place(other)))
        return None

    def _in_place(self, schema: Mapping) -> Iterator[Mapping]:
        """The schemas that a value must fit besides, and may."""
        for name, value in self._of(schema).items():
            found: list[Node | None] = []
            if name == "$ref":
                found = [self._target(str(value.data()))]
            elif name in _SCHEMAS:
                found = [value]
            elif name in _LISTS and isinstance(value, SequenceNode):
                found = [*value]
            yield from (node for node in found if isinstance(node, Mapping))

    def _target(self, reference: str) -> Node | None:
        first, *names = _names(reference)
        node: Node | None = None if first else self.root
        for name in names:
            node = self._child(node, name)
        return node

    def _of(self, mapping: Mapping) -> dict[str, Node]:
        """The values of a map by their names."""
        if mapping not in self._values:
            self._values[mapping] = {entry.name: entry.value for entry in mapping.entries}
        return self._values[mapping]

    def _child(self, node: Node | None, name: str) -> Node | None:
        if isinstance(node, SequenceNode):
            known = name.isdecimal() and len(name) < 9 and int(name) < len(node.items)
            return node.items[int(name)] if known else None
        return self._of(node).get(name) if isinstance(node, Mapping) else None


def _names(reference: str) -> list[str]:
    """An anchor, or nothing; and the names of a JSON Pointer."""
    parts = unquote(reference.removeprefix("#")).split("/")
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]
