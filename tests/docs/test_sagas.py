"""docs/sagas.md: every sentence has its tests, all that it names exist, its commands work."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.docs.test_docs import ROOT, blocks, run_console
from tests.support.conformance import read_cases

PAGE = (ROOT / "docs" / "sagas.md").read_text()
REVISIONS = ROOT / "tests" / "revisions"
CASES = {case.id for case in read_cases(ROOT / "tests" / "conformance")} | {
    f"revisions/{file.name}::{case['name']}"
    for file in REVISIONS.glob("*.yaml")
    for case in yaml.safe_load(file.read_text())
}
CASE = re.compile(r"`([\w/]+\.yaml::[^`]+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py::[^`]+)`")
SENTENCE = re.compile(r"^- \*\*(\d+\.\d+)\*\*", re.MULTILINE)
RULE = re.compile(r"^## (\d+)\. ", re.MULTILINE)
ROW = re.compile(r"^\| (\d+\.\d+) \| (.*) \|$", re.MULTILINE)
LRA = re.compile(r"^\| (?:`|all of)(.*) \| (.*) \| (.*) \|$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def named(text: str) -> list[str]:
    """The tests that a text names."""
    return CASE.findall(text) + TEST.findall(text)


def test_the_rules_are_numbered_without_gaps() -> None:
    assert RULE.findall(PAGE) == [str(n) for n in range(1, 14)]
    sentences = SENTENCE.findall(PAGE)
    rules = PAGE[: PAGE.index("## What an operator answers")]
    for number in range(1, 14):
        part = rules.partition(f"\n## {number}. ")[2].partition("\n## ")[0]
        inside = SENTENCE.findall(part)
        assert inside == [f"{number}.{n}" for n in range(1, len(inside) + 1)] != []
        sentences = sentences[len(inside) :]
    assert sentences == []


def test_every_sentence_has_a_test() -> None:
    rows = dict(ROW.findall(PAGE))
    assert list(rows) == SENTENCE.findall(PAGE)
    for sentence, cell in rows.items():
        found = named(cell)
        assert found, sentence
        assert len(found) == len(set(found)) == cell.count("<br>") + 1, sentence


def test_every_case_that_bears_a_number_stands_at_its_sentence() -> None:
    rows = dict(ROW.findall(PAGE))
    for id in CASES:
        file, _, name = id.partition("::")
        rule = re.fullmatch(r"saga/rule_(\d+)\.yaml", file)
        if rule is not None:
            sentence = name.partition(" ")[0]
            assert sentence.partition(".")[0] == str(int(rule[1])), id
            assert f"`{id}`" in rows[sentence], id


def test_every_case_of_the_tck_has_a_test_or_does_not_apply() -> None:
    rows = LRA.findall(PAGE.partition("## Beside the LRA TCK")[2].partition("\n## ")[0])
    assert len(rows) > 20
    for case, here, shown in rows:
        assert named(shown) or here.startswith("not applicable: "), case


def test_every_case_that_is_named_exists() -> None:
    assert set(CASE.findall(PAGE)) <= CASES, set(CASE.findall(PAGE)) - CASES


def test_every_test_that_is_named_exists() -> None:
    ids = sorted(set(TEST.findall(PAGE)))
    assert ids
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *ids], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_lead_somewhere() -> None:
    for page, anchor in LINK.findall(PAGE):
        text = (ROOT / "docs" / page).read_text() if page else PAGE
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
        assert not anchor or anchor in anchors, f"{page}#{anchor}"


def test_what_comes_later_is_not_there_yet() -> None:
    """Once one of these is there the page has to say more of it."""
    later = PAGE.partition("What comes with a later version:")[2].partition("\n## ")[0]
    assert "the status as a search attribute" in later
    assert "CompensationStatus" not in (ROOT / "interpreter" / "workflow.py").read_text()


@pytest.fixture
def share() -> MemoryStore:
    """The page's definition to be answered."""
    [text] = [b.text for b in blocks("yaml") if b.page.name == "sagas.md" and "desk.book" in b.text]
    loaded = load_text(text)
    assert loaded.ok
    return MemoryStore(loaded.definitions)


async def test_its_commands(
    server: WorkflowEnvironment, share: MemoryStore, tmp_path: Path
) -> None:
    @activity.defn(name="desk.book")
    async def book() -> int:
        return 12

    client = server.client
    registry = ActivityRegistry([book])
    pages = [b for b in blocks("console") if b.page.name == "sagas.md"]
    assert len(pages) == 2
    async with make_worker(client, share, registry, task_queue="share"):
        for id in ("order-7", "order-8"):
            handle = await client.start_workflow("share", {"by": 0}, id=id, task_queue="share")
            state = await handle.query("status")
            while state["status"] != "suspended":
                await asyncio.sleep(0.02)
                state = await handle.query("status")
        address = client.service_client.config.target_host
        for block in pages:
            await asyncio.to_thread(run_console, block, tmp_path, TEMPORAL_ADDRESS=address)
