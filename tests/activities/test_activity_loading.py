"""Which activities a worker finds in the modules it is given, and what it says if it cannot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import interpreter.activities
from interpreter.activities import ActivityModuleError, ActivityRegistry

HEADER = "from temporalio import activity\n"
ONE = HEADER + "@activity.defn(name='one')\nasync def one() -> int:\n    return 1\n"
ROOT = Path(__file__).parents[2]

Project = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Writes files into a folder and works in it; forgets what was imported from there."""

    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    path, modules = list(sys.path), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def names(*entries: str, base: Path | None = None) -> list[str]:
    return list(ActivityRegistry.load(entries, base=base).catalogue)


def refusal(*entries: str) -> str:
    with pytest.raises(ActivityModuleError) as caught:
        ActivityRegistry.load(entries)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- what is found


def test_functions_and_listed_methods_are_found(project: Project) -> None:
    project(
        {
            "shop.py": ONE
            + "class Till:\n"
            + "    @activity.defn(name='till.open')\n"
            + "    def open(self) -> None: ...\n"
            + "def helper() -> None: ...\n"
            + "till = Till()\n"
            + "activities = [till.open, one, till.open]\n"
        }
    )
    assert names("shop.py") == ["one", "till.open"]


def test_imported_activities_count_and_one_found_twice_is_one(project: Project) -> None:
    project({"one.py": ONE, "all_of_them.py": "from one import one\n"})
    assert names("all_of_them.py", "one", "one.py", "./one.py") == ["one"]


def test_a_base_is_where_relative_paths_start(project: Project, tmp_path: Path) -> None:
    project({"deep/one.py": ONE})
    assert names("one.py", base=tmp_path / "deep") == ["one"]


def test_siblings_of_a_file_can_be_imported(project: Project) -> None:
    project({"deep/acts.py": "from deep_sibling import *\n", "deep/deep_sibling.py": ONE})
    assert names("deep/acts.py") == ["one"]


def test_a_file_of_a_package_is_imported_as_part_of_it(project: Project) -> None:
    project(
        {"pack/__init__.py": "", "pack/acts.py": "from .rest import one\n", "pack/rest.py": ONE}
    )
    assert names("pack/acts.py", "pack.acts", "pack.rest") == ["one"]
    assert "acts" not in sys.modules


def test_nothing_is_imported_twice_under_two_names(project: Project) -> None:
    folder = project({"space/acts.py": "with open('imports', 'a') as f: f.write('once ')\n" + ONE})
    names("space/acts.py", "space.acts", "space/acts.py")
    assert (folder / "imports").read_text() == "once "


def test_two_projects_may_both_call_their_file_activities(project: Project) -> None:
    project({"a/activities.py": ONE, "b/activities.py": ONE.replace("'one'", "'two'")})
    assert names("a/activities.py", "b/activities.py", "a/activities.py") == ["one", "two"]


def test_a_file_named_like_a_module_of_the_library(project: Project) -> None:
    import queue

    project({"queue.py": ONE})
    assert names("queue.py") == ["one"]
    assert sys.modules["queue"] is queue


def test_folders_of_a_project_never_shadow_ours(tmp_path: Path) -> None:
    for folder in ("dsl", "schemas", "interpreter"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("raise RuntimeError('shadowed')\n")
    (tmp_path / "acts.py").write_text(
        ONE + "from interpreter.activities import idempotency_key\nimport dsl.catalogue\n"
    )
    program = (
        "import json, sys\n"
        "sys.path.remove('') if '' in sys.path else None\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from interpreter.activities import ActivityRegistry\n"
        "registry = ActivityRegistry.load(['acts.py', 'acts'])\n"
        "import dsl\n"
        "print(json.dumps([list(registry.catalogue), dsl.__file__]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found, ours = json.loads(done.stdout)
    assert found == ["one"]
    assert ours == str(ROOT / "dsl" / "__init__.py")


def test_what_an_activity_imports_is_light() -> None:
    program = (
        "import sys, interpreter.activities\n"
        "heavy = [m for m in ('yaml', 'dsl', 'rich', 'typer', 'interpreter.workflow',"
        " 'interpreter.activities.registry') if m in sys.modules]\n"
        "print(heavy)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_exports() -> None:
    exported = interpreter.activities.__all__
    assert exported == sorted(exported)
    assert all(hasattr(interpreter.activities, name) for name in exported)
    assert not hasattr(interpreter.activities, "nothing")


def test_an_empty_registry_answers_for_unknown_names() -> None:
    registry = ActivityRegistry.load([])
    assert dict(registry.catalogue) == {}
    assert len(registry.callables()) == 1


# --- what is wrong, in one line


def test_no_such_module_or_file(project: Project) -> None:
    project({"acts.py": ONE})
    assert refusal("missing.py") == (
        "there is no file missing.py to take activities from; beside it there is acts.py"
    )
    assert refusal("missing.module").startswith(
        "there is no module `missing.module` in this folder"
    )
    assert refusal("acts.inner").startswith("there is no module `acts.inner`")
    assert refusal("not-a-name") == (
        "`not-a-name` is neither a module's dotted name nor the path of a .py file"
    )


def test_a_folder_instead_of_a_module(project: Project) -> None:
    project({"my-acts/one.py": ONE})
    assert "name its files: my-acts/NAME.py" in refusal("my-acts")


def test_a_module_hidden_by_ours(project: Project) -> None:
    project({"dsl/acts.py": ONE})
    message = refusal("dsl.acts")
    assert "there is no module `dsl.acts`" in message
    assert "give the path of the .py file instead" in message
    assert names("dsl/acts.py") == ["one"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", "acts.py:1: '(' was never closed"),
        ("\nimport no_such_thing\n", "acts.py:2: imports `no_such_thing`, which is not installed"),
        ("from json import nothing\n", "acts.py:1: cannot import name 'nothing' from 'json'"),
        ("\n\n1 / 0\n", "acts.py:3: ZeroDivisionError: division by zero"),
        ("import helper\n", "helper.py:1: ValueError: two lines"),
        ("import sys\nsys.exit(3)\n", "acts.py:2: the module ends the program"),
        (
            HEADER + "@activity.defn\nasync def f(*, a: int) -> None: ...\n",
            "acts.py:2: TypeError: Activity cannot have keyword-only arguments",
        ),
    ],
)
def test_a_module_that_cannot_be_imported(project: Project, text: str, message: str) -> None:
    project({"acts.py": text, "helper.py": "raise ValueError('two\\nlines')\n"})
    for entry in ("acts.py", "acts"):
        assert refusal(entry).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "acts.py: there are no activities in it; decorate functions with"),
        (
            "class Till:\n    @activity.defn\n    def open(self) -> None: ...\n",
            "acts.py: there are no activities in it; the methods of `Till` become activities when",
        ),
        ("def f() -> None: ...\nactivities = [f]\n", "acts.py: `activities[0]` (f) is no activity"),
        (
            "class Till:\n    @activity.defn\n    def open(self) -> None: ...\n"
            "activities = [Till.open]\n",
            "acts.py:3: open is a method without its object",
        ),
        (
            "from collections.abc import Sequence\nfrom temporalio.common import RawValue\n"
            "@activity.defn(dynamic=True)\nasync def f(a: Sequence[RawValue]) -> None: ...\n",
            "acts.py:4: a dynamic activity has no name",
        ),
        (
            "import sqlite3\n@activity.defn\nasync def f(a: int, db: sqlite3.Connection): ...\n",
            "acts.py:3: the argument `db` of f has the type `Connection`, which is no type of data",
        ),
        (
            "import sqlite3\n@activity.defn\nasync def f() -> sqlite3.Connection: ...\n",
            "acts.py:3: the result of f has the type `Connection`, which is no type of data",
        ),
        (
            "from typing import Callable\n@activity.defn\nasync def f(a: Callable[[], int]): ...\n",
            "acts.py:3: the argument `a` of f has the type `typing.Callable[[], int]`, which is no",
        ),
        (
            "@activity.defn\nasync def f(a: 'Nothing'): ...\n",
            "acts.py:2: NameError: name 'Nothing' is not defined",
        ),
    ],
)
def test_activities_that_cannot_be_used(project: Project, text: str, message: str) -> None:
    project({"acts.py": HEADER + text})
    assert refusal("acts.py").startswith(message)


def test_two_activities_of_one_name(project: Project) -> None:
    project({"a.py": ONE, "b.py": "\n" + ONE})
    assert refusal("a.py", "b.py") == (
        "two activities are named `one`: a.py:2 and b.py:3; rename one with "
        "@activity.defn(name=...)"
    )


def test_another_projects_sibling_is_refused(project: Project) -> None:
    project(
        {
            "a/first.py": "import shared_name\n" + ONE,
            "a/shared_name.py": "",
            "b/second.py": "import shared_name\n" + ONE.replace("'one'", "'two'"),
            "b/shared_name.py": "",
        }
    )
    message = refusal("a/first.py", "b/second.py")
    assert message.startswith("b/second.py:1: imports `shared_name`, which is a/shared_name.py")
