"""docs/checking.md: its commands, its document and its configurations."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.cli.support import cli
from tests.docs.test_docs import ROOT, Block, blocks, copy_project, run_console

PAGE = [block for block in blocks("console", "json", "yml") if block.page.name == "checking.md"]


def those(language: str, section: str) -> list[Block]:
    found = [b for b in PAGE if b.language == language and b.section == section]
    assert found
    return found


def test_its_commands(tmp_path: Path) -> None:
    copy_project(tmp_path)
    shutil.rmtree(tmp_path / "schemas")
    [block] = those("console", "In a terminal")
    assert len(run_console(block, tmp_path)) == 4


def test_its_document(tmp_path: Path) -> None:
    shown = json.loads(those("json", "For programs")[0].text)
    [problem] = shown["diagnostics"]
    # What it says stands on line 5 here.
    text = "dsl: 1\nname: x\nsteps:\n  - {foreach: [1], do: [{value: 1}],\n    concurency: 10}\n"
    (tmp_path / "typo.yaml").write_text(text)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    found = cli("validate", ".", "-o", "json", cwd=tmp_path).json()
    assert found == shown | {"diagnostics": [problem | {"line": 5, "end_line": 5}]}


def test_its_configuration_of_pre_commit(tmp_path: Path) -> None:
    [block] = those("yml", "Before each commit")
    config: Any = yaml.safe_load(block.text)
    manifest: Any = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    [used] = config["repos"][0]["hooks"]
    assert used["id"] in [hook["id"] for hook in manifest]
    (tmp_path / "config.yaml").write_text(block.text)
    command = [sys.executable, "-m", "pre_commit", "validate-config", "config.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done


def test_its_workflow() -> None:
    first, scanning = (yaml.safe_load(block.text) for block in those("yml", "On GitHub"))
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    steps = first["jobs"]["validate"]["steps"]
    assert steps[1]["with"].keys() <= inputs.keys()
    written = scanning[1]["run"].rpartition("> ")[2]
    assert scanning[2]["with"]["sarif_file"] == written
