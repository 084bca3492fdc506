"""Which parts of two lists stand for one another, and which of them moved."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from dsl.difference.tree import Part

__all__ = ["Gone", "Here", "align", "merged"]

Key = Callable[[Part], str]


def align(old: Sequence[Part], new: Sequence[Part], *keys: Key) -> dict[Part, Part]:
    """Finds for the parts of a new list those of the old one that they were.

    Args:
        old: The old list.
        new: The new list.
        keys: What makes two parts alike, the finest first. The next one is used only
            between those that the one before found.

    Returns:
        The old part of each new one that has any. Parts that are alike by any key but the
        last, and stand somewhere else now, are found too.
    """
    pairs = _in_order(old, new, keys)
    for key in keys[:-1]:
        found = set(pairs.values())
        left: dict[str, list[Part]] = {}
        for part in old:
            if part not in found:
                left.setdefault(key(part), []).append(part)
        for part in new:
            if part not in pairs and (alike := left.get(key(part))):
                pairs[part] = alike.pop(0)
    return pairs


def _in_order(old: Sequence[Part], new: Sequence[Part], keys: Sequence[Key]) -> dict[Part, Part]:
    if not (old and new and keys):
        return {}
    key, *others = keys
    before, after = [key(part) for part in old], [key(part) for part in new]
    pairs: dict[Part, Part] = {}
    i = j = 0
    for start, other, size in _blocks(before, after):
        pairs |= _in_order(old[i:start], new[j:other], others)
        i, j = start + size, other + size
        pairs |= zip(new[other:j], old[start:i], strict=True)
    return pairs


def _blocks(old: list[str], new: list[str]) -> list[tuple[int, int, int]]:
    """What two lists share, in order. The same begin and end are found without a search."""
    least = min(len(old), len(new))
    first = 0
    while first < least and old[first] == new[first]:
        first += 1
    last = 0
    while last < least - first and old[-1 - last] == new[-1 - last]:
        last += 1
    end, other = len(old) - last, len(new) - last
    between = SequenceMatcher(None, old[first:end], new[first:other], autojunk=False)
    blocks = [(first + i, first + j, size) for i, j, size in between.get_matching_blocks()]
    return [(0, 0, first), *blocks, (end, other, last)]


@dataclass(frozen=True, slots=True)
class Gone:
    """A part of the old list that is nowhere any more."""

    part: Part


@dataclass(frozen=True, slots=True)
class Here:
    """A part of the new list.

    Args:
        part: The part.
        was: The part that it was, if it is not new.
        stays: Whether it stands where it stood.
        near: Where it stands, by another part of the list.
    """

    part: Part
    was: Part | None
    stays: bool
    near: str


def merged(
    old: Sequence[Part], new: Sequence[Part], was: Mapping[Part, Part]
) -> Iterator[Gone | Here]:
    """The parts of two lists, in the order of the new one.

    Args:
        old: The old list.
        new: The new list.
        was: The old part of each new one that has any, in this list or another.

    Yields:
        What is gone after that after which it stood.
    """
    index = {part: place for place, part in enumerate(old)}
    stay = _in_line([index[was[part]] for part in new if was.get(part) in index])
    found = set(was.values())

    def gone(place: int) -> Iterator[Gone]:
        """What is gone from a place on, up to the next one that stands where it stood."""
        while place < len(old) and place not in stay:
            if old[place] not in found:
                yield Gone(old[place])
            place += 1

    yield from gone(0)
    first = next((part.key for part in new if index.get(was.get(part, part)) in stay), None)
    near = f" before {first}" if first else ""
    for part in new:
        previous = was.get(part)
        place = index.get(previous) if previous else None
        yield Here(part, previous, place in stay, near)
        if place is not None and place in stay:
            yield from gone(place + 1)
        near = f" after {part.key}"


def _in_line(numbers: Sequence[int]) -> set[int]:
    """The most of some different numbers that stand in order: a longest increasing part."""
    ends: list[int] = []  # the last of the best run of each length so far
    before: dict[int, int | None] = {}
    for number in numbers:
        place = bisect_left(ends, number)
        before[number] = ends[place - 1] if place else None
        ends[place : place + 1] = [number]
    found: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found
