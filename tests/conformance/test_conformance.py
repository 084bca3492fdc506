"""Every case below this folder, on a real server in virtual time, and its replay. Twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.conformance import Case, Runner, read_cases

CASES = read_cases(Path(__file__).parent)
EVERY = int(os.environ.get("GOING_ON_EVERY", "16"))
"""Of how many cases one is run a second time. `make soak` runs all of them."""


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_case(case: Case, runner: Runner) -> None:
    await runner.run(case)


@pytest.mark.parametrize("case", CASES[::EVERY], ids=[case.id for case in CASES[::EVERY]])
async def test_case_that_goes_on_as_new(case: Case, short_runner: Runner) -> None:
    """It is the same where the run goes on as new whenever nothing is in flight."""
    await short_runner.run(case)
