"""`explain`: what a code means, for people and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl.diagnostics import CODES
from tests.cli.support import cli

SAID = """\
DSL101 error: unknown key

The key means nothing in this place. Unknown keys are never ignored: a retry
that is misspelt would otherwise be no retry at all, and you would learn it from
a production incident.

wrong:
  - id: charge
    activity: payments.charge
    timout: 30s

right:
  - id: charge
    activity: payments.charge
    timeout: 30s
"""


@pytest.mark.parametrize("code", ["DSL101", "dsl101"])
def test_it_says_why_and_shows_it(code: str, tmp_path: Path) -> None:
    done = cli("explain", code, cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, SAID, "")


def test_what_has_no_example_says_what_to_do(tmp_path: Path) -> None:
    done = cli("explain", "DSL001", cwd=tmp_path)
    assert done.code == 0
    first, why, fix = done.out.split("\n\n")
    assert first == "DSL001 error: the file cannot be read"
    assert "no file" in why and "Check the path" in fix


def test_it_shows_the_activities_of_an_example(tmp_path: Path) -> None:
    done = cli("explain", "DSL502", cwd=tmp_path)
    assert '\nwith the activities:\n  @activity.defn(name="payments.charge")\n' in done.out


def test_for_programs(tmp_path: Path) -> None:
    done = cli("explain", "DSL101", "-o", "json", cwd=tmp_path)
    document = done.json()
    assert {name: document[name] for name in ("id", "severity", "title", "fix")} == {
        "id": "DSL101",
        "severity": "error",
        "title": "unknown key",
        "fix": None,
    }
    assert "timout: 30s" in document["wrong"] and "timeout: 30s" in document["right"]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("DLS101", "did you mean `DSL101`?"),
        ("E0425", f"codes go from {min(CODES)} to {max(CODES)}"),
        ("", f"codes go from {min(CODES)} to {max(CODES)}"),
    ],
)
def test_a_code_that_is_none(code: str, hint: str, tmp_path: Path) -> None:
    done = cli("explain", code, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: there is no code `{code}`\n  hint: {hint}\n"
    programs = cli("-o", "json", "explain", code, cwd=tmp_path)
    assert programs.code == 2
    assert programs.json()["error"]["hint"] == hint


def test_without_a_code(tmp_path: Path) -> None:
    done = cli("explain", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "missing argument 'CODE'" in done.err
