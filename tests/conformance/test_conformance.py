"""Every case below this folder, on a real server in virtual time, and its replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.conformance import Case, Runner, read_cases

CASES = read_cases(Path(__file__).parent)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_case(case: Case, runner: Runner) -> None:
    await runner.run(case)
