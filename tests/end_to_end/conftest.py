"""What the modules share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.end_to_end.support import Books, Site
from tests.support.servers import real_server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """A server in real time; at the end every history on it is replayed."""
    async with real_server() as server:
        site = Site(server)
        yield site
        await site.replay()


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """Books that are not there yet."""
    return Books(tmp_path / "books.sqlite")
