"""Golden files: what is said of each wrong definition, and that nothing is said of right ones.

Accept what is printed now with `ACCEPT=1 python -m pytest tests/diagnostics`, then read the diff.
A file whose name begins with `activity_` is checked against the activities of `CATALOGUE`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from dsl.catalogue import ActivityType
from dsl.diagnostics import CODES, Diagnostic, has_errors
from dsl.loader import is_normal, load
from dsl.model.definition import Definition, canonical
from dsl.source import Source
from dsl.syntax import MAX_BYTES, compose, read
from tests.diagnostics.support import foreign_words, has_a_place, in_order, underlined

HERE = Path(__file__).parent
ERR = {file.stem: file for file in sorted((HERE / "err").glob("*.yaml"))}
OK = {file.stem: file for file in sorted((HERE / "ok").glob("*.yaml"))}
SCHEMA = json.loads((HERE.parent.parent / "schemas" / "workflow.schema.json").read_text())

ADDRESS = {
    "type": "object",
    "required": ["street"],
    "additionalProperties": False,
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}
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
                "tags": {"type": "array", "items": {"type": "string"}},
                "currency": {"enum": ["EUR", "USD"]},
                "address": {"$ref": "#/$defs/Address"},
            },
            "$defs": {"Address": ADDRESS},
        },
        {
            "type": "object",
            "required": ["receipt", "amount", "state"],
            "additionalProperties": False,
            "properties": {
                "receipt": {"type": "string"},
                "amount": {"type": "number"},
                "state": {"enum": ["paid", "open"]},
                "note": {"type": "string"},
            },
        },
    ),
    "orders.find": ActivityType(
        "orders.find",
        "Finds an order.",
        {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {"id": {"type": "string"}},
        },
        {
            "anyOf": [
                {
                    "type": "object",
                    "required": ["lines"],
                    "properties": {
                        "lines": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["sku", "count"],
                                "properties": {
                                    "sku": {"type": "string"},
                                    "count": {"type": "integer"},
                                },
                            },
                        }
                    },
                },
                {"type": "null"},
            ]
        },
    ),
    "mail.send": ActivityType(
        "mail.send",
        "Sends a mail.",
        {
            "type": "object",
            "required": ["to", "subject"],
            "additionalProperties": True,
            "properties": {"to": {"type": "string"}, "subject": {"type": "string"}},
        },
        {"type": "null"},
    ),
    "anything": ActivityType(
        "anything",
        "",
        {"type": "object", "properties": {}, "required": [], "additionalProperties": True},
        None,
    ),
}


def _load(file: Path) -> list[Diagnostic]:
    source, diagnostics = read(file, file.name)
    if source is None:
        return diagnostics
    catalogue = CATALOGUE if file.stem.startswith("activity_") else None
    return load(source, catalogue).diagnostics


def _lines(diagnostic: Diagnostic) -> list[str]:
    shown = underlined(diagnostic)
    lines = [f"{diagnostic.place} {diagnostic.severity} {diagnostic.code} {diagnostic.message}"]
    if shown:
        lines.append(f"  at: {shown!r}")
    if diagnostic.hint:
        lines.append(f"  hint: {diagnostic.hint}")
    for other in diagnostic.related:
        position = other.source.position(other.span.start)
        lines.append(f"  {other.message}: {position.line}:{position.column}")
    return lines


@pytest.mark.parametrize("name", ERR)
def test_what_is_wrong_is_said(name: str) -> None:
    file = ERR[name]
    diagnostics = _load(file)
    assert diagnostics, "nothing was found"
    text = "".join(line + "\n" for diagnostic in diagnostics for line in _lines(diagnostic))
    golden = file.with_suffix(".txt")
    if os.environ.get("ACCEPT"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_golden_has_its_definition() -> None:
    assert {file.stem for file in (HERE / "err").glob("*.txt")} == ERR.keys()


@pytest.mark.parametrize("name", OK)
def test_what_is_right_is_accepted_by_both(name: str) -> None:
    source, _ = read(OK[name])
    assert source is not None
    assert [line for diagnostic in _load(OK[name]) for line in _lines(diagnostic)] == []
    validator: Any = Draft202012Validator(SCHEMA, registry=Registry())
    for document in compose(source)[0]:
        assert [error.message for error in validator.iter_errors(document.data())] == []


@pytest.mark.parametrize("name", OK)
def test_the_normal_form_is_a_definition_and_stays_as_it_is(name: str) -> None:
    source, _ = read(OK[name])
    assert source is not None
    for definition in load(source).definitions:
        text = canonical(definition)
        assert canonical(Definition.model_validate(json.loads(text))) == text
        again = load(Source("again", text))
        assert not has_errors(again.diagnostics)
        assert is_normal(text)
        assert [canonical(one) for one in again.definitions] == [text]


# What can be said of all that is said.

ALL = {name: _load(file) for name, file in ERR.items()}


def test_every_code_is_said_of_something() -> None:
    """Those of whole files have tests of their own, below."""
    goldens = {diagnostic.code for diagnostics in ALL.values() for diagnostic in diagnostics}
    assert goldens | {"DSL001", "DSL002"} == CODES.keys()


@pytest.mark.parametrize("name", ERR)
def test_it_is_said_in_the_authors_words(name: str) -> None:
    for diagnostic in ALL[name]:
        assert foreign_words(diagnostic) == [], diagnostic.message


@pytest.mark.parametrize("name", ERR)
def test_it_has_a_place_in_the_text(name: str) -> None:
    for diagnostic in ALL[name]:
        assert has_a_place(diagnostic), diagnostic


@pytest.mark.parametrize("name", ERR)
def test_they_stand_in_the_order_of_the_text_and_none_twice(name: str) -> None:
    assert in_order(ALL[name])


NAMED = {
    *("DSL008", "DSL009", "DSL011", "DSL101", "DSL202", "DSL203", "DSL207", "DSL303", "DSL304"),
    *("DSL305", "DSL309", "DSL311", "DSL312", "DSL401", "DSL402", "DSL403", "DSL405", "DSL407"),
    *("DSL408", "DSL409", "DSL411", "DSL501", "DSL502", "DSL504", "DSL505", "DSL506"),
}
"""Codes whose message names what is underlined."""
NOWHERE = ("ends too early", "the expression is empty", "there is no definition", "may not stand")
"""Said of what is not there, or cannot be shown."""


@pytest.mark.parametrize("name", ERR)
def test_what_is_underlined_is_what_it_is_about(name: str) -> None:
    for diagnostic in ALL[name]:
        shown, message = underlined(diagnostic), diagnostic.message
        if any(words in message for words in NOWHERE) or diagnostic.code == "DSL013":
            continue
        assert shown.strip() or shown == "\t", message
        assert "\n" not in shown or diagnostic.code.startswith("DSL3"), message
        quoted = re.findall(r"`([^`]*)`", message)
        if diagnostic.code in NAMED and quoted:
            bare = shown.strip("\"'")
            assert any(word in bare or bare in word for word in quoted), message
        found = re.search(r"^`(\w+)(?:\[\d+\])?` must .*, is (.*)$", message)
        if found is not None:
            assert _tells(shown, *found.groups()), message


def _tells(shown: str, key: str, what: str) -> bool:
    """Whether a key is underlined, or the value that the message says it has."""
    bare = shown.strip("\"' ${}")
    told = re.sub(r'^the (?:text "(.*)"|number (.*))$', r"\1\2", what).rstrip(".")
    return told in shown or bare == key or bare == {"nothing": "null", "empty": ""}.get(what)


# Codes of whole files.


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text("dsl: 1")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    assert _said(tmp_path / "worklow.yaml") == [
        ("DSL001", "there is no such file", "did you mean `workflow.yaml`?")
    ]
    assert _said(tmp_path / "no" / "x.yaml") == [
        ("DSL001", "there is no such file", f"there is no folder {tmp_path / 'no'} either")
    ]
    assert _said(tmp_path) == [("DSL001", "this is a folder, not a file", None)]
    assert _said(tmp_path / "gone.yaml") == [
        ("DSL001", "this is a link to a file that is not there", None)
    ]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"#" * MAX_BYTES)
    assert [code for code, _, _ in _said(file)] == ["DSL005"]
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    message = "the file has 4,194,305 bytes; a definition may have 4,194,304 at most"
    assert _said(file) == [("DSL002", message, None)]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"dsl: 1\nname: \xff\n")
    assert _said(file) == [("DSL003", "this is no text in UTF-8 (byte 13 is none)", None)]
    file.write_bytes("dsl: 1\n".encode("utf-16"))
    assert _said(file) == [("DSL003", "this is no text in UTF-8 (byte 0 is none)", None)]
    file.write_bytes(b"dsl: 1\nname: \0\n")
    assert _said(file) == [("DSL003", "this is no text: it has NUL bytes", None)]


def _said(file: Path) -> list[tuple[str, str, str | None]]:
    return [(one.code, one.message, one.hint) for one in _load(file)]


def test_the_schema_refuses_what_is_wrong_in_its_structure() -> None:
    validator: Any = Draft202012Validator(SCHEMA, registry=Registry())
    structural = {"DSL101", "DSL102", "DSL103", "DSL105", "DSL201", "DSL202"}
    for file in ERR.values():
        found = {d.code for d in _load(file)}
        if found and found <= structural:
            documents = compose(Source(file.name, file.read_text()))[0]
            assert any(not validator.is_valid(d.data()) for d in documents), file.name
