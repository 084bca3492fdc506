"""The action for GitHub: its steps, run as GitHub's runner does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.support import ROOT

ACTION: Any = yaml.safe_load((ROOT / "action.yml").read_text())
INPUT = re.compile(r"\$\{\{ inputs\.(\w+) \}\}")
GOOD = "dsl: 1\nname: {name}\nsteps: [{{value: 1}}]\n"
MAIL = "dsl: 1\nname: mail\nsteps: [{id: send, activity: mail.sent, with: {to: me}}]\n"
ACTIVITIES = """\
import greetings
from temporalio import activity

@activity.defn(name="mail.send")
async def send(to: str) -> None: ...
"""


def step(number: int, temporary: Path, project: Path, **inputs: str) -> tuple[int, str, str]:
    """Runs a step; gives its exit code and what it printed."""
    one = ACTION["runs"]["steps"][number]
    assert one["shell"] == "bash"
    # What users give is never part of a script.
    assert "${{" not in one["run"]
    assert inputs.keys() <= ACTION["inputs"].keys()

    def value(match: re.Match[str]) -> str:
        default: str = ACTION["inputs"][match[1]]["default"]
        return inputs.get(match[1], default)

    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TEMPORAL"))}
    environment |= {k: INPUT.sub(value, v) for k, v in one.get("env", {}).items()}
    environment |= {
        "RUNNER_TEMP": str(temporary),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_WORKSPACE": str(project),
        "GITHUB_ACTIONS": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    script = temporary / f"step{number}.sh"
    script.write_text(one["run"])
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner's folder after the first step."""
    folder = tmp_path_factory.mktemp("a runner")
    assert step(0, folder, folder)[0] == 0
    return folder


def test_the_action(temporary: Path, tmp_path: Path) -> None:
    folder = tmp_path / "some definitions"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD.format(name="a"))
    (folder / "b.yaml").write_text(GOOD.format(name="a"))
    (tmp_path / "compose.yml").write_text("services: {}\n")
    code, out, err = step(1, temporary, tmp_path)
    assert (code, err) == (2, "1 error in 1 of 2 files, 1 other file skipped\n")
    place = "file=some definitions/b.yaml,line=2,col=7,endLine=2,endColumn=8"
    title = "title=DSL409 definitions of the same name"
    assert out.startswith(f"::error {place},{title}::some definitions/b.yaml:2:7: two ")
    assert out.count("\n") == 1
    given = "some definitions/a.yaml\n\n$(touch no)\n; touch no #\n-o\n"
    for name in ("$(touch no)", "; touch no #", "-o"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(GOOD.format(name=f"x{len(name)}"))
    code, out, err = step(1, temporary, tmp_path, paths=given, strict="true")
    assert (code, out, err) == (0, "", "no problems in a, x11, x12, x2\n")
    assert not (tmp_path / "no").exists()


def test_activities(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(MAIL)
    (tmp_path / "greetings.py").touch()
    (tmp_path / "activities.py").write_text(ACTIVITIES)
    assert step(1, temporary, tmp_path, paths="mail.yaml")[0] == 0
    code, out, _ = step(1, temporary, tmp_path, activities="activities.py\n")
    assert code == 2 and "DSL502 unknown activity::mail.yaml:3:" in out
    assert "hint: did you mean `mail.send`?" in out


def test_its_inputs_are_told() -> None:
    page = (ROOT / "docs" / "checking.md").read_text()
    for name, about in ACTION["inputs"].items():
        assert about["description"] and isinstance(about["default"], str)
        assert f"`{name}`" in page
