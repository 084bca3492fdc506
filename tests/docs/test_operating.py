"""docs/operating.md: its commands do what it says, and its links lead somewhere."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.docs.test_docs import ROOT, blocks, run_console
from tests.end_to_end.support import Site, WorkerProcess
from tests.support.servers import real_server

PAGE = [block for block in blocks("python", "yaml", "console") if block.page.name == "operating.md"]


async def test_its_commands(tmp_path: Path) -> None:
    for block in PAGE:
        if (named := re.match(r"# (\S+\.\w+)\n", block.text)) is not None:
            (tmp_path / named[1]).write_text(block.text)
    [console] = [block for block in PAGE if block.language == "console"]
    async with real_server() as server:
        site = Site(server)
        acts = ("--activities", tmp_path / "activities.py")
        with WorkerProcess(site, tmp_path / "log", *acts) as worker:
            await worker.ready()
            printed = await asyncio.to_thread(
                run_console, console, tmp_path, TEMPORAL_ADDRESS=site.address
            )
        handle = site.handle("order-7")
        assert await handle.result() == "A1"
        assert printed[-1].count('"path": "reserve"') == printed[-1].count('"path": "pay"') == 1
        await site.replay()


def test_links_lead_somewhere() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    links = re.findall(r"\]\(([^)#]*)#([^)]*)\)", page)
    assert len(links) > 4
    for file, anchor in links:
        text = (ROOT / "docs" / file).read_text() if file else page
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert anchor in [heading.lower().replace(" ", "-") for heading in headings], anchor
