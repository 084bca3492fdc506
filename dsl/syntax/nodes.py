"""The tree of a YAML document: plain values that know their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from dsl.source import Source, Span
from dsl.syntax.scalars import offsets

__all__ = ["Entry", "Mapping", "Node", "Scalar", "Sequence", "locate"]


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A single value.

    Args:
        value: What it means by YAML 1.2's core schema.
        span: Its place, quotes or block indicator included.
        style: `""` plain, `'`, `"`, `|` or `>`.
        source: The text it is in.
    """

    value: bool | int | float | str | None
    span: Span
    style: str
    source: Source

    def data(self) -> bool | int | float | str | None:
        """The value without its place."""
        return self.value

    def place(self, start: int, end: int) -> Span:
        """The span in the source of the characters `start` to `end` of a text value."""
        assert isinstance(self.value, str)
        at = _offsets(self)
        first = at[min(start, len(at) - 1)]
        last = at[min(end, len(at) - 1)] if end > start else first
        return Span(self.span.start + first, self.span.start + max(first, last))


@lru_cache(maxsize=4)
def _offsets(scalar: Scalar) -> list[int]:
    """Where the characters of a text stand; kept, as many mistakes may be in one text."""
    assert isinstance(scalar.value, str)
    text = scalar.source.text[scalar.span.start : scalar.span.end]
    return offsets(text, scalar.style, scalar.value)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a mapping and its value."""

    key: Scalar
    name: str
    value: Node


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A map with text keys, in the order of the text, merge keys expanded."""

    entries: tuple[Entry, ...]
    span: Span
    flow: bool

    def data(self) -> dict[str, object]:
        """The value without its places."""
        return {entry.name: entry.value.data() for entry in self.entries}

    def get(self, name: str) -> Entry | None:
        """The entry of a key."""
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    span: Span

    def data(self) -> list[object]:
        """The value without its places."""
        return [item.data() for item in self.items]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)


Node = Scalar | Mapping | Sequence


def locate(node: Node, path: tuple[str | int, ...]) -> tuple[Node, Scalar | None]:
    """Follows `path` as far as it leads.

    Returns:
        The node there, or the nearest one round it, and the key that names it in its mapping.
    """
    key: Scalar | None = None
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str):
            entry = node.get(step)
            if entry is None:
                break
            node, key = entry.value, entry.key
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node, key = node.items[step], None
        elif isinstance(node, Mapping) and step == 0:
            continue  # a single map that stands for a list of one
        else:
            break
    return node, key
