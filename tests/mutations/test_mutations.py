"""Small mistakes in right definitions: each is reported, or it is a definition all the same.

MUTATIONS sets how many are made of each example, and MUTATIONS_SEED which; `make soak` makes more,
from another seed.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsl.diagnostics import Diagnostic
from dsl.loader import Loaded, is_normal, load_text
from dsl.model.definition import canonical
from dsl.source import Source
from dsl.syntax import Mapping, Node, Scalar, compose
from tests.agreement.verdicts import refused_by_the_front_end, refused_by_the_schema
from tests.diagnostics.support import foreign_words, has_a_place, in_order
from tests.mutations.changes import CHANGES

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*/workflow.yaml"))
OTHERS = [
    ROOT / "tests" / "diagnostics" / "ok" / f"{name}.yaml"
    for name in (
        *("activity_used_well", "anchors_everywhere", "catch_output", "comprehensions"),
        *("definition_end", "every_common_key", "every_kind", "guard_has", "json_whole"),
        *(
            "loops_and_exits",
            "messages",
            "names",
            "outputs",
            "polling_loops",
            "races_of_one",
            "saga_guarded",
        ),
        *("schema_keywords", "schema_refs", "signals_of_several_names", "three_definitions"),
        *("times_and_durations", "undone_in_depth", "variables_of_blocks", "yaml_scalars"),
    )
]
MUTATIONS = int(os.environ.get("MUTATIONS", "180"))
SEED = os.environ.get("MUTATIONS_SEED", "1")
COMPARED = 5
"""Of so many mutants one is compared with the JSON Schema, and read by both readers of YAML:
that takes ten times as long as all the rest."""
SECONDS = 1.0


@pytest.mark.parametrize(
    "file", [*EXAMPLES, *OTHERS], ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_a_small_mistake_is_reported_or_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = random.Random(f"{SEED} {file.name} {file.parent.name}")
    text = file.read_text()
    data, known = _data(text), [canonical(one) for one in load_text(text).definitions]
    assert known
    count = MUTATIONS if file in EXAMPLES else max(MUTATIONS // 5, 10)
    told = changed = 0
    for number in range(count):
        mutant = pick.choice(CHANGES)(pick, text)
        try:
            loaded = _load(mutant)
            found = [canonical(one) for one in loaded.definitions]
            if _data(mutant) == data:
                assert (found, loaded.diagnostics) == (known, []), "nothing was changed"
            told += bool(loaded.diagnostics)
            changed += not loaded.diagnostics and found != known
            if number % COMPARED == 0:
                _compare(mutant, loaded.diagnostics)
                _read_twice(mutant, monkeypatch)
        except Exception as bug:
            bug.add_note(f"mutant {number} of {file}:\n{mutant}")
            raise
    assert told > count / 4  # most are mistakes; others are in comments and descriptions
    assert changed < count / 2


def _data(text: str) -> str | None:
    """What a text means, in its order; None where it cannot be read."""
    documents, diagnostics = compose(Source("text", text))
    return None if diagnostics else repr([document.data() for document in documents])


def _load(text: str) -> Loaded:
    """Loads a text; what must hold of every text, right or wrong, does."""
    began = time.process_time()
    loaded = load_text(text)
    seconds = time.process_time() - began
    assert seconds < SECONDS, seconds
    assert in_order(loaded.diagnostics), loaded.diagnostics
    for diagnostic in loaded.diagnostics:
        assert has_a_place(diagnostic), diagnostic
        if diagnostic.code != "DSL205":  # which speaks as the library that checks schemas
            assert foreign_words(diagnostic) == [], diagnostic
    for definition in loaded.definitions:
        stored = canonical(definition)
        again = load_text(stored)
        assert again.ok, [one.message for one in again.diagnostics]
        assert [canonical(one) for one in again.definitions] == [stored]
        assert is_normal(stored)
    return loaded


def _compare(text: str, diagnostics: list[Diagnostic]) -> None:
    """The front end and the JSON Schema agree on the structure of each document."""
    if any(one.code.startswith("DSL0") for one in diagnostics):
        return
    for document in compose(Source("text", text))[0]:
        data = document.data()
        front_end, schema = refused_by_the_front_end(data), refused_by_the_schema(data)
        if front_end is not None:
            assert bool(front_end) == bool(schema), (front_end, schema)


def _read_twice(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml's reader and PyYAML's own give the same nodes in the same places.

    They differ about tabs between words: only libyaml's takes them for white space.
    """
    if not hasattr(yaml, "CSafeLoader") or "\t" in text:
        return
    fast = compose(Source("text", text))
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[compose.__module__], "_FAST", None)
        slow = compose(Source("text", text))
    assert [_flat(one) for one in fast[0]] == [_flat(one) for one in slow[0]]
    assert fast[1] == slow[1]


def _flat(node: Node) -> Any:
    if isinstance(node, Scalar):
        return (node.value, node.span, node.style)
    if isinstance(node, Mapping):
        return [node.span, node.flow, [(_flat(e.key), _flat(e.value)) for e in node.entries]]
    return [node.span, [_flat(item) for item in node]]
