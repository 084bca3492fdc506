"""What docs/schedules.md says, from top to bottom: a real server, a worker as a process."""

from __future__ import annotations

import re
from pathlib import Path

from dsl.model.schedule import OVERLAPS, Schedule
from tests.docs.test_deploying import Session
from tests.docs.test_docs import ROOT, blocks
from tests.support.servers import real_server, replay_all

PAGE = [block for block in blocks("sh", "console") if block.page.name == "schedules.md"]
TEXT = (ROOT / "docs" / "schedules.md").read_text()


async def test_scheduling_as_the_page_says(tmp_path: Path) -> None:
    found = re.search(r"^```yaml\n# report\.yaml\n(.*?)^```$", TEXT, re.M | re.S)
    assert found is not None
    (tmp_path / "report.yaml").write_text(found[1])
    async with real_server() as server:
        session = Session(server, tmp_path)
        await session.run(PAGE)
        assert "warning:" not in session.printed, session.printed
        assert await replay_all(server.client) > 0


def test_it_tells_of_every_key_and_overlap() -> None:
    assert len(PAGE) >= 6
    for word in (*Schedule.model_fields, *OVERLAPS):
        assert re.search(rf"\b{word}\b", TEXT), word
