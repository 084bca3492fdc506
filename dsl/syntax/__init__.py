"""YAML text to nodes that know their places."""

from dsl.syntax.compose import MAX_BYTES, MAX_DEPTH, MAX_NODES, compose, decode, read
from dsl.syntax.data import compose_json, to_yaml
from dsl.syntax.nodes import Entry, Mapping, Node, Scalar, Sequence, locate

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Entry",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "compose",
    "compose_json",
    "decode",
    "locate",
    "read",
    "to_yaml",
]
