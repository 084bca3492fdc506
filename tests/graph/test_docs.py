"""The pictures in docs/graphs.md are those that its commands draw."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.support import cli
from tests.graph.support import ROOT

PAGE = (ROOT / "docs" / "graphs.md").read_text()


def test_the_pictures_are_up_to_date(tmp_path: Path) -> None:
    commands = re.findall(r"^temporal-dsl (graph examples/.*)$", PAGE, re.MULTILINE)
    drawn: set[str] = set()
    for command in commands:
        *arguments, file = shlex.split(command)
        again = tmp_path / Path(file).name
        done = cli(*arguments, again, cwd=ROOT)
        assert done.code == 0, done.err
        assert (ROOT / file).read_text() == again.read_text(), f"temporal-dsl {command}"
        drawn.add(file)
    assert drawn == {f"docs/{file}" for file in re.findall(r"\]\((images/[^)]+)\)", PAGE)}
    assert drawn == {f"docs/images/{file.name}" for file in (ROOT / "docs/images").glob("*.svg")}
