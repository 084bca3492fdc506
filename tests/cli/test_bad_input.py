"""Whatever a user gives: one clear message, the right exit code, no traceback, at once."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.support import EXAMPLE, PROGRAM, Done, cli, environment

GOOD = """\
dsl: 1
name: hello
input:
  type: object
  required: [who]
  properties: {who: {type: string}, times: {type: integer, default: 1}}
steps:
  - id: greet
    value: ${ input.who }
output: ${ steps.greet.output }
"""
ACTS = """\
from temporalio import activity

@activity.defn(name="mail.send")
async def send(to: str) -> None: ...
"""
MAIL = """\
dsl: 1
name: mail
steps:
  - id: send
    activity: mail.sent
    start_to_close_timeout: 10s
    with: {to: me}
"""
LIMIT = 2.0
PATIENCE = 5.0


def refused(
    *arguments: str | Path,
    code: int = 2,
    says: str,
    cwd: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> Done:
    """Runs a command that must fail as it should.

    Args:
        says: A regular expression for what it must say.
    """
    done = cli(*arguments, cwd=cwd, stdin=stdin, env=env, prefix=prefix)
    assert done.code == code, done
    assert re.search(says, done.err), done.err
    assert "Traceback" not in done.err and "a bug of" not in done.err, done.err
    assert done.out == "", done.out
    assert len(done.err.splitlines()) <= 12, done.err
    # Two seconds, but not of a machine that is busy with other tests.
    assert done.cpu < LIMIT and done.seconds - done.cpu < LIMIT + PATIENCE, done
    return done


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a good definition."""
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


# --- files that are no definition


def bomb(levels: int) -> str:
    lines = ["dsl: 1", "name: bomb", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    return "\n".join(lines)


FILES: dict[str, tuple[bytes, str]] = {
    "no YAML": (b"dsl: 1\nname: [x\nsteps: {]\n", r"bad\.yaml:3:6: error DSL004: "),
    "a tab": (b"dsl: 1\nsteps:\n\t- sleep: 1s\n", r"bad\.yaml:3:1: error DSL004: a tab"),
    "no mapping": (b"- 1\n- 2\n", r"bad\.yaml:1:1: error DSL\d+: "),
    "a text": (b"hello world\n", r"bad\.yaml:1:1: error DSL\d+: "),
    "empty": (b"", r"bad\.yaml:1:1: error DSL005: there is no definition in it"),
    "only comments": (b"# nothing\n---\n", r"bad\.yaml:1:1: error DSL005: "),
    "binary": (bytes(range(256)) * 8, r"bad\.yaml:1:1: error DSL003: this is no text"),
    "NUL bytes": (b"dsl: 1\n\0\0", r"bad\.yaml:1:1: error DSL003: this is no text"),
    "UTF-16": ("dsl: 1".encode("utf-16"), r"bad\.yaml:1:1: error DSL003: this is no text"),
    "20,000 levels": (b"a: " + b"[" * 20_000, r"bad\.yaml:1:\d+: error DSL006: nested"),
    "20,000 levels of lists": (b"- " * 20_000 + b"x", r"bad\.yaml:1:\d+: error DSL006: nested"),
    "20,000 levels of maps": (b"{a: " * 20_000, r"bad\.yaml:1:\d+: error DSL006: nested"),
    "a billion laughs": (bomb(12).encode(), r"bad\.yaml:\d+:\d+: error DSL007: "),
    "itself": (b"dsl: &a\n  x: *a\n", r"bad\.yaml:2:6: error DSL004: the alias \*a"),
    "an unknown key": (
        GOOD.replace("steps:\n", "stpes:\n").encode(),
        r"bad\.yaml:7:1: error DSL\d+: (.|\n)*did you mean `steps`\?",
    ),
    "an unknown tag": (b"dsl: 1\nname: !!python/object:os.system x\n", r"bad\.yaml:\d+:\d+: error"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_definition(here: Path, kind: str) -> None:
    content, says = FILES[kind]
    (here / "bad.yaml").write_bytes(content)
    refused("validate", "bad.yaml", says=says, cwd=here)


@pytest.mark.parametrize("command", ["run", "worker --definitions"])
@pytest.mark.parametrize("kind", ["no YAML", "empty", "a billion laughs"])
def test_no_definition_no_run(here: Path, command: str, kind: str) -> None:
    content, says = FILES[kind]
    (here / "bad.yaml").write_bytes(content)
    done = refused(*command.split(), "bad.yaml", says=says, cwd=here)
    assert done.err.endswith("\nerror: bad.yaml cannot run: 1 error\n")


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_file_of_100_mb(here: Path, command: str) -> None:
    with (here / "bad.yaml").open("wb") as file:
        file.write(b"dsl: 1\n")
        file.truncate(100_000_000)
    says = r"bad\.yaml:1:1: error DSL002: the file has 100,000,000 bytes"
    refused(command, "bad.yaml", says=says, cwd=here)


@pytest.mark.parametrize("command", ["validate", "run", "worker"])
def test_a_missing_file(here: Path, command: str) -> None:
    before = ("worker", "--definitions") if command == "worker" else (command,)
    says = r"god\.yaml:1:1: error DSL001: there is no such file\n  hint: did you mean `good\.yaml`"
    refused(*before, "god.yaml", says=says, cwd=here)
    refused(*before, "no/such.yaml", says="there is no folder no either", cwd=here)


def test_every_bad_file_is_reported(here: Path) -> None:
    (here / "other.yaml").write_text("- 1\n")
    done = cli("validate", "no.yaml", "good.yaml", "other.yaml", cwd=here)
    assert done.code == 2
    assert "no.yaml:1:1: error DSL001" in done.err
    assert "other.yaml:1:1: error" in done.err
    assert done.err.endswith("\n2 errors in 2 of 3 files\n")
    (here / "second.yaml").write_text(GOOD.replace("name: hello", "name: second"))
    done = cli("validate", "good.yaml", "second.yaml", cwd=here)
    assert done.err == "no problems in hello, second\n"
    assert cli("validate", "other.yaml", cwd=here).err.endswith(" in other.yaml\n")


def test_a_folder(here: Path) -> None:
    assert cli("validate", ".", cwd=here).code == 0
    (here / "sub").mkdir()
    refused("validate", "sub", says="error: sub: there are no definitions in it", cwd=here)
    refused("run", "sub", says="error: sub is a folder: name a file", cwd=here)
    refused("worker", "--definitions", "sub", says="sub: there are no definitions", cwd=here)


def unprivileged() -> tuple[str, ...]:
    """What to put before a command so that permissions count for it."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root may read everything, and there is no setpriv to change that")
    return (setpriv, "--bounding-set=-dac_override,-dac_read_search")


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_file_that_may_not_be_read(here: Path, command: str) -> None:
    (here / "bad.yaml").write_text(GOOD)
    (here / "bad.yaml").chmod(0)
    says = r"bad\.yaml:1:1: error DSL001: the file cannot be read: Permission denied"
    refused(command, "bad.yaml", says=says, cwd=here, prefix=unprivileged())


def test_input_that_may_not_be_read(here: Path) -> None:
    (here / "input.json").touch(0)
    says = r"error: input\.json: permission denied"
    arguments = ("run", "good.yaml", "--input", "@input.json")
    refused(*arguments, says=says, cwd=here, prefix=unprivileged())


# --- activities


def test_an_unknown_activity(here: Path) -> None:
    (here / "mail.yaml").write_text(MAIL)
    (here / "activities.py").write_text(ACTS)
    says = r"mail\.yaml:5:15: error DSL\d+: (.|\n)*did you mean `mail\.send`\?"
    refused("validate", "mail.yaml", "--activities", "activities.py", says=says, cwd=here)
    refused("run", "mail.yaml", "--activities", "activities", says=says, cwd=here)
    refused("run", "mail.yaml", says=says, cwd=here)  # activities.py stands beside it
    assert cli("validate", "mail.yaml", cwd=here).code == 0


MODULES = {
    "missing.py": (None, r"error: there is no file missing\.py"),
    "missing": (None, r"error: there is no module `missing`"),
    "broken.py": ("def (:\n", r"error: broken\.py:1: "),
    "raising.py": ("x = 1\n1 / 0\n", r"error: raising\.py:2: ZeroDivisionError"),
    "none.py": ("x = 1\n", r"error: none\.py: there are no activities in it"),
    "importing.py": ("import nowhere_to_be_found\n", r"error: importing\.py:1: imports `nowhere"),
    "ending.py": ("import sys\nsys.exit(3)\n", r"error: ending\.py:2: the module ends the program"),
}


@pytest.mark.parametrize("module", MODULES)
def test_modules_of_activities_that_cannot_be_used(here: Path, module: str) -> None:
    content, says = MODULES[module]
    if content is not None:
        (here / module).write_text(content)
    refused("validate", "good.yaml", "--activities", module, says=says, cwd=here)


# --- input

INPUTS: dict[str, tuple[str, str]] = {
    "no JSON": ("{who: me}", r"error: --input:1:2: this is no JSON: (.|\n)*hint: put it in single"),
    "cut off": ('{"who": ', r"error: --input:1:9: this is no JSON: "),
    "nothing": ("", r"error: --input:1:1: this is no JSON: there is nothing in it"),
    "NaN": ('{"who": NaN}', r"error: --input: this is no JSON: NaN is no number"),
    "infinite": ('{"who": 1e999}', r"error: --input: a number in it is too large"),
    "surrogate": ('{"who": "\\ud800"}', r"error: --input: half of a surrogate pair"),
    "deep": ("[" * 101 + "]" * 101, r"error: --input: nested more than 100 levels deep"),
    "very deep": ("[" * 60_000, r"error: --input: nested more than 100 levels deep"),
    "a type": ('{"who": 1}', r"error: the input does not fit:\n  .*who.*1"),
    "missing keys": ("{}", r"error: the input does not fit:\n  .*who"),
    "no object": ("[1]", r"error: the input does not fit:\n  "),
    "missing file": ("@missing", r"error: missing: no such file(.|\n)*hint: --input takes"),
    "a folder": ("@.", r"error: \.: is a directory"),
    "no name": ("@", r"error: (--input|\.): "),
    "a bad file": ("@input.json", r"error: input\.json:2:3: this is no JSON: "),
    "a key twice": ('{"who": "me", "x": {"y": 1, "y": 2}}', 'the key "y" twice'),
    "no UTF-8": ("@latin.json", r"error: latin\.json: this is no text in UTF-8 \(byte 1 is none\)"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_bad_input(here: Path, kind: str) -> None:
    (here / "input.json").write_text("{\n  who: 1\n}")
    (here / "latin.json").write_bytes('"ä"'.encode("latin-1"))
    given, says = INPUTS[kind]
    refused("run", "good.yaml", "--input", given, says=says, cwd=here)


def test_no_input_where_some_is_needed(here: Path) -> None:
    says = "error: the input does not fit:\n(.|\n)*hint: give it with --input JSON or --input @FILE"
    refused("run", "good.yaml", says=says, cwd=here)


def test_bad_input_on_standard_input(here: Path) -> None:
    def given(text: bytes, says: str) -> None:
        refused("run", "good.yaml", "--input", "@-", says=says, cwd=here, stdin=text)

    given(b"{\n?", r"error: standard input:2:1: this is no JSON")
    given(b"", r"error: standard input:1:1: this is no JSON: there is nothing in it")
    given(b"\xff", r"error: standard input: this is no text in UTF-8")
    given(b" " * 5_000_000, r"error: standard input: over 4,194,304 characters of JSON")


def test_bad_payload(here: Path) -> None:
    for command in ("signal", "query"):
        says = "error: --payload:1:1: this is no JSON"
        refused(command, "id", "name", "--payload", "x", says=says, cwd=here)


def test_an_unknown_name(here: Path) -> None:
    says = r"error: good\.yaml has no definition named hullo\n  hint: it has: hello"
    refused("run", "good.yaml", "--name", "hullo", says=says, cwd=here)


# --- servers that are not there

REMOTE: dict[str, tuple[str, ...]] = {
    "status": ("status", "id"),
    "follow": ("status", "id", "--follow"),
    "signal": ("signal", "id", "name"),
    "query": ("query", "id", "name"),
    "worker": ("worker", "--definitions", "good.yaml"),
    "run": ("run", "good.yaml", "--input", '{"who": "me"}'),
}


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens to, and that nobody else gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("command", REMOTE)
def test_no_server(here: Path, command: str) -> None:
    with closed_port() as port:
        address = f"127.0.0.1:{port}"
        says = rf"error: no Temporal server answers at {address}\n  hint: .*--address"
        refused(*REMOTE[command], "--address", address, code=4, says=says, cwd=here)
        environment = {"TEMPORAL_ADDRESS": address}
        refused(*REMOTE[command], code=4, says=says, cwd=here, env=environment)


def test_a_server_that_is_none(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    taken, _ = server.accept()
                except OSError:
                    return
                taken.close()

        threading.Thread(target=hang_up, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = cli("status", "id", "--address", address, cwd=here)
        server.shutdown(socket.SHUT_RDWR)
    assert done.code == 4, done
    assert f"error: no Temporal server answers at {address}" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", REMOTE)
def test_a_server_of_another_kind(here: Path, command: str) -> None:
    handler = http.server.BaseHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        says = f"error: what answers at {address} is no Temporal server\n  hint: .*--address"
        done = refused(*REMOTE[command], "--address", address, code=4, says=says, cwd=here)
        server.shutdown()
    assert "temporal-dsl run" not in done.err and "Status" not in done.err


def test_run_is_not_told_to_use_run(here: Path) -> None:
    with closed_port() as port:
        address = f"127.0.0.1:{port}"
        assert "`temporal-dsl run`" in cli("status", "id", "--address", address, cwd=here).err
        assert "`temporal-dsl run`" not in cli(*REMOTE["run"], "--address", address, cwd=here).err


@pytest.mark.parametrize(
    "address",
    ["localhost", "localhost:", ":7233", "localhost:x", "localhost:0", "h:99999", "http://h:1"],
)
def test_what_is_no_address(here: Path, address: str) -> None:
    says = rf"error: {re.escape(address)} is no address: it must be host:port"
    refused("status", "id", "--address", address, says=says, cwd=here)


def test_a_profile_that_is_not_there(here: Path) -> None:
    says = "error: Temporal's configuration cannot be read: .*nope"
    refused("status", "id", "--profile", "nope", says=says, cwd=here)


def test_certificates_that_are_not_there(here: Path) -> None:
    says = r"error: no\.pem: [Nn]o such file"
    refused("status", "id", "--tls-ca-path", "no.pem", says=says, cwd=here)


def test_no_temporal_binary(here: Path) -> None:
    says = r"error: .*no/temporal is no program that can be run"
    arguments = ("run", "good.yaml", "--input", '{"who": "me"}', "--temporal-path", "no/temporal")
    refused(*arguments, code=4, says=says, cwd=here)


def test_a_temporal_binary_that_is_none(here: Path) -> None:
    (here / "temporal").write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    (here / "temporal").chmod(0o755)
    arguments = ("run", "good.yaml", "--input", '{"who": "me"}', "--temporal-path", "./temporal")
    done = cli(*arguments, cwd=here)
    assert done.code == 4, done
    assert "error: the embedded server did not start" in done.err
    assert "Traceback" not in done.err


# --- flags

FLAGS: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown": (("--bogus",), "error: no such option: --bogus"),
    "unknown of a command": (("validate", "--bogus"), "error: no such option: --bogus"),
    "misspelt": (("run", "x", "--inptu", "1"), r"error: no such option: --inptu .*--input"),
    "command": (("valdate",), "error: no such command 'valdate'"),
    "no path": (("validate",), "error: missing argument 'PATH...'"),
    "no value": (("validate", "x", "--activities"), "error: .*--activities.* requires an argument"),
    "no global value": (("validate", "x", "-o"), "error: .*-o.* requires an argument"),
    "too many": (("schema", "definition", "x"), "error: got unexpected extra argument"),
    "an empty id": (("run", "x", "--id", ""), "error: --id: it must not be empty"),
    "output": (
        ("validate", "x", "-o", "xml"),
        "error: -o xml: it must be text, json, github or sarif",
    ),
    "drain": (
        ("worker", "--definitions", "x", "--drain", "y"),
        "error: invalid value for '--drain'",
    ),
}


@pytest.mark.parametrize("kind", FLAGS)
def test_bad_flags(here: Path, kind: str) -> None:
    arguments, says = FLAGS[kind]
    refused(*arguments, says=says, cwd=here)


def test_no_arguments_at_all_is_help(tmp_path: Path) -> None:
    done = cli(cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Usage: temporal-dsl [OPTIONS] COMMAND" in done.err and "error" not in done.err


# --- what programs get

JSON: dict[str, tuple[tuple[str, ...], int]] = {
    "flag": (("validate", "--bogus"), 2),
    "input": (("run", "good.yaml", "--input", "x"), 2),
    "definition": (("run", "bad.yaml"), 2),
    "definitions": (("worker", "--definitions", "bad.yaml"), 2),
    "server": (("status", "id", "--address", "127.0.0.1:1"), 4),
    "signal": (("signal", "id", "x", "--address", "127.0.0.1:1"), 4),
    "query": (("query", "id", "x", "--address", "127.0.0.1:1"), 4),
    "worker": (("worker", "--definitions", "good.yaml", "--address", "127.0.0.1:1"), 4),
}


@pytest.mark.parametrize("kind", JSON)
def test_errors_as_json(here: Path, kind: str) -> None:
    (here / "bad.yaml").write_text("- 1\n")
    arguments, code = JSON[kind]
    done = cli("-o", "json", *arguments, cwd=here)
    assert done.code == code, done
    error = done.json()["error"]
    assert error["exit_code"] == code
    assert f"error: {error['message']}" in done.err
    assert list(error) == ["message", "hint", "exit_code"]
    assert ("diagnostics" in done.json()) == (kind in ("definition", "definitions"))


PLACES: dict[str, Callable[[list[str]], list[str]]] = {
    "before": lambda rest: ["-o", "json", *rest],
    "behind": lambda rest: [*rest, "-o", "json"],
    "between": lambda rest: [rest[0], "--output=json", *rest[1:]],
    "attached": lambda rest: [*rest, "-ojson"],
    "the last counts": lambda rest: ["-o", "text", *rest, "--output", "json"],
}


@pytest.mark.parametrize("place", PLACES)
def test_global_flags_may_stand_anywhere(here: Path, place: str) -> None:
    done = cli(*PLACES[place](["validate", "good.yaml"]), cwd=here)
    assert (done.code, done.err) == (0, "")
    document = done.json()
    assert (document["ok"], document["definitions"]) == (True, ["hello"])
    with closed_port() as port:
        address = f"127.0.0.1:{port}"
        for arguments in (
            ["--address", address, "status", "id"],
            ["status", "--address", address, "id"],
            ["status", "id", f"--address={address}", "--namespace", "other"],
        ):
            assert f"answers at {address}\n" in cli(*arguments, cwd=here).err


def test_behind_two_dashes_nothing_is_a_flag(here: Path) -> None:
    (here / "-o").write_text(GOOD)
    done = cli("validate", "--", "-o", cwd=here)
    assert (done.code, done.out) == (0, "")


def test_validate_as_json(here: Path) -> None:
    (here / "bad.yaml").write_text(GOOD.replace("steps:\n", "stpes:\n"))
    done = cli("validate", "bad.yaml", "-o", "json", cwd=here)
    assert (done.code, done.err) == (2, "")
    first = next(d for d in done.json()["diagnostics"] if "stpes" in d["message"])
    assert (first["file"], first["line"], first["column"]) == ("bad.yaml", 7, 1)
    assert first["severity"] == "error" and "steps" in first["hint"]


def test_schema_is_json(here: Path) -> None:
    plain = cli("schema", cwd=here)
    assert plain.code == 0 and plain.err == ""
    assert plain.json()["$schema"].startswith("https://json-schema.org/")
    assert cli("-o", "json", "schema", cwd=here).out == plain.out


def test_a_reader_that_has_seen_enough(here: Path) -> None:
    # bash runs the script "$0 schema", whose reader is gone when it writes.
    script = '"$0" "$@" | true; exit "${PIPESTATUS[0]}"'
    done = cli("schema", prefix=("bash", "-c", script), cwd=here)
    assert (done.code, done.err) == (0, "")


def redirected(where: str) -> tuple[str, ...]:
    """What to put before a command to redirect its standard output."""
    return ("bash", "-c", f'exec "$0" "$@" {where}')


WRITING = {
    "schema": ("schema",),
    "json": ("-o", "json", "validate", "good.yaml"),
    "json error": ("-o", "json", "run", "good.yaml"),
    "with activities": ("-o", "json", "validate", "good.yaml", "--activities", "activities.py"),
    "help": ("--help",),
    "version": ("--version",),
}


@pytest.mark.parametrize("kind", WRITING)
def test_a_full_disk(here: Path, kind: str) -> None:
    (here / "activities.py").write_text(ACTS)
    done = cli(*WRITING[kind], cwd=here, prefix=redirected(">/dev/full"))
    if kind == "json error":
        assert done.code == 2 and done.err.startswith("error: the input does not fit"), done
    else:
        said = "error: standard output: No space left on device\n"
        assert (done.code, done.err) == (1, said), done
    assert "Traceback" not in done.err


def test_no_standard_output(here: Path) -> None:
    done = cli("schema", cwd=here, prefix=redirected(">&-"))
    assert (done.code, done.err) == (1, "error: standard output: it is closed\n")
    assert cli("validate", "good.yaml", cwd=here, prefix=redirected(">&-")).code == 0


def test_what_modules_print_is_no_result(here: Path) -> None:
    noise = "import os, subprocess\nprint('one')\nos.system('echo two')\n"
    (here / "activities.py").write_text(noise + ACTS)
    for command in ("validate", "run"):
        acts = ("--activities", "activities.py")
        done = cli("-o", "json", command, "good.yaml", *acts, cwd=here)
        assert isinstance(done.json(), dict)
        assert "one\n" in done.err and "two\n" in done.err


def test_version_and_help(here: Path) -> None:
    from importlib.metadata import version

    assert cli("--version", cwd=here).out == f"temporal-dsl {version('temporal-dsl')}\n"
    for arguments in (("--help",), ("run", "-h"), ("status", "--help")):
        done = cli(*arguments, cwd=here)
        assert (done.code, done.err) == (0, "") and "Usage:" in done.out
    codes = re.findall(r"^ +(\d+)  ", cli("--help", cwd=here).out, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "130"]


# --- how fast


@pytest.mark.parametrize(
    ("arguments", "limit"), [(("--help",), 0.5), (("validate", EXAMPLE / "workflow.yaml"), 0.9)]
)
def test_it_starts_fast(here: Path, arguments: tuple[str | Path, ...], limit: float) -> None:
    best = min(cli(*arguments, cwd=here).cpu for _ in range(5))
    assert best < limit, best


def test_what_is_not_needed_is_not_imported(here: Path) -> None:
    done = cli("validate", "good.yaml", cwd=here, env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.err.splitlines()}
    assert "dsl.loader" in imported
    assert not {"temporalio", "interpreter.activities"} & imported
    done = cli("--help", cwd=here, env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.err.splitlines()}
    assert "interpreter.cli.app" in imported
    assert not {"temporalio", "dsl.loader", "rich", "jsonschema", "yaml"} & imported


def test_who_reads_only_the_first_lines_changes_nothing(tmp_path: Path) -> None:
    steps = "\n".join(f"  - {{id: a{n}, valu: 1}}" for n in range(2000))
    (tmp_path / "many.yaml").write_text(f"dsl: 1\nname: many\nsteps:\n{steps}\n")
    done = subprocess.run(
        ["bash", "-c", f"{PROGRAM} validate many.yaml 2>&1 | head -1; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, code = done.stdout.splitlines()
    assert first.startswith("many.yaml:4:5: error DSL103")
    assert code == "2"
