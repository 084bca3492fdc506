"""docs/callbacks.md: its files, its commands, and what it tells an agency to do."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry
from interpreter.activities.loading import load_module
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.docs.test_docs import ROOT, blocks, run_script
from tests.end_to_end.support import eventually

PAGE = [block for block in blocks("python", "yaml", "sh") if block.page.name == "callbacks.md"]
ADDRESS = "127.0.0.1:7233"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the page."""
    for block in PAGE:
        if (named := re.match(r"# (\S+\.\w+)\n", block.text)) is not None:
            (tmp_path / named[1]).write_text(block.text)
    written = {file.name for file in tmp_path.iterdir()}
    assert written == {"activities.py", "translation.yaml", "agency.py"}
    return tmp_path


def of(server: WorkflowEnvironment) -> str:
    return server.client.service_client.config.target_host


async def test_its_commands(server: WorkflowEnvironment, folder: Path) -> None:
    [block] = [block for block in PAGE if block.language == "sh"]
    assert ADDRESS in block.text
    script = block.text.replace(ADDRESS, of(server)) + "echo code $?\n"
    printed = await asyncio.to_thread(run_script, script, folder)
    assert "translation completed" in printed and '"Tor"\ncode 0' in printed, printed


class Agency:
    """The page's agency, and a worker for runs of the page's definition.

    Args:
        folder: Where the page's files are, and we.
        text: The definition.
    """

    def __init__(self, client: Client, folder: Path, text: str) -> None:
        self.client = client
        self.box = folder / "inbox.json"
        self.registry = ActivityRegistry.load([str(folder / "activities.py")])
        loaded = load_text(text, catalogue=self.registry.catalogue)
        assert loaded.ok and not loaded.diagnostics
        self.store = MemoryStore(loaded.definitions)
        self.module = load_module("agency.py", folder)

    def worker(self, queue: str) -> Worker:
        return make_worker(self.client, self.store, self.registry, task_queue=queue)

    async def given(self, queue: str) -> tuple[WorkflowHandle[Any, Any], bytes]:
        """A run, and the token of what lies in the agency's box."""
        self.box.unlink(missing_ok=True)
        handle = await self.client.start_workflow(
            "translation", {"text": "gate"}, id=queue, task_queue=queue
        )
        await eventually("the work", lambda: self.box.exists() and self.box.read_text())
        [(key, work)] = json.loads(self.box.read_text()).items()
        assert key.endswith("/translate") and work["text"] == "gate"
        return handle, bytes.fromhex(work["token"])

    async def answer(self, token: bytes, text: str | None) -> bool:
        return await self.module.answer(self.client, token, text)


async def error(handle: WorkflowHandle[Any, Any]) -> BaseException | None:
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    return failure.value.cause


async def test_its_agency(
    server: WorkflowEnvironment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    agency = Agency(server.client, folder, (folder / "translation.yaml").read_text())
    async with agency.worker("page"):
        handle, token = await agency.given("page")
        assert await agency.answer(token, "Tor")
        assert await handle.result() == "Tor"
        assert not await agency.answer(token, "Pforte")
    async with agency.worker("page-refused"):
        handle, token = await agency.given("page-refused")
        assert await agency.answer(token, None)
        cause = await error(handle)
        assert isinstance(cause, ApplicationError) and cause.type == "TooHard"


async def test_its_agency_is_told_of_a_cancellation(
    server: WorkflowEnvironment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = (folder / "translation.yaml").read_text()
    text = text.replace("output:", "    compensate: {value: undone}\noutput:")
    agency = Agency(server.client, folder, text)
    async with agency.worker("page-cancelled"):
        handle, token = await agency.given("page-cancelled")
        await handle.cancel()

        async def asked() -> bool:
            events = (await handle.fetch_history()).events
            return any(
                each.HasField("activity_task_cancel_requested_event_attributes") for each in events
            )

        async with asyncio.timeout(30):
            while not await asked():
                await asyncio.sleep(0.05)
        assert not await agency.answer(token, "Tor")
        assert isinstance(await error(handle), CancelledError)
        state = await handle.query("status")
    assert [entry["status"] for entry in state["compensations"]] == ["cancelled"]


def test_what_it_says_of_the_gateway() -> None:
    """tests/examples/test_document_signing.py shows that it answers so."""
    page = (ROOT / "docs" / "callbacks.md").read_text()
    gateway = (ROOT / "examples" / "document-signing" / "gateway.py").read_text()
    status = r"\b[45]\d\d\b"
    assert (
        set(re.findall(status, page)) == {"400", "410", "503"} <= set(re.findall(status, gateway))
    )
