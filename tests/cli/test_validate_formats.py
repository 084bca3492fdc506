"""The forms of what `validate` prints: for terminals, for GitHub, SARIF."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft4Validator
from rich.cells import cell_len

from dsl.diagnostics import CODES, Diagnostic, Related
from dsl.source import Source, Span
from interpreter.cli import render, reports
from tests.cli.support import PROGRAM, cli, environment

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text())
TWICE = "dsl: 1\nname: x\nsteps:\n  - value: 1\n    value: 2\n"


def at(text: str, place: str, name: str = "a.yaml") -> tuple[Source, Span]:
    """The first place in a text where it says something."""
    start = text.index(place)
    return Source(name, text), Span(start, start + len(place))


def problem(text: str, place: str, message: str = "wrong", **more: Any) -> Diagnostic:
    return Diagnostic("DSL101", message, *at(text, place), **more)


def printed(capsys: pytest.CaptureFixture[str], *found: Diagnostic) -> str:
    render.diagnostics(found)
    return capsys.readouterr().err


def shown(capsys: pytest.CaptureFixture[str], text: str, place: str) -> list[str]:
    """The lines of the excerpt of a place."""
    return printed(capsys, problem(text, place)).splitlines()[1:3]


# --- text


def test_a_problem_with_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    other = Related("first defined here", *at("name: x\n", "x", "other.yaml"))
    found = problem("a: 1\nb: 2\n", "b", hint="write c\n- or d", related=(other,))
    assert printed(capsys, found) == (
        "a.yaml:2:1: error DSL101: wrong\n"
        "  2 | b: 2\n"
        "    | ^\n"
        "  first defined here: other.yaml:1:7\n"
        "  1 | name: x\n"
        "    |       -\n"
        "  hint: write c\n"
        "        - or d\n"
        "\n"
    )


def test_the_number_of_a_line_moves_its_mark(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "\n" * 1233 + "  key: 1\n", "key") == [
        "  1234 |   key: 1",
        "       |   ^^^",
    ]


WIDE = {
    "Chinese": ("漢字: 漢字 # x", "漢字 #"),
    "a tab": ("a:\tb\tc", "b\tc"),
    "an emoji": ("🎉🎉: x", "x"),
    "accents of their own": ("cafe\u0301: e\u0301x", "e\u0301x"),
    "half width": ("ｶﾞ: ﾊﾟ", "ﾊﾟ"),
}


@pytest.mark.parametrize("kind", WIDE)
def test_marks_stand_below_what_they_mark(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    line, place = WIDE[kind]
    above, below = shown(capsys, line + "\n", place)
    assert "\t" not in above + below
    place = place.replace("\t", " " * 4)
    before = above[: above.index(place)]
    assert below == "    | " + " " * (cell_len(before) - 6) + "^" * cell_len(place)


def test_a_place_of_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a:\n  b: 1234\n  c: 2\n\n\nd: 1\n"
    assert shown(capsys, text, "b: 1234\n  c: 2\n\n\n") == [
        "  2 |   b: 1234",
        "    |   ^^^^^^^ to line 3",
    ]
    assert shown(capsys, text, "b: 1234\n  ") == ["  2 |   b: 1234", "    |   ^^^^^^^"]


def test_a_place_at_the_end_of_a_line_or_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    for text, start, number in (("a:\nb", 2, 1), ("a:", 2, 1), ("a:\n", 3, 2), ("a:\r\n", 4, 2)):
        found = Diagnostic("DSL101", "wrong", Source("a.yaml", text), Span(start, start))
        _, above, below, *_ = printed(capsys, found).splitlines()
        line = "a:" if number == 1 else ""
        assert (above, below) == (f"  {number} | {line}", f"    | {' ' * len(line)}^")


@pytest.mark.parametrize("start", [0, 30, 60, 61, 150, 290, 297])
def test_a_long_line_is_cut_round_the_place(capsys: pytest.CaptureFixture[str], start: int) -> None:
    line = "".join(chr(0x100 + n) for n in range(300))
    above, below = shown(capsys, line, line[start : start + 3])
    column = below.index("^")
    assert above[column : column + 3] == line[start : start + 3]
    assert below.count("^") == 3
    text = above[6:]
    assert len(text.strip("…")) == 100
    assert text.startswith("…") == (line[0] not in text)
    assert text.endswith("…") == (line[-1] not in text)


def test_a_long_place_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    line = "a: " + "x" * 10_000
    above, below = shown(capsys, line, "x" * 10_000)
    assert above == f"  1 | a: {'x' * 97}…"
    assert below == f"    |    {'^' * 97}"


STEERING = "\x1b[31m\x07\x08\r\x7f\x9b2J\u2028\u202e\u2066\udc80"


def test_nothing_of_an_author_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"a: {STEERING}b\n"
    other = Related(f"here {STEERING}", *at(text, "b", f"b{STEERING}"))
    source, span = at(text, "b", f"a{STEERING}")
    hint = f"do {STEERING}"
    found = Diagnostic("DSL101", f"no\n{STEERING}", source, span, hint, (other,))
    render.diagnostics([found])
    out = capsys.readouterr().err + "".join(reports.github([found]))
    out += reports.where([found], 1)
    raw = {char for char in out if not char.isprintable()} - {"\n"}
    assert raw == set()
    assert "no␊␛[31m␇␈␍␡" in out
    first = out.splitlines()[1]
    assert "a: ␛[31m" in first and first.endswith("b")


def test_no_colours_where_there_is_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TWICE)
    done = cli("validate", "a.yaml", cwd=tmp_path, env={"TERM": "xterm-256color"})
    assert "\x1b" not in done.err + done.out
    assert done.err.startswith(
        "a.yaml:5:5: error DSL008: the key `value` stands twice\n"
        "  5 |     value: 2\n"
        "    |     ^^^^^\n"
        "  first defined here: a.yaml:4:5\n"
        "  4 |   - value: 1\n"
        "    |     -----\n"
    )


def on_a_terminal(folder: Path, more: Mapping[str, str], *arguments: str) -> str:
    """What the program prints on a terminal."""
    ours, its = pty.openpty()
    env = environment(TERM="xterm-256color")
    env = {name: env[name] for name in env if name not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [PROGRAM, *arguments], cwd=folder, env=env | dict(more), stdout=its, stderr=its
    ):
        os.close(its)
        out = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # it has ended
                break
            if not part:
                break
            out += part
    os.close(ours)
    return out.decode()


def test_colours_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TWICE)
    coloured = on_a_terminal(tmp_path, {}, "validate", "a.yaml")
    assert "\x1b[1;31merror DSL008" in coloured and "\x1b[1;31m^^^^^" in coloured
    assert "\x1b[?25l" not in coloured  # no bar flashes up
    plain = on_a_terminal(tmp_path, {"NO_COLOR": "1"}, "validate", "a.yaml")
    assert "error DSL008" in plain and re.search(r"\x1b\[[0-9;]*3[0-9]", plain) is None
    for output in ("json", "sarif"):
        json.loads(on_a_terminal(tmp_path, {}, "validate", "a.yaml", "-o", output))


# --- GitHub


def command(line: str) -> tuple[str, dict[str, str], str]:
    """A line as GitHub's runner reads it."""
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match is not None, line
    fields = dict(field.split("=", 1) for field in match[2].split(","))
    decoded = {name: _decoded(value, colons=True) for name, value in fields.items()}
    return match[1], decoded, _decoded(match[3], colons=False)


def _decoded(text: str, colons: bool) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), *((("%3A", ":"), ("%2C", ",")) * colons)):
        text = text.replace(code, char)
    return text.replace("%25", "%")


def test_annotations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    other = Related("first, here", *at("100%: x", "x", "b.yaml"))
    name = "50%, a:b\n.yaml"
    source, span = at("a: 1\nb: 2", "b: 2", name)
    found = Diagnostic("DSL101", "100% of a::b,\nwrong", source, span, "a: b\nc", (other,))
    [line] = reports.github([found])
    assert "\n" not in line
    kind, fields, message = command(line)
    assert kind == "error"
    assert fields == {
        "file": name,
        "line": "2",
        "col": "1",
        "endLine": "2",
        "endColumn": "5",
        "title": "DSL101 unknown key",
    }
    place = f"{name}:2:1"
    lines = [f"{place}: 100% of a::b,", "wrong", "first, here: b.yaml:1:7", "hint: a: b", "c"]
    assert message.split("\n") == "\n".join(lines).split("\n")
    assert "file=50%25%2C a%3Ab%0A.yaml,line=2," in line


def test_annotations_of_several_lines_have_no_columns() -> None:
    [line] = reports.github([problem("a: 1\nb: 2\n", "a: 1\nb: 2\n")])
    assert line.startswith("::error file=a.yaml,line=1,endLine=2,title=DSL101 unknown key::")


def test_annotations_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "a.yaml").write_text(TWICE)
    env = {"GITHUB_WORKSPACE": str(tmp_path)}
    for path in ("../a.yaml", tmp_path / "deep" / "a.yaml"):
        done = cli("validate", path, "-o", "github", cwd=tmp_path / "deep" / "er", env=env)
        assert done.code == 2 and done.out.startswith("::error file=deep/a.yaml,line=5,"), done
        assert done.err == f"1 error in {path}\n"
    done = cli("validate", "-", "-o", "github", cwd=tmp_path / "deep", env=env, stdin=b"")
    assert done.out.startswith("::error file=<stdin>,line=1,")
    outside = {"GITHUB_WORKSPACE": str(tmp_path / "deep" / "er")}
    done = cli("validate", "a.yaml", "-o", "github", cwd=tmp_path / "deep", env=outside)
    assert done.out.startswith(f"::error file={tmp_path}/deep/a.yaml,line=5,")


def test_what_is_right_is_not_annotated(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dsl: 1\nname: a\nsteps: [{value: 1}]\n")
    done = cli("validate", "a.yaml", "-o", "github", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "no problems in a\n")


# --- SARIF


def checked(log: Any) -> Any:
    """The run of a log, which must be what the schema says."""
    validator = Draft4Validator(SCHEMA)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(log)] == []
    [run] = log["runs"]
    for uri in re.findall(r'"uri": "(.*?)"', json.dumps(run)):
        assert re.fullmatch(r"[A-Za-z0-9/:._~-]*(%[0-9A-F]{2}[A-Za-z0-9/:._~-]*)*", uri), uri
    return run


def test_the_schema_refuses_what_is_no_sarif() -> None:
    log = reports.sarif([problem("a: 1", "a")])
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    with pytest.raises(AssertionError, match="startLine"):
        checked(log)


def test_sarif(tmp_path: Path) -> None:
    (tmp_path / "f ol").mkdir()
    (tmp_path / "f ol" / "ä%:.yaml").write_text(TWICE)
    (tmp_path / "b.yaml").write_text("dsl: 1\nname: 😀 x\n")
    done = cli("validate", ".", "-o", "sarif", cwd=tmp_path)
    assert (done.code, done.err) == (2, "")
    run = checked(done.json())
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    assert driver["name"] == "temporal-dsl"
    for rule in driver["rules"]:
        code = CODES[rule["id"]]
        assert rule["shortDescription"]["text"] == code.title
        assert len(rule["fullDescription"]["text"]) > 20 and len(rule["help"]["text"]) > 20
        assert rule["defaultConfiguration"]["level"] == code.severity
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert {rule["id"] for rule in driver["rules"]} == {r["ruleId"] for r in run["results"]}
    [result] = [result for result in run["results"] if result["ruleId"] == "DSL008"]
    assert result["level"] == "error"
    assert result["message"]["text"] == "the key `value` stands twice"

    def place(location: Any) -> tuple[str, dict[str, int]]:
        physical = location["physicalLocation"]
        return physical["artifactLocation"]["uri"], physical["region"]

    region = {"startLine": 5, "startColumn": 5, "endLine": 5, "endColumn": 10}
    [location] = result["locations"]
    uri, where = place(location)
    assert (uri, where) == ("f%20ol/%C3%A4%25%3A.yaml", region)
    assert unquote(uri) == "f ol/ä%:.yaml"
    [related] = result["relatedLocations"]
    assert related["message"] == {"text": "first defined here"}
    assert place(related) == (uri, region | {"startLine": 4, "endLine": 4})
    [name] = [r for r in run["results"] if place(r["locations"][0])[1]["startLine"] == 2][:1]
    assert place(name["locations"][0])[1]["endColumn"] == 10  # 😀 is one


def test_sarif_of_nothing_and_of_everything(tmp_path: Path) -> None:
    assert checked(reports.sarif([]))["results"] == []
    source = Source("a.yaml", "a: 1\n")
    every = [Diagnostic(code, f"is {code}", source, Span(0, 1), "do") for code in CODES]
    run = checked(reports.sarif(every))
    assert [result["level"] for result in run["results"]] == [c.severity for c in CODES.values()]
    assert run["results"][0]["message"]["text"] == "is DSL001\nhint: do"
    assert {result["level"] for result in checked(reports.sarif(every, True))["results"]} == {
        "error"
    }


def test_sarif_of_what_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "a b.yaml").write_text(TWICE)
    done = cli("validate", "../a b.yaml", "missing.yaml", "-o", "sarif", cwd=tmp_path / "here")
    results = checked(done.json())["results"]
    uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    assert uris == [(tmp_path / "a b.yaml").as_uri(), "missing.yaml"]
