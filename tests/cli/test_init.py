"""`init`, and that the commands its README names work as written."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.docs.test_docs import run_script

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    printed = run_script(f"temporal-dsl init {folder}; echo code $?", tmp_path)
    assert "code 0" in printed
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md",
        "activities.py",
        "workflow.schema.json",
        "workflow.yaml",
    ]
    return folder


def test_what_it_writes_works_as_its_readme_says(project: Path) -> None:
    validate, run, fails, _, _ = BLOCK.findall((project / "README.md").read_text())
    assert "no problems" in run_script(validate, project)
    printed = run_script(f"{run.strip()}; echo code $?", project)
    assert '"account": "' in printed
    assert "code 0" in printed
    printed = run_script(f"{fails.strip()}; echo code $?", project)
    assert "NoSuchAddress" in printed
    assert "undone: account" in printed
    assert "code 1" in printed


async def test_its_readme_on_a_cluster(project: Path, server: WorkflowEnvironment) -> None:
    *_, worker, start = BLOCK.findall((project / "README.md").read_text())
    address = server.client.service_client.config.target_host
    worker = worker.replace("localhost:7233", address)
    worker = worker.replace("--definitions .", "--definitions . --task-queue init")
    start = start.replace("--task-queue dsl", "--task-queue init --workflow-id init-1")
    script = f"{worker.strip()} &\nworker=$!\n{start.strip()}\n"
    script += "temporal workflow result --workflow-id init-1\n"
    script += "kill $worker; wait $worker; echo code $?"
    printed = await asyncio.to_thread(run_script, script, project)
    assert "COMPLETED" in printed, printed
    assert "code 0" in printed, printed


def test_it_overwrites_nothing(project: Path) -> None:
    before = (project / "README.md").read_text()
    (project / "README.md").write_text("mine")
    printed = run_script("temporal-dsl init .; echo code $?", project)
    assert "already has workflow.yaml" in printed
    assert "code 2" in printed
    assert (project / "README.md").read_text() == "mine" != before


def test_on_a_full_disk_it_leaves_nothing(tmp_path: Path) -> None:
    # A file may have 4 blocks: the schema has more.
    printed = run_script("ulimit -f 4; temporal-dsl init a/b; echo code $?", tmp_path)
    assert "error: a/b/workflow.schema.json: File too large" in printed
    assert "code 2" in printed
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    run_script("ulimit -f 4; temporal-dsl init mine", tmp_path)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes"]
