"""libyaml's reader and PyYAML's own: the same nodes in the same places."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsl.source import Source
from dsl.syntax import Mapping, Node, Scalar, compose

TESTS = Path(__file__).parent.parent
TEXTS = [
    'dsl: 1\r\nname: "\U0001f600 a" # é\r\nsteps:\r\n  - value: |\r\n      \U0001f600 ${ x }\r\n'
    "      b\r\n  - a:\r\n    b: >-\r\n      x\r\n      y\r\n",
    " a: [1, {b: }, \U0001f600]\n c:\n\n\n d: 'x\n   y'\n",
    'a:\n- b\n-\n- c:\nd: "\\U0001F600 x"\n',
    *(file.read_bytes().decode("utf-8-sig") for file in sorted(TESTS.rglob("*.yaml"))),
]


def flat(node: Node) -> Any:
    if isinstance(node, Scalar):
        return (node.value, node.span, node.style)
    if isinstance(node, Mapping):
        return [node.span, node.flow, [(flat(e.key), flat(e.value)) for e in node.entries]]
    return [node.span, [flat(item) for item in node]]


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML was built without libyaml")
def test_both_readers_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = [compose(Source("x", text)) for text in TEXTS]
    monkeypatch.setattr(sys.modules[compose.__module__], "_FAST", None)
    for text, (nodes, found) in zip(TEXTS, fast, strict=True):
        again, same = compose(Source("x", text))
        assert [flat(node) for node in nodes] == [flat(node) for node in again], text
        assert [(d.code, d.message, d.span) for d in found] == [
            (d.code, d.message, d.span) for d in same
        ]
