"""Everything in the documentation that can be run or read by a program is."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from dsl.expressions import FUNCTIONS
from dsl.loader import load_text

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
DEPLOYING = "Deploy without code changes"
"""The section of the README that needs a cluster whose registry is empty."""
MARK = "<<<>>>"


@dataclass(frozen=True)
class Block:
    """A block of code in a page."""

    page: Path
    language: str
    text: str
    section: str

    @property
    def id(self) -> str:
        return f"{self.page.name}:{self.text.strip().splitlines()[0][:40]}"


def blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def _blocks(page: Path) -> list[Block]:
    text = page.read_text()
    headings = [(0, ""), *((m.start(), m[1]) for m in HEADING.finditer(text))]
    return [
        Block(page, m[1], m[2], next(title for at, title in reversed(headings) if at < m.start()))
        for m in BLOCK.finditer(text)
    ]


def _definition(text: str) -> str:
    """A block as a definition: a list of steps gets what is missing round it."""
    if re.search(r"^dsl: 1", text, re.MULTILINE):
        return text
    lines = "\n".join("  " + line for line in text.splitlines())
    return f"dsl: 1\nname: x\nsteps:\n{lines}\n"


YAML = [block for block in blocks("yaml") if not block.text.startswith("# yaml-language-server")]


@pytest.mark.parametrize("block", YAML, ids=[block.id for block in YAML])
def test_definitions_in_pages_are_right(block: Block) -> None:
    loaded = load_text(_definition(block.text))
    assert [f"{d.place} {d.message}" for d in loaded.diagnostics] == []


def test_the_language_page_names_every_function() -> None:
    page = (ROOT / "docs" / "language.md").read_text()
    listed = re.search(r"Functions: `([^`]+)`", page)
    assert listed is not None
    assert listed[1].split() == sorted(FUNCTIONS)


def run_script(script: str, folder: Path) -> str:
    """Runs a shell script in a folder; gives what it prints on either stream."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout


async def test_the_readme_on_a_cluster(server: WorkflowEnvironment, tmp_path: Path) -> None:
    copy_project(tmp_path)
    shell = [block.text for block in blocks("sh")]
    listening = next(text for text in shell if "temporal-dsl worker" in text)
    starting = next(text for text in shell if "--task-queue" in text)
    address = server.client.service_client.config.target_host
    assert "TEMPORAL_ADDRESS=localhost:7233" in listening
    listening = listening.replace("localhost:7233", address)
    script = f"""
{listening.strip()} &
worker=$!
{starting.replace("status order-1", "status order-1 --address $TEMPORAL_ADDRESS")}
code=$?
kill -TERM $worker
wait $worker
echo "codes $code $?"
"""
    printed = await asyncio.to_thread(run_script, script, tmp_path)
    assert "listening on dsl for order-fulfilment" in printed, printed
    assert "COMPLETED" in printed, printed
    assert "order-fulfilment  completed" in printed, printed
    assert "codes 0 0" in printed, printed


def _matches(expected: list[str], printed: str) -> bool:
    """Whether the lines are there in order; `...` stands for anything."""
    parts = [re.escape(line.strip()).replace(r"\.\.\.", ".*") for line in expected if line.strip()]
    return re.search("(?s)" + r".*?".join(parts), printed) is not None


def run_console(block: Block, folder: Path, **env: str) -> list[str]:
    """Runs a block's commands, each of which must print what stands below it.

    Returns:
        What each printed.
    """
    commands: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    # One shell for a block, so that `echo $?` means what it says; a mark between commands.
    mark = f"last=$?\necho '{MARK}'\n(exit $last)"
    exports = [f"export {name}={value}" for name, value in env.items()]
    script = "\n".join([*exports, *(f"{command}\n{mark}" for command, _ in commands)])
    outputs = run_script(script, folder).split(MARK)[:-1]
    for (command, expected), printed in zip(commands, outputs, strict=True):
        assert _matches(expected, printed), f"$ {command}\n{printed}\nexpected:\n{expected}"
        assert "Traceback" not in printed, printed
    return outputs


def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    copy_project(tmp_path)
    readme = (ROOT / "README.md").read_text()
    for file in ("activities.py", "hello.yaml"):
        block = re.search(rf"^```\w+\n# {re.escape(file)}\n(.*?)^```$", readme, re.M | re.S)
        assert block is not None
        (tmp_path / file).write_text(block[1])
    count = 0
    for block in blocks("console"):
        if block.page.name == "README.md" and block.section != DEPLOYING:
            count += len(run_console(block, tmp_path))
    assert count >= 8


def copy_project(folder: Path) -> None:
    """Copies what the pages' commands work on."""
    for name in ("examples", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.sqlite*"))
