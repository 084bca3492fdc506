"""Every case below this folder, on a real server in virtual time, and its replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.conformance import Case, Runner, read_cases
from tests.support.servers import virtual_server

CASES = read_cases(Path(__file__).parent)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runner() -> AsyncIterator[Runner]:
    async with virtual_server() as server:
        runner = Runner(server)
        async with runner.worker:
            yield runner


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_case(case: Case, runner: Runner) -> None:
    await runner.run(case)
