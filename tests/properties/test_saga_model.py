"""Random definitions with random failures: the interpreter does what the reference model asks for.

Hypothesis makes definitions and what their activities do. They run on a real server in virtual
time, many at the same time; `interpreter.testing` says of each run whether it is allowed, and
the histories are replayed from an empty cache. A case that fails is run again, smaller and
smaller, for a minute. SAGA_MODEL_EXAMPLES sets how many cases there are; `make soak` tries more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any

import pytest
import yaml
from hypothesis import Phase

from interpreter.testing import Ended, Observation, Unsupported, check
from tests.properties.sagas import explore
from tests.support.conformance import Call, Case, Observed, Runner
from tests.support.servers import replay

EXAMPLES = int(os.environ.get("SAGA_MODEL_EXAMPLES", "250"))
PART = 125
_COUNT = min(PART, EXAMPLES)
_ABREAST = 16
"""How many runs at the same time."""
_TRIES = 3
"""How often a case that is made smaller is run: what happens at the same time differs."""
_PATIENCE = 60.0
"""How long a case is made smaller, in seconds."""

Data = dict[str, Any]


@pytest.mark.parametrize("part", range(max(1, EXAMPLES // PART)))
async def test_runs_conform_to_the_model(part: int, runner: Runner) -> None:
    await _conform(part, runner)


@pytest.mark.parametrize("part", range(max(1, EXAMPLES // PART // 4)))
async def test_runs_that_go_on_as_new_conform(part: int, short_runner: Runner) -> None:
    """The same of runs that go on as new whenever nothing is in flight."""
    await _conform(1000 + part, short_runner)


async def _conform(part: int, runner: Runner) -> None:
    drawn: list[Data] = []
    explore(_COUNT, part, drawn.append, [Phase.generate])
    gate = asyncio.Semaphore(_ABREAST)

    async def observe(data: Data) -> Observed:
        async with gate:
            return await runner.observe(Case(f"random {part}", data))

    runs = await asyncio.gather(*map(observe, drawn))
    found = [_problems(run) for run in runs]
    assert found.count(None) <= len(found) // 50  # what the model does not know is rare
    wrong = [i for i, problems in enumerate(found) if problems]
    if wrong:
        right = {json.dumps(data) for i, data in enumerate(drawn) if i not in wrong}
        first = _report(drawn[wrong[0]], runs[wrong[0]])
        pytest.fail(await _smallest(part, right, first, runner), pytrace=False)
    await replay(*(history for run in runs for history in run.chain))


async def _smallest(part: int, right: set[str], first: str, runner: Runner) -> str:
    """Makes a case smaller that fails; gives what there is to say about it."""
    loop = asyncio.get_running_loop()
    reports = [first]
    deadline = loop.time() + _PATIENCE

    def body(data: Data) -> None:
        if json.dumps(data) in right or loop.time() > deadline:
            return
        report = asyncio.run_coroutine_threadsafe(_try(data, runner), loop).result()
        if report is not None:
            reports.append(report)
            raise AssertionError

    # Whatever Hypothesis says in the end, which may be that it did not always fail.
    with contextlib.suppress(Exception):
        await asyncio.to_thread(explore, _COUNT, part, body, [Phase.generate, Phase.shrink])
    return min(reports, key=len)


async def _try(data: Data, runner: Runner) -> str | None:
    """Runs a case a few times; says what was wrong, if anything ever was."""
    runs = await asyncio.gather(
        *(runner.observe(Case("smaller", data)) for _ in range(_TRIES)), return_exceptions=True
    )
    for run in runs:
        if isinstance(run, BaseException):
            return f"{_shown(data)}\n{run!r}"
        if _problems(run):
            return _report(data, run)
    return None


def _problems(run: Observed) -> list[str] | None:
    """What is wrong with a run; None where the model does not know."""
    try:
        return [*map(str, check(run.definition, run.observation)), *_in_flight(run)]
    except Unsupported:
        return None


def _in_flight(run: Observed) -> list[str]:
    """What was begun or undone too early or too often, as the activities themselves saw it."""
    # One that timed out may work on where nobody sees it, or begin there: a worker that is busy
    # takes up what the server gave up meanwhile.
    events = [event for turn in run.observation.turns for event in turn.seen]
    unseen = {e.path for e in events if isinstance(e, Ended) and e.outcome == "timed_out"}
    found: list[str] = []
    last: dict[str, Call] = {}  # the last attempt of each act
    for call in run.calls:
        act, undo, rest = call.path.rpartition("!undo")
        if undo and not rest:
            begun = last.get(act)  # none of one that was cancelled on its way
            ended = call.began if begun is None or act in unseen else begun.ended
            if ended is None or ended > call.began:
                found.append(f"{act} was undone while it was in flight")
        if call.path not in unseen and f"{call.path}!undo" in last:
            found.append(f"{call.path} began after it was undone")
        last[call.path] = call
    return found


def _report(data: Data, run: Observed) -> str:
    problems = "\n".join(_problems(run) or [])
    return f"{_shown(data)}\n{_played(run.observation)}\n{problems}"


def _shown(data: Data) -> str:
    plain = json.loads(json.dumps(data))  # no aliases
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)


def _played(observation: Observation) -> str:
    lines = ["the run, turn by turn:"]
    for turn in observation.turns:
        seen = ", ".join(map(str, turn.seen))
        lines.append(f"  saw {seen or 'nothing'}")
        lines += [f"    sent {path}" for path in turn.sent]
        lines += [f"    cancelled {path}" for path in turn.stopped]
    saga = ", ".join(" ".join(entry) for entry in observation.saga)
    return "\n".join([*lines, f"it {observation.status}; saga log: {saga or 'empty'}"])
