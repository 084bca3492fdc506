"""Runs that go on under another revision, or again after they failed: nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from dsl.loader import load_text
from interpreter.operators import ANSWER, RESUME
from tests.support.conformance import TASK_QUEUE, Runner, World
from tests.support.servers import fetch_chain, persistent, replay

Data = dict[str, Any]
HERE = Path(__file__).parent


def _cases(file: str) -> list[Any]:
    cases = yaml.safe_load((HERE / file).read_text())
    return [pytest.param(case, id=case["name"]) for case in cases]


class Site:
    """One case: its workflow id, which is the name of its definition too."""

    def __init__(self, runner: Runner, case: Data) -> None:
        Site.count = getattr(Site, "count", 0) + 1
        self.name = f"revised-{Site.count}"
        self.runner = runner
        self.case = case
        self.world = runner.worlds[self.name] = World(case.get("mocks", {}))

    def deploy(self, definition: Data) -> None:
        loaded = load_text(yaml.safe_dump({"dsl": 1, "name": self.name, **definition}), "case")
        assert loaded.ok, [f"{d.code} {d.place} {d.message}" for d in loaded.diagnostics]
        self.runner.store.add(loaded.definitions)

    async def start(self, *arguments: Any) -> WorkflowHandle[Any, Any]:
        with self.runner.server.with_time_skipping_disabled():
            handle = await self.runner.client.start_workflow(
                self.name, args=arguments, id=self.name, task_queue=TASK_QUEUE
            )
            for signal in self.case.get("signals", []):
                await handle.signal(signal["name"], signal.get("payload"))
        return handle

    async def end(self, handle: WorkflowHandle[Any, Any]) -> Any:
        """Lets the run's time fly, and gives its result."""
        async with asyncio.timeout(20):
            await self.runner.skip(handle)
            return await persistent(handle.result)

    async def redrive(self, failed: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
        wanted = {"alias": "live"} if "revised" in self.case else {}
        arguments = {"redrive": failed.first_execution_run_id, **wanted}
        self.world.calls.clear()
        self.world.counts.clear()
        self.world.mocks = self.case.get("again", {})
        return await self.runner.client.start_workflow(
            self.name,
            args=[self.case.get("input_again", {}), arguments],
            id=self.name,
            task_queue=TASK_QUEUE,
        )

    async def suspended(self) -> WorkflowHandle[Any, Any]:
        handle = self.runner.client.get_workflow_handle(self.name)
        async with asyncio.timeout(20):
            while not (await handle.query("status")).get("suspended"):
                await asyncio.sleep(0.01)
        return handle

    async def resume(self) -> Data:
        handle = self.runner.client.get_workflow_handle(self.name)
        return await handle.execute_update(RESUME, {"by": "ada", "reason": "mended"})

    async def check(self, handle: WorkflowHandle[Any, Any]) -> None:
        """That the last run ends as the case expects."""
        expect = self.case["expect"]
        output = None
        error: str | None = None
        try:
            output = await self.end(handle)
        except WorkflowFailureError as failure:
            assert isinstance(failure.cause, ApplicationError), failure.cause
            error = failure.cause.type
        state = await handle.query("status")
        assert (state["status"], error) == (expect["status"], expect.get("error")), state
        if "output" in expect:
            assert output == expect["output"]
        paths = [call.path for call in self.world.calls]
        if "also" in expect:  # may have been done before
            assert set(expect["calls"]) - set(expect["also"]) <= set(paths) <= set(expect["calls"])
            assert len(paths) == len(set(paths))
        elif expect.get("unordered"):
            assert sorted(paths) == sorted(expect["calls"])
        else:
            assert paths == expect["calls"]
        if "activities" in expect:
            assert [call.activity for call in self.world.calls] == expect["activities"]
        assert [entry["step"] for entry in state["compensations"]] == expect.get("saga", []) or (
            expect.get("unordered")
        )


@pytest.mark.parametrize("case", _cases("redrive.yaml"))
async def test_redrive(case: Data, runner: Runner) -> None:
    site = Site(runner, case)
    site.deploy(case["definition"])
    failed = await site.start(case.get("input", {"zero": 0}))
    with contextlib.suppress(WorkflowFailureError):
        await site.end(failed)
    before = {call.path for call in site.world.calls if call.ended}
    roots = {call.options["root"] for call in site.world.calls}
    if "revised" in case:
        site.deploy(case["revised"])
    again = await site.redrive(failed)
    if "refused" in case:
        with pytest.raises(WorkflowFailureError) as refused:
            await site.end(again)
        cause = refused.value.cause
        assert isinstance(cause, ApplicationError) and cause.type == "NotRedrivable"
        assert all(text in cause.message for text in case["refused"]), cause
        assert site.world.calls == []
        return
    await site.check(again)
    assert before
    assert {call.options["root"] for call in site.world.calls} <= roots
    first = await runner.client.get_workflow_handle(
        site.name, run_id=failed.first_execution_run_id
    ).fetch_history()
    await replay(first, *await fetch_chain(runner.client, site.name))


@pytest.mark.parametrize("case", _cases("resume.yaml"))
async def test_resume(case: Data, runner: Runner) -> None:
    site = Site(runner, case)
    site.deploy(case["definition"])
    first = await site.start(case.get("input", {"zero": 0}))
    await site.suspended()
    for step in ("revised", "revised_again"):
        if step in case:
            await site.suspended()
            site.deploy(case[step])
            done = [call.path for call in site.world.calls]
            site.world.calls.clear()
            assert done or step == "revised_again"
            answered = await site.resume()
            assert len(answered["steps"]) == 1
            async with asyncio.timeout(20):
                while (await first.query("status"))["revision"] != answered["revision"]:
                    await asyncio.sleep(0.01)
    handle = runner.client.get_workflow_handle(site.name)
    for signal in case.get("then_signals", []):
        await handle.signal(signal["name"], signal.get("payload"))
    await site.check(handle)
    state = await handle.query("status")
    assert [(a["action"], a["by"], a["reason"]) for a in state["answers"]] == [
        ("resume", "ada", "mended")
    ] * len([step for step in ("revised", "revised_again") if step in case])
    entries = (await handle.query("journal"))["entries"]
    assert "resume" in [entry["status"] for entry in entries]
    chain = await fetch_chain(runner.client, site.name)
    assert len(chain) > 1
    await replay(*chain)


@pytest.mark.parametrize("ends", ["suspended", "failed"])
@pytest.mark.parametrize("case", _cases("conflicts.yaml"))
async def test_conflicts(case: Data, ends: str, runner: Runner) -> None:
    if case.get("only", ends) != ends:
        pytest.skip("such a run is undone when it fails")
    site = Site(runner, case)
    case = dict(case)
    last = (
        {"id": "x", "value": "${ 1 / input.zero }"} if ends == "suspended" else {"raise": "Broken"}
    )
    common = {"vars": case["vars"]} if "vars" in case else {}

    def definition(steps: str, around: str, last: Data) -> Data:
        inner = [*case[steps], last]
        if around in case:
            inner = [{**case[around], "do": inner}]
        return {**common, "steps": inner}

    signals = {"signals": case["declares"]} if "declares" in case else {}
    wait = [{"if": "false", "wait_signal": "go"}] if signals else []
    old = definition("definition", "around", last)
    site.deploy({**signals, **old, "steps": [*old["steps"], *wait]})
    if "sends" in case:
        site.case = {**case, "signals": [{"name": case["sends"]}]}
    failed = await site.start({"zero": 0})
    revised = definition("revised", "revised_around", {"id": "x", "value": 1})
    if ends == "suspended":
        handle = await site.suspended()
        calls = len(site.world.calls)
        site.deploy(revised)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await site.resume()
        cause = refused.value.cause
        assert (await handle.query("status"))["suspended"]
        assert len(site.world.calls) == calls
        await handle.execute_update(ANSWER, {"action": "fail"})
        with contextlib.suppress(WorkflowFailureError):
            await site.end(handle)
    else:
        with contextlib.suppress(WorkflowFailureError):
            await site.end(failed)
        site.deploy(revised)
        again = await site.redrive(failed)
        with pytest.raises(WorkflowFailureError) as refused:
            await site.end(again)
        cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type in ("NotResumable", "NotRedrivable")
    revision = (await runner.store.get(site.name)).revision
    lines = cause.message.replace(revision, "R").splitlines()
    assert lines[0] == "revision R does not fit what it has done"
    assert lines[1:] == case["conflicts"]
    await replay(*await fetch_chain(runner.client, site.name))


async def test_only_the_last_run_is_redriven(runner: Runner) -> None:
    """Who names a run that was the last once would do again what the one after it did."""
    site = Site(runner, {"mocks": {"B": {"raise": {"type": "Broken"}}}})
    site.deploy({"steps": [{"id": "a", "activity": "A"}, {"id": "b", "activity": "B"}]})
    first = await site.start({})
    with contextlib.suppress(WorkflowFailureError):
        await site.end(first)
    site.case = {"again": {"B": {"raise": {"type": "Broken"}}}}
    second = await site.redrive(first)
    with contextlib.suppress(WorkflowFailureError):
        await site.end(second)
    assert [call.path for call in site.world.calls] == ["b"]
    async with asyncio.timeout(10):  # what lists runs lags behind
        while True:
            runs = [
                one async for one in runner.client.list_workflows(f'WorkflowId = "{site.name}"')
            ]
            if len([one for one in runs if one.close_time is not None]) == 2:
                break
            await asyncio.sleep(0.05)
    third = await site.redrive(first)
    with pytest.raises(WorkflowFailureError) as refused:
        await site.end(third)
    assert "came after it: redrive that one" in str(refused.value.cause)
    assert site.world.calls == []
    site.case = {"again": {}}
    fourth = await site.redrive(second)  # a run that was refused is none
    assert await site.end(fourth) is None
    assert [call.path for call in site.world.calls] == ["b"]
