"""What the pages say of deploying, from top to bottom: real servers, workers as processes."""

from __future__ import annotations

import asyncio
import itertools
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from interpreter.definitions.catalogues import digest_in, fetch
from interpreter.definitions.host import pollers
from tests.cli.support import environment
from tests.docs.test_docs import DEPLOYING, ROOT, Block, blocks, copy_project, run_console
from tests.end_to_end.support import eventually
from tests.support.servers import real_server, replay_all

ADDRESS = "localhost:7233"
"""The address in the pages."""


class Session:
    """The blocks of a page, one after the other; what its workers do goes on meanwhile."""

    def __init__(self, server: WorkflowEnvironment, folder: Path) -> None:
        self.client = server.client
        self.address = server.client.service_client.config.target_host
        self.folder = folder
        self.workers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self.printed = ""

    async def run(self, page: list[Block]) -> None:
        copy_project(self.folder)
        try:
            for block in page:
                if block.language == "sh":
                    await self.start(block.text.replace(ADDRESS, self.address).strip())
                else:
                    where = {"TEMPORAL_ADDRESS": self.address}
                    done = await asyncio.to_thread(run_console, block, self.folder, **where)
                    self.printed += "".join(done)
            for process, log in self.workers:
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 30) == 0, log.read_text()
                assert "Traceback" not in log.read_text(), log.read_text()
        finally:
            for process, _ in self.workers:
                process.kill()
                process.wait()

    async def start(self, script: str) -> None:
        """Starts a worker: the last line of a block, `exec` so that signals reach it."""
        before, _, worker = f"\n{script}".rpartition("\n")
        assert worker.startswith("temporal-dsl worker"), script
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-ec", f"{before}\nexec {worker}"],
                cwd=self.folder,
                env=environment(TEMPORAL_ADDRESS=self.address),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.workers.append((process, log))

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            return "listening on" in log.read_text()

        await eventually("a worker", listens)
        words = shlex.split(worker)
        given = dict(itertools.pairwise(words))
        await self.known(given, follows="--definitions" not in given)

    async def known(self, given: dict[str, str], follows: bool) -> None:
        """Waits until the server knows a worker, and what it can do if it follows the registry."""
        service = self.client.service_client
        client = Client(service, namespace=given.get("--namespace", "default"))
        home = Client(service, namespace=given.get("--registry-namespace", client.namespace))
        for _ in range(500):
            up = await pollers(client, given.get("--task-queue", "dsl"), activities=True)
            digests = [digest_in(one.identity) or "" for one in up]
            if up and (not follows or await fetch(home, digests[0]) is not None):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"nobody polls: {given}")


PAGES = {
    "README.md": [b for b in blocks("sh", "console") if b.section == DEPLOYING],
    "deploying.md": [b for b in blocks("sh", "console") if b.page.name == "deploying.md"],
}


@pytest.mark.parametrize("page", PAGES)
async def test_deploying_as_the_page_says(page: str, tmp_path: Path) -> None:
    async with real_server() as server:
        session = Session(server, tmp_path)
        await session.run(PAGES[page])
        # Workers were up, so that everything was checked.
        assert session.printed and "warning:" not in session.printed, session.printed
        assert await replay_all(server.client) > 0


def test_the_links_of_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
