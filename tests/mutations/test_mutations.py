"""Small mistakes in right definitions: each is reported, or it is a definition all the same.

MUTATIONS sets how many are made of each file; `make soak` makes more, from another seed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsl.diagnostics import CODES
from dsl.loader import Loaded, load_text
from dsl.model.definition import canonical
from dsl.source import Source
from dsl.syntax import compose
from tests.agreement.verdicts import refused_by_the_front_end, refused_by_the_schema

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*/workflow.yaml"))
OTHERS = sorted(ROOT.glob("tests/diagnostics/ok/*.yaml"))[::3]
MUTATIONS = int(os.environ.get("MUTATIONS", "500"))
SEED = int(os.environ.get("MUTATIONS_SEED", "1"))
COMPARED = 5
"""Of so many mutants one is compared with the JSON Schema, which takes ten times as long."""
SECONDS = 1.0
JUNK = "abcxyz_019 \n\t:-#'\"[]{}$!*&|>,.~é\U0001f600\r\\%@`"


def drop(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text))
    return text[:at] + text[at + 1 :]


def insert(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text) + 1)
    return text[:at] + pick.choice(JUNK) + text[at:]


def put(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text))
    return text[:at] + pick.choice(JUNK) + text[at + 1 :]


def swap(pick: random.Random, text: str) -> str:
    at = pick.randrange(len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _lines(pick: random.Random, text: str) -> tuple[list[str], int]:
    lines = text.splitlines(keepends=True)
    return lines, pick.randrange(len(lines))


def drop_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    del lines[at]
    return "".join(lines)


def double_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    lines.insert(at, lines[at])
    return "".join(lines)


def indent(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    lines[at] = "  " + lines[at] if pick.random() < 0.5 else lines[at].removeprefix("  ")
    return "".join(lines)


def move_line(pick: random.Random, text: str) -> str:
    lines, at = _lines(pick, text)
    line = lines.pop(at)
    lines.insert(pick.randrange(len(lines) + 1), line)
    return "".join(lines)


def other_key(pick: random.Random, text: str) -> str:
    """A key of the file in the place of another."""
    lines, at = _lines(pick, text)
    keys = [line.split(":")[0].strip(" -") for line in lines if ":" in line]
    head, colon, rest = lines[at].partition(":")
    lines[at] = head[: len(head) - len(head.lstrip(" -"))] + pick.choice(keys) + colon + rest
    return "".join(lines)


def other_value(pick: random.Random, text: str) -> str:
    """A value of another type in the place of a key's value."""
    lines, at = _lines(pick, text)
    head, colon, _ = lines[at].partition(": ")
    values = ("", "5", "-1", "true", "null", "[]", "{}", "x", "${ input.x }", "1h", "[a, b]")
    if colon:
        lines[at] = f"{head}: {pick.choice(values)}\n"
    return "".join(lines)


MUTATE: tuple[Callable[[random.Random, str], str], ...] = (
    *(drop, insert, put, swap),
    *(drop_line, double_line, indent, move_line, other_key, other_value),
)


def _check(text: str) -> Loaded:
    """What must hold of every text, right or wrong."""
    began = time.process_time()
    loaded = load_text(text)
    seconds = time.process_time() - began
    assert seconds < SECONDS, seconds
    assert [d.order() for d in loaded.diagnostics] == sorted(d.order() for d in loaded.diagnostics)
    for diagnostic in loaded.diagnostics:
        assert diagnostic.code in CODES
        assert diagnostic.message
        spans = [diagnostic.span, *(other.span for other in diagnostic.related)]
        for span in spans:
            assert 0 <= span.start <= span.end <= len(text), diagnostic
            assert diagnostic.source.position(span.start).line >= 1
    for definition in loaded.definitions:
        stored = canonical(definition)
        again = load_text(stored)
        assert again.ok, [d.message for d in again.diagnostics]
        assert [canonical(one) for one in again.definitions] == [stored]
    return loaded


@pytest.mark.parametrize(
    "file", [*EXAMPLES, *OTHERS], ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_a_small_mistake_is_reported_or_none(file: Path) -> None:
    pick = random.Random(f"{SEED} {file.name} {file.parent.name}")
    text = file.read_text()
    known = [canonical(one) for one in load_text(text).definitions]
    assert known
    count = MUTATIONS if file in EXAMPLES else MUTATIONS // 10
    told = changed = 0
    for number in range(count):
        mutant = pick.choice(MUTATE)(pick, text)
        try:
            loaded = _check(mutant)
        except Exception as bug:
            bug.add_note(f"mutant {number} of {file}:\n{mutant}")
            raise
        if loaded.diagnostics:
            told += 1
        elif [canonical(one) for one in loaded.definitions] != known:
            changed += 1
        if number % COMPARED:
            continue
        for document in compose(Source("mutant", mutant))[0]:
            data = document.data()
            front_end, schema = refused_by_the_front_end(data), refused_by_the_schema(data)
            if front_end is not None:
                assert bool(front_end) == bool(schema), (front_end, schema, mutant)
    assert told > count / 4  # most are mistakes; others are in comments and descriptions
    assert changed < count / 2
