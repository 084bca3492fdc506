"""The commands in the examples' READMEs, as written, from a folder like the project's."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dsl.loader import load_files
from interpreter.activities import ActivityRegistry
from tests.cli.support import cli, environment
from tests.examples.support import EXAMPLES, ROOT

NAMES = (
    "bank-transfer",
    "document-signing",
    "embedded-worker",
    "expense-approval",
    "fan-out",
    "payroll",
    "polling",
    "quorum",
    "shopping-cart",
    "subscription",
    "trip-booking",
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "<<<>>>"

COVERED = {
    # A block of a README that is not run as it is, by its beginning, and the test that does it.
    "bank-transfer": {"temporal server start-dev": "test_the_books_are_right"},
    "document-signing": {
        "export TEMPORAL_ADDRESS": "test_the_scripts_of_the_readme",
        "url=$(": "test_the_scripts_of_the_readme",
    },
    "fan-out": {"temporal server start-dev": "test_a_worker_is_killed_over_a_long_file"},
}
ANSWERED = {
    # What the block of a README prints that starts a server and sends messages to a run.
    "embedded-worker": [
        "COMPLETED",
        "harbour-front: 130.00, reviewed",
        "north: 50.00",
        "remote-hill: not closed: there is no bank near remote-hill",
        "south: 50.00",
        "close-branch  compensated",
        "code 0",
    ],
    "expense-approval": [
        "approval sent to expense-1",
        '"approved_by": "grace@example.com"',
        "code 0",
    ],
    "payroll": [
        "payroll  live -> revision 1",
        "payroll  schedule created",
        "Completed  payroll-20",
        "pay-employee  live -> revision 2",
        '"month": "2025-01"',
        '"employee": "ada"',
        '"net": 246667',
        "payroll  live -> revision 2",
        "pay-employee  live -> revision 2: unchanged",
        '"month": "2025-02"',
        '"employee": "ada"',
        '"net": 265000',
        "TRANSFERS",
        "The ledger agrees.",
        "code 0",
    ],
    "shopping-cart": [
        "add_item sent to cart-1",
        "remove_item sent to cart-1",
        '{\n  "lamp": 1\n}',
        "error: checkout failed in cart-1: CardDeclined: the card declined-13 was declined",
        '"cents": 4900',
        '"status": "paid"',
        "code 0",
    ],
    "subscription": [
        '"plan": "team"',
        '"cancelled": false',
        "cancel sent to subscription-1",
        '"status": "cancelled"',
        "code 0",
    ],
}


def blocks(name: str, language: str) -> list[str]:
    """The blocks of a README in a language."""
    page = (EXAMPLES / name / "README.md").read_text()
    return [text for found, text in BLOCK.findall(page) if found == language]


def run(script: str, folder: Path) -> str:
    """Runs a script, and ends what it has left; gives what it prints on either stream."""
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        out, _ = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return out


def matches(expected: list[str], printed: str) -> bool:
    """Whether the lines are there in order; `...` stands for anything."""
    lines = [line.strip() for line in expected if line.strip() and line.strip() != "..."]
    parts = [re.escape(line).replace(r"\.\.\.", ".*") for line in lines]
    return re.search("(?s)" + r".*?".join(parts), printed) is not None


def try_commands(name: str, folder: Path) -> list[str]:
    """Runs the `console` blocks of a README; gives what is wrong."""
    wrong: list[str] = []
    count = 0
    for text in blocks(name, "console"):
        commands: list[tuple[str, list[str]]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        # One shell for a block, so that `echo $?` means what it says; a mark between commands.
        parts = [f"{command}\nlast=$?\necho '{MARK}'\n(exit $last)" for command, _ in commands]
        printed = run("\n".join(parts), folder).split(MARK)
        for (command, expected), output in zip(commands, printed, strict=False):
            count += 1
            if not matches(expected, output) or "Traceback" in output:
                wrong.append(f"$ {command}\n{output}\nexpected:\n" + "\n".join(expected))
    return wrong if count >= 5 else [*wrong, f"{name}: only {count} commands"]


def answer(name: str, folder: Path) -> list[str]:
    """Runs the block of a README that starts a server; gives what is wrong."""
    (script,) = blocks(name, "sh")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    assert script.count("7233") == 2
    # The server has the output too: nobody would see its end while it lives.
    script = script.replace("7233", port) + 'code=$?\nkill %1\necho "code $code"\n'
    printed = run(script, folder)
    return [] if matches(ANSWERED[name], printed) else [printed]


def project(folder: Path) -> Path:
    """A copy of what the examples need of the project."""
    leave = shutil.ignore_patterns("*.sqlite*", "__pycache__", "report.json*")
    shutil.copytree(EXAMPLES, folder / "examples", ignore=leave)
    shutil.copytree(ROOT / "schemas", folder / "schemas")
    return folder


def test_the_commands_of_the_readmes(tmp_path: Path) -> None:
    # At the same time: mostly they wait.
    with ThreadPoolExecutor() as pool:
        tried = {n: pool.submit(try_commands, n, project(tmp_path / n)) for n in NAMES}
        for name in ANSWERED:
            tried[f"{name}, answered"] = pool.submit(answer, name, project(tmp_path / f"to-{name}"))
        wrong = {name: future.result() for name, future in tried.items()}
    assert not any(wrong.values()), "\n\n".join(text for texts in wrong.values() for text in texts)


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_run_or_covered(name: str) -> None:
    tests = "".join(file.read_text() for file in (ROOT / "tests").glob("*/test_*.py"))
    shell = blocks(name, "sh")
    if name in ANSWERED:
        assert len(shell) == 1  # `answer` runs it
        return
    known = COVERED.get(name, {})
    assert len(shell) == len(known)
    for text, (beginning, test) in zip(shell, known.items(), strict=True):
        assert text.startswith(beginning) and f"def {test}(" in tests


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_it(name: str) -> None:
    folder = EXAMPLES / name
    text = (folder / "workflow.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../../schemas/workflow.schema.json\n")
    catalogue = ActivityRegistry.load([str(folder / "activities.py")]).catalogue
    assert load_files([folder / "workflow.yaml"], catalogue).diagnostics == []
    assert all(activity.description for activity in catalogue.values())
    assert all(activity in text for activity in catalogue), "an activity that nobody uses"
    readme = (folder / "README.md").read_text()
    for file in folder.glob("*.json"):
        assert file.name == "report.json" or file.name in readme, file


def test_the_validate_command_agrees() -> None:
    """All examples at once: no two activities have one name, no module hides another."""
    modules = sorted(EXAMPLES.glob("*/activities.py"))
    assert {module.parent.name for module in modules} >= set(NAMES)
    named = (part for module in modules for part in ("--activities", module))
    done = cli("validate", EXAMPLES, *named)
    assert (done.code, done.out) == (0, "") and "no problems in " in done.err, done
