"""The hook for pre-commit: installed from this repository, and run by it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cli.support import ROOT

NEEDED = ("dsl", "interpreter", "schemas", "pyproject.toml", "README.md", "LICENSE")
CONFIG = """\
repos:
  - repo: {repository}
    rev: {revision}
    hooks:
      - id: temporal-dsl-validate
"""
GOOD = "dsl: 1\nname: {name}\nsteps: [{{value: 1}}]\n"


def git(folder: Path, *arguments: str) -> str:
    """Runs git as nobody in particular."""
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


def test_the_hook(tmp_path: Path) -> None:
    repository, project = tmp_path / "temporal-dsl", tmp_path / "project"
    for folder in (repository, project):
        folder.mkdir()
    for name in (".pre-commit-hooks.yaml", *NEEDED):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, repository / name, ignore=ignored)
        else:
            shutil.copy(source, repository / name)
    config = CONFIG.format(repository=repository, revision=commit(repository))
    (project / ".pre-commit-config.yaml").write_text(config)
    (project / "compose.yaml").write_text("services: {}\n")
    (project / "chart.yaml").write_text("{{ name }}: [\n")
    (project / "a.yaml").write_text(GOOD.format(name="a"))
    commit(project)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PRE_COMMIT"))}
    environment |= {
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "run", "--color=never", *arguments]
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    done = run("--all-files")
    assert done.returncode == 0, done
    assert "temporal-dsl validate" in done.stdout and "Passed" in done.stdout
    # Only what is to be committed is looked at, but that as a whole.
    (project / "b.yaml").write_text("dsl: 1\nnmae: b\nsteps: [{value: 1}]\n")
    (project / "c.yaml").write_text(GOOD.format(name="c"))
    (project / "d.yml").write_text(GOOD.format(name="c"))
    git(project, "add", "compose.yaml", "c.yaml", "d.yml")
    done = run()
    assert done.returncode == 1, done
    assert "d.yml:2:7: error DSL409" in done.stdout and "b.yaml" not in done.stdout
    git(project, "rm", "--quiet", "--cached", "d.yml")
    done = run()
    assert done.returncode == 0, done
    git(project, "add", "b.yaml")
    done = run()
    assert done.returncode == 1 and "b.yaml:2:1: error DSL101" in done.stdout, done
