"""docs/embedding.md: its code is that of the example and of the tests."""

from __future__ import annotations

import ast
import inspect

from interpreter.plugin import DslPlugin
from tests.docs.test_docs import ROOT, blocks

PAGE = [block.text for block in blocks("python") if block.page.name == "embedding.md"]


def test_what_it_quotes_is_in_the_example() -> None:
    example = [
        file.read_text() for file in sorted((ROOT / "examples" / "embedded-worker").glob("*.py"))
    ]
    quoted = [block for block in PAGE if any(block in text for text in example)]
    assert [block.split("(")[0].strip() for block in quoted] == [
        "def make_worker",
        "closed: dict[str, Any] = await workflow.execute_child_workflow",
    ]


def test_the_other_code_is_what_the_tests_do() -> None:
    """Each keyword of it is one with which a test calls the same thing."""
    tests = [
        ast.parse((ROOT / "tests" / file).read_text())
        for file in (
            "support/codec.py",
            "end_to_end/test_plugin.py",
            "end_to_end/test_plugin_codec.py",
        )
    ]
    tested = {call for tree in tests for call in _calls(tree)}
    assert len(PAGE) == 4
    for block in PAGE[2:]:
        said = set(_calls(ast.parse(f"async def main():\n{_indented(block)}")))
        assert said and said <= tested, said - tested


def test_it_names_every_option() -> None:
    page = (ROOT / "docs" / "embedding.md").read_text()
    options = list(inspect.signature(DslPlugin).parameters)
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert rows == options


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _calls(tree: ast.AST) -> list[tuple[str, str]]:
    """The calls with keywords: the name of what is called, and a keyword."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            found += [(name, one.arg) for one in node.keywords if one.arg is not None]
    return found
