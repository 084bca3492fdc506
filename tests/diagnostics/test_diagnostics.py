"""Golden files: what is said of each wrong definition, and that nothing is said of right ones.

Accept what is printed now with `ACCEPT=1 python -m pytest tests/diagnostics`, then read the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from dsl.catalogue import ActivityType
from dsl.diagnostics import CODES, Diagnostic
from dsl.loader import load
from dsl.model.definition import Definition, canonical
from dsl.source import Source
from dsl.syntax import compose, read

HERE = Path(__file__).parent
ERR = sorted((HERE / "err").glob("*.yaml"))
OK = sorted((HERE / "ok").glob("*.yaml"))
SCHEMA = json.loads((HERE.parent.parent / "schemas" / "workflow.schema.json").read_text())
CATALOGUE = {
    "payments.charge": ActivityType(
        "payments.charge",
        "Charges a card.",
        {
            "type": "object",
            "required": ["order_id", "amount"],
            "additionalProperties": False,
            "properties": {
                "order_id": {"type": "string"},
                "amount": {"type": "number"},
                "tags": {"type": "array"},
            },
        },
        {"type": "object"},
    )
}


def _load(file: Path) -> list[Diagnostic]:
    source, diagnostics = read(file, file.name)
    if source is None:
        return diagnostics
    catalogue = CATALOGUE if file.stem.startswith("activity_") else None
    return load(source, catalogue).diagnostics


def _lines(diagnostic: Diagnostic) -> list[str]:
    underlined = diagnostic.source.text[diagnostic.span.start : diagnostic.span.end]
    lines = [f"{diagnostic.place} {diagnostic.severity} {diagnostic.code} {diagnostic.message}"]
    if underlined:
        lines.append(f"  at: {underlined!r}")
    if diagnostic.hint:
        lines.append(f"  hint: {diagnostic.hint}")
    for other in diagnostic.related:
        position = other.source.position(other.span.start)
        lines.append(f"  {other.message}: {position.line}:{position.column}")
    return lines


@pytest.mark.parametrize("file", ERR, ids=[file.stem for file in ERR])
def test_what_is_wrong_is_said(file: Path) -> None:
    diagnostics = _load(file)
    assert diagnostics, "nothing was found"
    text = "".join(line + "\n" for diagnostic in diagnostics for line in _lines(diagnostic))
    golden = file.with_suffix(".txt")
    if os.environ.get("ACCEPT"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("file", OK, ids=[file.stem for file in OK])
def test_what_is_right_is_accepted_by_both(file: Path) -> None:
    source, _ = read(file)
    assert source is not None
    loaded = load(source)
    assert loaded.diagnostics == []
    validator: Any = Draft202012Validator(SCHEMA, registry=Registry())
    for document in compose(source)[0]:
        assert [error.message for error in validator.iter_errors(document.data())] == []


@pytest.mark.parametrize("file", OK, ids=[file.stem for file in OK])
def test_the_normal_form_is_a_definition_and_stays_as_it_is(file: Path) -> None:
    source, _ = read(file)
    assert source is not None
    for definition in load(source).definitions:
        text = canonical(definition)
        assert canonical(Definition.model_validate(json.loads(text))) == text
        again = load(Source("again", text))
        assert again.diagnostics == []
        assert [canonical(one) for one in again.definitions] == [text]


def test_no_message_speaks_of_our_inside() -> None:
    for file in ERR:
        for diagnostic in _load(file):
            words = f"{diagnostic.message} {diagnostic.hint}"
            for inside in ("pydantic", "NoneType", "dict", " str ", "Traceback", "validator"):
                assert inside not in words, f"{file.name}: {words}"


def test_what_is_said_has_a_code_that_is_known() -> None:
    for file in ERR:
        assert {d.code for d in _load(file)} <= CODES.keys()


def test_the_schema_refuses_what_is_wrong_in_its_structure() -> None:
    validator: Any = Draft202012Validator(SCHEMA, registry=Registry())
    structural = {"DSL101", "DSL102", "DSL103", "DSL105", "DSL201", "DSL202"}
    for file in ERR:
        found = {d.code for d in _load(file)}
        if found and found <= structural:
            documents = compose(Source(file.name, file.read_text()))[0]
            assert any(not validator.is_valid(d.data()) for d in documents), file.name
