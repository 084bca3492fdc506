"""Mermaid: its text is as it was, nothing in it breaks out of its quotes, the real one reads it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from dsl.graph import Format, State, States, draw
from dsl.graph.build import picture
from dsl.graph.table import rows
from dsl.model.definition import Definition
from tests.graph.support import EVERYTHING, EXAMPLES, NASTY, definitions, known, read

GOLDEN = EVERYTHING.with_suffix(".mmd")
HERE = Path(__file__).parent
LABEL = r'"[^"\n]*"'
LINES = re.compile(
    rf"""
      n\d+ [(\[{{]+ {LABEL} [)\]}}]+ :::look_[a-z_-]+
    | subgraph\ g\d+\[{LABEL}\]
    | end
    | [ng]\d+\ -->(\|{LABEL}\|)?\ [ng]\d+
    | [ng]\d+\ -\.->\ [ng]\d+
    | [ng]\d+\ -\.\ undo\ \.->\ [ng]\d+
    | class\ g\d+\ look_[a-z_-]+
    | classDef\ look_[a-z_-]+\ fill:[#\w]+,stroke:[#\w]+,color:[#\w]+(,stroke-dasharray:5\ 4)?
    """,
    re.VERBOSE,
)
CODES = re.compile("ﬂ°°(\\d+)¶ß")
"""What Mermaid itself makes of `#60;` until it draws."""


def check_lines(text: str) -> None:
    """Checks that a flowchart has no line but those that it should have.

    Raises:
        AssertionError: if it does.
    """
    first, title, third, kind, *lines = text.splitlines()
    assert (first, third, kind) == ("---", "---", "flowchart TD")
    assert re.fullmatch(r'title: "[A-Za-z][\w.-]*"', title)
    for line in lines:
        assert LINES.fullmatch(line.strip()), line
        for label in re.findall(LABEL, line):
            assert not re.search(r"[<>`*\\$&{}\[\]|~]", label.replace("<br/>", "")), line
    opened = sum(line.strip().startswith("subgraph ") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines)


def test_everything_is_as_it_was() -> None:
    again = f"temporal-dsl graph tests/graph/{EVERYTHING.name} --output-file {GOLDEN.name}"
    assert draw(read(EVERYTHING), Format.MERMAID) == GOLDEN.read_text(), again


def test_all_definitions() -> None:
    for definition in known().values():
        check_lines(draw(definition, Format.MERMAID))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(definitions())
def test_random_definitions(definition: Definition) -> None:
    check_lines(draw(definition, Format.MERMAID))


def test_what_means_something_even_as_numbers_is_kept_apart() -> None:
    # The real one reads icons, formulas and line breaks only when it draws.
    step = {"id": "a", "activity": "x", "description": "fa:fa-car $$x$$ a\\nb"}
    definition = Definition.model_validate({"dsl": 1, "name": "x", "steps": [step]})
    wanted = "fa#58;|fa-car #36;|#36;x#36;|#36; a#92;|nb<br/>x"
    assert wanted.replace("|", "\u200b") in draw(definition, Format.MERMAID)


class Mermaid:
    """The real Mermaid, in a process that reads one flowchart after the other."""

    def __init__(self, node: str) -> None:
        self.process = subprocess.Popen(
            [node, "read_mermaid.js"],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def read(self, text: str) -> dict[str, Any]:
        """What it understands."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def mermaid() -> Iterator[Mermaid]:
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "mermaid").is_dir():
        pytest.skip("without Node packages: `npm install --no-package-lock` in tests/graph")
    real = Mermaid(node)
    yield real
    real.process.communicate()


def decoded(text: str) -> str:
    """A text as Mermaid shows it."""
    shown = CODES.sub(lambda found: chr(int(found[1])), text)
    return shown.replace("\u200b", "").replace("<br>", "\n").replace("<br/>", "\n")


def check_understood(mermaid: Mermaid, definition: Definition, states: States | None) -> None:
    """Checks that Mermaid finds the steps of a definition with their texts, and nothing else.

    Raises:
        AssertionError: if it does not.
    """
    text = draw(definition, Format.MERMAID, states)
    seen = mermaid.read(text)
    assert "error" not in seen, seen["error"]
    lines = [line.strip() for line in text.splitlines()]
    # To a subgraph at the end of an edge belongs a node of its name.
    nodes = [node for node in seen["nodes"] if not re.fullmatch(r"g\d+", node["id"])]
    assert len(nodes) == sum(":::" in line for line in lines)
    assert len(seen["edges"]) == sum(bool(re.match(r"[ng]\d+ -", line)) for line in lines)
    assert len(seen["groups"]) == sum(line.startswith("subgraph ") for line in lines)
    assert seen["links"] == 0
    for node in nodes:
        assert re.fullmatch(r"n\d+", node["id"]) and node["labelType"] == "string"
        assert len(node["classes"]) == 1 and node["classes"][0].startswith("look_")
    texts = [decoded(node["text"]) for node in nodes]
    texts += [decoded(group["title"]) for group in seen["groups"]]
    shown = "\n".join(texts)
    for row in rows(picture(definition).body):
        for line in (row.node.title, *row.node.code) if row.node.key else ():
            # White space means nothing there, and the author may write what Mermaid writes.
            wanted = decoded(line if len(line) < 100 else line[:100])
            assert " ".join(wanted.split()) in " ".join(shown.split()), line


def test_the_real_one_reads_the_examples(mermaid: Mermaid) -> None:
    for path in (*EXAMPLES, EVERYTHING):
        check_understood(mermaid, read(path), None)


def test_the_real_one_reads_nasty_texts(mermaid: Mermaid) -> None:
    step = {"id": "a", "activity": "x", "description": "x"}
    for text in NASTY:
        steps = [step | {"description": text, "if": f"{text} == 1"}]
        definition = Definition.model_validate({"dsl": 1, "name": "end", "steps": steps})
        check_understood(mermaid, definition, None)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(definition=definitions())
def test_the_real_one_reads_random_definitions(mermaid: Mermaid, definition: Definition) -> None:
    keys = [row.node.key for row in rows(picture(definition).body)]
    statuses = ("completed", "timed_out", "skipped", "compensation_failed")
    steps = {key: State(statuses[at % 4], "2/3") for at, key in enumerate(keys)}
    check_understood(mermaid, definition, States("run", "running", steps))
