"""Definitions as plain data, right and wrong: all that the tests of the project have."""

from __future__ import annotations

import functools
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dsl.source import Source
from dsl.steps import KINDS
from dsl.syntax import compose
from tests.support.conformance import read_cases

__all__ = ["documents"]

_ROOT = Path(__file__).parents[2]
_HEAD = {"dsl": 1, "name": "sample"}


def _of_text(name: str, text: str) -> Iterator[tuple[str, Any]]:
    documents, _ = compose(Source(name, text))
    for number, document in enumerate(documents):
        yield f"{name}:{number}", document.data()


def _of_files(*patterns: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        for file in sorted(_ROOT.glob(pattern)):
            yield from _of_text(str(file.relative_to(_ROOT)), file.read_text(errors="replace"))


def _of_cases() -> Iterator[tuple[str, Any]]:
    for case in read_cases(_ROOT / "tests" / "conformance"):
        yield case.id, _HEAD | case.data["definition"]
        for number, other in enumerate(case.data.get("more", [])):
            yield f"{case.id}:{number}", other


def _of_kinds() -> Iterator[tuple[str, Any]]:
    """The examples of the reference: steps, or a definition without its head."""
    for kind in KINDS:
        for name, data in _of_text(kind.__name__, textwrap.dedent(kind.example)):
            yield name, _HEAD | ({"steps": data} if isinstance(data, list) else data)


@functools.cache
def documents() -> dict[str, Any]:
    """Every document by its name, each once."""
    found = [
        *_of_files("tests/diagnostics/ok/*.yaml", "tests/diagnostics/err/*.yaml"),
        *_of_files("examples/*/workflow.yaml"),
        *_of_kinds(),
        *_of_cases(),
    ]
    different: dict[str, str] = {}
    for name, data in found:
        different.setdefault(json.dumps(data), name)
    # Read again: what an alias stands for is there twice, so that one can be changed.
    return {name: json.loads(text) for text, name in different.items()}
