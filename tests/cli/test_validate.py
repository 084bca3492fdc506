"""`validate`: which files it reads, how it counts, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dsl import diagnostics
from dsl.diagnostics import Code, Severity
from interpreter.cli import app
from interpreter.cli.options import hoist
from tests.cli.support import PROGRAM, ROOT, Done, cli, environment
from tests.cli.test_bad_input import unprivileged

COMPOSE = "services:\n  web: {image: nginx}\n"
TEST = "workflow: ./a.yaml\ntests:\n  - name: works\n    input: {}\n"
KUBERNETES = """\
apiVersion: v1
kind: ConfigMap
data:
  a.yaml: |
    dsl: 1
    name: inside
---
apiVersion: v1
kind: Service
"""
CLOUDFORMATION = "Resources:\n  Topic: !Ref dsl\n"


def text(name: str, value: str = "1") -> str:
    return f"dsl: 1\nname: {name}\nsteps:\n  - value: {value}\n"


def put(folder: Path, **files: str) -> None:
    """Writes files, named by their paths with `__` for `/`, and .yaml where there is no ending."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path = path if path.suffix else path.with_suffix(".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@dataclass
class Here:
    """A folder, and the program in it, run inside this process: quicker, and the same.

    Not with activities: the program keeps what they print apart, for as long as it runs.
    """

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path) -> Done:
        """Runs `temporal-dsl`."""
        code = app._main(hoist(list(map(str, arguments))))
        printed = self.capsys.readouterr()
        return Done(code, printed.out, printed.err, 0, 0)

    def found(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        """What `validate -o json` gives."""
        done = self.run("validate", *arguments, "-o", "json")
        assert (done.code, done.err) == (code, ""), done
        return done.json()


@pytest.fixture
def here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Here:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    return Here(tmp_path, capsys)


# --- folders


def test_a_folder_is_read_with_all_below_it(here: Here) -> None:
    others = {"c.yml": text("c"), "d.txt": "dsl: 1\n"}
    put(here.folder, a=text("a"), deep__er__b=text("b"), **others)
    document = here.found(".")
    assert sorted(document["definitions"]) == ["a", "b", "c"]
    assert document["skipped"] == []
    assert here.run("validate", ".").err == "no problems in a, c, b\n"


FOREIGN = {
    "compose.yaml": COMPOSE,
    "a.test.yaml": TEST,
    "k8s.yaml": KUBERNETES,
    "cloud.yaml": CLOUDFORMATION,
    "empty.yaml": "",
    "list.yaml": "- dsl: 1\n",
    "number.yaml": "1\n",
    "uri.yaml": "dsl:8080\n",
    "broken.yaml": "a: [\n",
    "broken2.yaml": "{{ template }}\n  dsl: 1\n",
    "inside.yaml": 'a:\n  - "\n\n    dsl: 1"\n',
    "other.yaml": "dsl.name: x\ndslx: 1\n",
    "tagged.yaml": "a: !!python/object:dsl 1\n",
    "large.yaml": "# " + "x" * 5_000_000 + "\na: dsl\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_definition_is_skipped_in_a_folder(here: Here, name: str) -> None:
    put(here.folder, good=text("good"), **{name: FOREIGN[name]})
    document = here.found(".")
    assert (document["definitions"], document["skipped"]) == (["good"], [name])
    shown = here.run("validate", ".")
    assert (shown.code, shown.err) == (0, "no problems in good, 1 other file skipped\n")
    here.found(name, code=2)  # named, it must be one


def test_bytes_that_are_no_text_are_skipped_in_a_folder(here: Here) -> None:
    put(here.folder, good=text("good"))
    (here.folder / "bytes.yaml").write_bytes(bytes(range(256)) * 4)
    assert here.found(".")["skipped"] == ["bytes.yaml"]


DEFINITIONS: dict[str, tuple[bytes, str]] = {
    "no YAML": (b"dsl: 1\nname: [x\n", "DSL004"),
    "cut off": (b"dsl:", "DSL102"),
    "another version": (b"dsl: 2\nname: x\nsteps: [{value: 1}]\n", "DSL106"),
    "quoted": (b'"dsl": 1\nname: [\n', "DSL004"),
    "after a marker": (b"a: 1\n--- \ndsl: 1\n", "DSL102"),
    "on the line of a marker": (b"--- {dsl: 1}\n", "DSL102"),
    "indented": (b"  dsl: 1\n  name: x\n", "DSL102"),
    "in braces": (b"{name: x, dsl: 1}\n", "DSL102"),
    "explicit": (b"? dsl\n: 1\n", "DSL102"),
    "with a BOM": (b"\xef\xbb\xbfdsl: 1\nname: [\n", "DSL004"),
    "in UTF-16": ("dsl: 1\r\nname: x\r\n".encode("utf-16"), "DSL003"),
    "old line ends": (b"name: x\rdsl: 1\r", "DSL102"),
    "too large": (b"dsl: 1\n#" + b"x" * 5_000_000, "DSL002"),
    "not in UTF-8": (b"dsl: 1\nname: \xe4\n", "DSL003"),
}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_a_bad_definition_is_never_skipped(here: Here, kind: str) -> None:
    content, code = DEFINITIONS[kind]
    (here.folder / "bad.yaml").write_bytes(content)
    document = here.found(".", code=2)
    assert code in [d["code"] for d in document["diagnostics"]], document
    assert document["skipped"] == []


def test_what_is_hidden_or_of_others_is_left_out(here: Here) -> None:
    left_out = (".github", ".venv", "node_modules", "deep/node_modules", "env/lib")
    for number, folder in enumerate((*left_out, "lib", "env2")):
        (here.folder / folder).mkdir(parents=True)
        (here.folder / folder / f"a{number}.yaml").write_text(text(f"a{number}"))
    (here.folder / "env" / "pyvenv.cfg").touch()
    (here.folder / "._x.yaml").write_bytes(b"\0\ndsl: 1\n")
    assert here.found(".")["definitions"] == ["a6", "a5"]
    # What is named is read.
    for number, folder in enumerate(left_out):
        assert here.found(folder)["definitions"] == [f"a{number}"]
    (here.folder / "pyvenv.cfg").touch()
    assert here.found(".")["definitions"] == ["a6", "a5"]


def test_links(here: Here) -> None:
    put(here.folder, a=text("a"), deep__b=text("b"))
    (here.folder / "deep" / "up").symlink_to(here.folder)
    (here.folder / "again.yaml").symlink_to("deep/b.yaml")
    document = here.found(".")
    assert sorted(document["definitions"]) == ["a", "b"]
    (here.folder / "loop.yaml").symlink_to("loop.yaml")
    (here.folder / "gone.yaml").symlink_to("nowhere.yaml")
    done = here.run("validate", ".")
    assert done.code == 2
    assert "loop.yaml:1:1: error DSL001: the file cannot be read: Too many levels" in done.err
    assert "gone.yaml:1:1: error DSL001: this is a link to a file that is not there\n" in done.err
    assert "did you mean" not in done.err


def test_pipes_are_read_only_where_they_are_named(here: Here) -> None:
    put(here.folder, a=text("a"))
    os.mkfifo(here.folder / "pipe.yaml")
    assert here.found(".")["definitions"] == ["a"]
    command = ["bash", "-c", f"{PROGRAM} validate <(cat a.yaml)"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"no problems in a\n"), done


def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    put(tmp_path, a=text("a"), locked__b=text("b"))
    (tmp_path / "locked").chmod(0)
    try:
        for path in (".", "locked"):
            done = cli("validate", path, cwd=tmp_path, prefix=unprivileged())
            assert done.code == 2, done
            assert "locked:1:1: error DSL001: the file cannot be read: Permission" in done.err
        done = cli("validate", "locked/b.yaml", cwd=tmp_path, prefix=unprivileged())
        assert done.code == 2 and "DSL001" in done.err and "bug" not in done.err, done
    finally:
        (tmp_path / "locked").chmod(0o755)


def test_a_folder_without_definitions(tmp_path: Path) -> None:
    put(tmp_path, empty__compose=COMPOSE)
    commands = ("validate", "validate --skip-others", "deploy", "worker --definitions")
    for command in commands:
        done = cli(*command.split(), "empty", cwd=tmp_path)
        says = "error: empty: there are no definitions in it\n  hint: they are in files that end"
        assert done.code == 2 and done.err.startswith(says), done


def test_what_is_given_twice_is_read_once(here: Here) -> None:
    put(here.folder, a=text("a"), deep__b=text("b"))
    (here.folder / "link.yaml").symlink_to("a.yaml")
    given = (
        "a.yaml",
        "./a.yaml",
        here.folder / "a.yaml",
        "deep/../a.yaml",
        "link.yaml",
        ".",
        "deep",
    )
    assert here.found(*given)["definitions"] == ["a", "b"]


def test_what_is_named_is_checked_even_where_its_folder_is_read_first(here: Here) -> None:
    put(here.folder, a=text("a"), other="x: 1\n")
    document = here.found(".", "other.yaml", code=2)
    assert document["skipped"] == []
    assert {d["file"] for d in document["diagnostics"]} == {"other.yaml"}


def test_names_are_unique_among_all_files(here: Here) -> None:
    put(here.folder, one__a=text("same"), two__b=text("same"))
    [problem] = here.found("one", "two/b.yaml", code=2)["diagnostics"]
    assert (problem["code"], problem["file"], problem["line"]) == ("DSL409", "two/b.yaml", 2)
    place = {"file": "one/a.yaml", "line": 2, "column": 7}
    assert problem["related"] == [{"message": "first defined here"} | place]


def test_names_that_are_no_text(here: Here) -> None:
    (here.folder / os.fsdecode(b"\xff.yaml")).write_text("dsl: 1\nnmae: x\n")
    document = here.found(".", code=2)
    assert {d["file"] for d in document["diagnostics"]} == {"\udcff.yaml"}
    for output in ("text", "github", "sarif"):
        done = here.run("validate", ".", "-o", output)
        assert done.code == 2 and "a bug of" not in done.err, done
    [first, *_] = json.loads(done.out)["runs"][0]["results"]
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "%FF.yaml"


# --- other inputs


def test_standard_input(tmp_path: Path) -> None:
    put(tmp_path, a=text("a"))
    both = ("validate", "-", "a.yaml", "-o", "json")
    done = cli(*both, cwd=tmp_path, stdin=text("b").encode())
    assert (done.code, done.json()["definitions"]) == (0, ["b", "a"])
    [problem] = cli(*both, cwd=tmp_path, stdin=text("a").encode()).json()["diagnostics"]
    assert (problem["file"], problem["related"][0]["file"]) == ("a.yaml", "<stdin>")
    done = cli("validate", "-", cwd=tmp_path, stdin=b"dsl: 1\nnmae: x\n")
    assert done.code == 2 and "<stdin>:2:1: error DSL101: unknown key `nmae`\n  2 | " in done.err
    assert done.err.endswith(" in <stdin>\n")
    for stdin, says in (
        (b"", "<stdin>:1:1: error DSL005: "),
        (b"a: 1\n", "<stdin>:1:1: error "),
        (b"\xff", "<stdin>:1:1: error DSL003: "),
        (b" " * 5_000_000, "<stdin>:1:1: error DSL002: the file has more than 4,194,304 bytes"),
    ):
        done = cli("validate", "-", cwd=tmp_path, stdin=stdin)
        assert done.code == 2 and done.err.startswith(says), done
    closed = ("bash", "-c", 'exec "$0" "$@" <&-')
    done = cli("validate", "-", cwd=tmp_path, prefix=closed)
    assert (done.code, done.err) == (2, "error: standard input: it is closed\n")


def test_json(here: Here) -> None:
    definition = {"dsl": 1, "name": "a", "steps": [{"value": "a/\u2713\U0001f600"}]}
    for indent, ascii_only in ((None, True), (2, False), ("\t", True)):
        written = json.dumps(definition, indent=indent, ensure_ascii=ascii_only)
        (here.folder / "a.json").write_text(written.replace("a/", "a\\/"))
        assert here.found("a.json")["definitions"] == ["a"]
    (here.folder / "a.json").write_text('{\n\t"dsl": 1,\n\t"nmae": "x"\n}\n')
    places = [(d["line"], d["column"]) for d in here.found("a.json", code=2)["diagnostics"]]
    assert (3, 2) in places
    done = here.run("validate", ".")  # other programs' JSON is everywhere
    assert done.code == 2 and "there are no definitions" in done.err


def test_others_are_skipped_where_that_is_wanted(here: Here) -> None:
    put(here.folder, a=text("a"), compose=COMPOSE, bad="dsl: 1\nname: [\n")
    document = here.found("--skip-others", "compose.yaml", "a.yaml")
    assert (document["definitions"], document["skipped"]) == (["a"], ["compose.yaml"])
    done = here.run("validate", "--skip-others", "compose.yaml")
    assert (done.code, done.err) == (0, "no definitions, 1 other file skipped\n")
    for path in ("bad.yaml", "missing.yaml"):
        assert here.run("validate", "--skip-others", path).code == 2


# --- how it counts and ends


def test_the_document_for_programs(here: Here) -> None:
    put(here.folder, a=text("a"), b=text("b") + "    descripton: x\n", c=COMPOSE)
    assert here.found(".", code=2) == {
        "ok": False,
        "errors": 1,
        "warnings": 0,
        "definitions": ["a"],
        "skipped": ["c.yaml"],
        "diagnostics": [
            {
                "code": "DSL101",
                "title": "unknown key",
                "severity": "error",
                "file": "b.yaml",
                "line": 5,
                "column": 5,
                "end_line": 5,
                "end_column": 15,
                "message": "unknown key `descripton`",
                "hint": "did you mean `description`?",
                "related": [],
            }
        ],
    }


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two definitions of one name are only worth a warning."""
    code = Code("DSL409", "definitions of the same name", Severity.WARNING)
    monkeypatch.setitem(diagnostics.CODES, "DSL409", code)


@pytest.mark.usefixtures("lenient")
def test_warnings_are_errors_to_the_strict(here: Here) -> None:
    put(here.folder, a=text("same"), b=text("same"))
    done = here.run("validate", ".")
    assert (done.code, done.out) == (0, "")
    assert "b.yaml:2:7: warning DSL409: two" in done.err
    assert done.err.endswith("\n1 warning in 1 of 2 files\n")
    done = here.run("validate", ".", "--strict")
    assert (done.code, done.out) == (2, "")
    assert "b.yaml:2:7: error DSL409: two" in done.err
    assert done.err.endswith("\n1 error in 1 of 2 files\n")
    for options, code, expected in (
        ((), 0, (True, 0, 1, "warning")),
        (("--strict",), 2, (False, 1, 0, "error")),
    ):
        document = here.found(".", *options, code=code)
        [problem] = document["diagnostics"]
        counted = (document["ok"], document["errors"], document["warnings"])
        assert (*counted, problem["severity"]) == expected
        done = here.run("-o", "github", "validate", ".", *options)
        assert done.code == code and done.out.startswith(f"::{expected[-1]} file=b.yaml,line=2,")
        done = here.run("-o", "sarif", "validate", ".", *options)
        [result] = done.json()["runs"][0]["results"]
        assert (done.code, result["level"]) == (code, expected[-1])


def test_a_module_that_cannot_be_loaded(tmp_path: Path) -> None:
    put(tmp_path, a=text("a"))
    for output in ("text", "github"):
        done = cli("validate", ".", "--activities", "nope", "-o", output, cwd=tmp_path)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: there is no module `nope`"), done


def test_many_definitions_are_counted(here: Here) -> None:
    put(here.folder, **{f"a{n}": text(f"a{n}") for n in range(11)})
    assert here.run("validate", ".").err == "no problems in 11 definitions\n"


@pytest.mark.parametrize("output", ["json", "github", "sarif"])
def test_who_reads_only_the_first_lines_changes_nothing(tmp_path: Path, output: str) -> None:
    steps = "\n".join(f"  - {{id: a{n}, valu: 1}}" for n in range(2000))
    put(tmp_path, many=f"dsl: 1\nname: many\nsteps:\n{steps}\n")
    script = f"{PROGRAM} validate many.yaml -o {output} 2>&1 | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED=""),  # Python takes no notice of it otherwise
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[1:] == ["2"], done
    assert done.stderr == ""


def test_other_commands_know_no_reports(here: Here) -> None:
    put(here.folder, a=text("a"))
    for output in ("github", "sarif"):
        for arguments in (("run", "a.yaml"), ("schema",), ("definitions", "list")):
            for given in ((*arguments, "-o", output), ("-o", output, *arguments)):
                done = here.run(*given)
                assert (done.code, done.out) == (2, "")
                says = f"error: -o {output}: it must be text or json\n  hint: only `validate` knows"
                assert done.err.startswith(says), done
    done = here.run("-o", "github", "validate", "a.yaml")
    assert (done.code, done.out, done.err) == (0, "", "no problems in a\n")


def test_the_examples_are_right_and_nothing_else_is_taken_for_one(here: Here) -> None:
    document = here.found(ROOT / "examples")
    assert len(document["definitions"]) >= 5 and document["ok"]


# --- what it costs


def test_it_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    put(tmp_path, a=text("a"))
    done = cli("validate", "a.yaml", cwd=tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.err.splitlines()}
    assert "dsl.loader" in imported
    assert not {"temporalio", "google.protobuf", "asyncio", "interpreter.activities"} & imported
