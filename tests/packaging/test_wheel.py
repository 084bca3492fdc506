"""The wheel: what is in it, and that it works where nothing of this checkout is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import ROOT

CONSTRAINTS = ROOT / "constraints.txt"

BROKEN = "raise RuntimeError('this is the user\\'s own folder')\n"
DEFINITION = """\
dsl: 1
name: greeting
input: {type: object, required: [who], properties: {who: {type: string}}}
steps:
  - id: greet
    activity: greetings.greet
    with: {who: "${ input.who }"}
output: ${ steps.greet.output }
"""
ACTIVITIES = """\
from temporalio import activity

from interpreter.activities import idempotency_key


@activity.defn(name="greetings.greet")
async def greet(who: str) -> str:
    assert idempotency_key().endswith("/greet")
    return f"hello {who}"
"""


def _version(python: str) -> tuple[int, int] | None:
    """The version of a Python; None where it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def _pythons() -> Iterator[tuple[tuple[int, int], str]]:
    found: set[tuple[int, int]] = set()
    on_path = (shutil.which(f"python3.{minor}") for minor in range(11, 20))
    installed = sorted(Path("~/.pyenv/versions").expanduser().glob("3.1[1-9]*/bin/python"))
    for python in (*map(str, installed), *on_path):
        version = _version(python) if python else None
        if python and version is not None and version >= (3, 11) and version not in found:
            found.add(version)
            yield version, python


PYTHONS = {f"{major}.{minor}": python for (major, minor), python in sorted(_pythons())}
TRIED = list(PYTHONS) if os.environ.get("ALL_PYTHONS") else [*PYTHONS][-1:]
"""The newest; with ALL_PYTHONS, as in `make soak`, all that there are."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    (built,) = folder.glob("*.whl")
    return built


def test_its_content(wheel: Path) -> None:
    assert re.fullmatch(r"temporal_dsl-[\d.]+-py3-none-any\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode()
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        schema = archive.read("dsl/schemas/workflow.schema.json")
    assert {"dsl/py.typed", "interpreter/py.typed", f"{info}/licenses/LICENSE"} <= names
    assert schema == (ROOT / "schemas" / "workflow.schema.json").read_bytes()
    assert {name.split("/")[0] for name in names} == {"dsl", "interpreter", info}
    modules = {name for name in names if name.endswith(".py")}
    for package in ("dsl", "interpreter"):
        here = {str(file.relative_to(ROOT)) for file in (ROOT / package).rglob("*.py")}
        assert {name for name in modules if name.startswith(f"{package}/")} == here
    others = {name for name in names if not name.endswith((".py", "py.typed", ".json"))}
    project = {f"interpreter/cli/project/{name}" for name in ("README.md", "workflow.yaml")}
    data = project | {"dsl/reference/codes.yaml"}
    assert data <= others
    assert all(name.startswith(info) for name in others - data), others
    assert "temporal-dsl = interpreter.cli:main" in scripts
    assert "Requires-Python: >=3.11" in metadata and "License-Expression: MIT" in metadata


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project; some of its folders are called as ours."""
    folder = tmp_path / "project"
    for name in ("dsl", "schemas", "interpreter"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(BROKEN)
    (folder / "greeting.yaml").write_text(DEFINITION)
    (folder / "typo.yaml").write_text(DEFINITION.replace("greetings.greet", "greetings.great"))
    (folder / "activities.py").write_text(ACTIVITIES)
    return folder


@pytest.mark.parametrize("version", TRIED)
def test_installed_with_nothing_else(
    wheel: Path, version: str, tmp_path: Path, project: Path
) -> None:
    venv = tmp_path / "venv"
    done = subprocess.run(
        [PYTHONS[version], "-m", "venv", "--without-pip", venv],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"{PYTHONS[version]} cannot make a venv: {done.stderr.strip()[-200:]}")
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "--quiet"]
    done = subprocess.run(
        [*pip, "install", "--no-compile", "--constraint", CONSTRAINTS, f"{wheel}[local]"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*pip, "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TEMPORAL_", "PYTHON", "VIRTUAL_ENV"))
    }
    environment["PATH"] = f"{venv / 'bin'}:/usr/bin:/bin"
    environment["XDG_CONFIG_HOME"] = "/nonexistent"

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )

    for program in (("temporal-dsl",), ("temporal", "dsl")):
        done = run(*program, "validate", "greeting.yaml")
        assert (done.returncode, done.stdout) == (0, ""), done
        assert "no problems in greeting" in done.stderr
    done = run("temporal", "-o", "json", "dsl", "validate", ".", "--activities", "activities")
    assert done.returncode == 2, done
    assert '"file": "typo.yaml"' in done.stdout and "greetings.greet" in done.stdout
    done = run("temporal-dsl", "validate", "greeting.yaml", "--activities", "activities")
    assert done.returncode == 0, done
    done = run("temporal-dsl", "run", "greeting.yaml", "--input", '{"who": "you"}')
    assert (done.returncode, done.stdout) == (0, '"hello you"\n'), done
    done = run("temporal-dsl", "schema")
    assert done.returncode == 0 and done.stdout.startswith("{"), done


def test_the_python_of_these_tests_is_among_them() -> None:
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS
