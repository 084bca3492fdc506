"""Between the tree and what programs hold: JSON to nodes, quick and without places; and YAML."""

from __future__ import annotations

import json
from typing import Any, cast

import yaml

from dsl.source import Source, Span
from dsl.syntax.compose import MAX_DEPTH, MAX_NODES
from dsl.syntax.nodes import Entry, Mapping, Node, Scalar, Sequence

__all__ = ["compose_json", "to_yaml"]

_NOWHERE = Span(0, 0)


def compose_json(source: Source) -> Node | None:
    """The tree of a JSON document; None where it is none, or beyond the limits of a definition."""
    try:
        return _Composer(source).node(json.loads(source.text), 1)
    except (ValueError, RecursionError, OverflowError):
        return None


class _Composer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes = 0

    def node(self, value: Any, depth: int) -> Node:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise ValueError("too large")
        if isinstance(value, dict):
            entries: list[Entry] = []
            for name, item in cast("dict[str, Any]", value).items():
                self.nodes += 1
                key = Scalar(name, _NOWHERE, '"', self.source)
                entries.append(Entry(key, name, self.node(item, depth + 1)))
            return Mapping(tuple(entries), _NOWHERE, True)
        if isinstance(value, list):
            items = [self.node(item, depth + 1) for item in cast("list[Any]", value)]
            return Sequence(tuple(items), _NOWHERE)
        return Scalar(value, _NOWHERE, '"' if isinstance(value, str) else "", self.source)


class _Dumper(yaml.SafeDumper):
    """Writes as people do: no anchors, long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data else None
    return dumper.represent_scalar(  # pyright: ignore[reportUnknownMemberType]
        "tag:yaml.org,2002:str", data, style=style
    )


_Dumper.add_representer(str, _text)


def to_yaml(data: Any) -> str:
    """A JSON value as YAML, in the order of its keys."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
