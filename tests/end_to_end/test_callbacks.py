"""Activities that others complete: outside services, by a task token, by ids, by Temporal's CLI.

What these tests say is what docs/callbacks.md says. Every history is replayed from an empty cache.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from temporalio import activity
from temporalio.client import (
    AsyncActivityCancelledError,
    AsyncActivityHandle,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from dsl.loader import load_text
from interpreter.activities import ActivityRegistry, idempotency_key
from interpreter.definitions.store import MemoryStore
from interpreter.worker import make_worker
from tests.end_to_end.support import Site, WorkerProcess, eventually
from tests.support.servers import fetch_chain, replay

Handle = WorkflowHandle[Any, Any]


class Desk:
    """A definition with activities that hand their work over, and what was handed over.

    Args:
        site: The server.
        text: The definition without its name, which is its own.
        continue_after: After how many events its runs go on as new.
    """

    def __init__(self, site: Site, text: str, continue_after: int | None = None) -> None:
        self.site = site
        self.client = site.client
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.continue_after = continue_after
        self.log: list[tuple[str, Any]] = []
        self.tokens: dict[str, list[bytes]] = {}
        self.keys: list[str] = []
        self.refuse = 0
        registry = self.registry()
        loaded = load_text(f"dsl: 1\nname: {self.name}\n{text}", catalogue=registry.catalogue)
        assert loaded.ok, loaded.diagnostics
        self.store = MemoryStore(loaded.definitions)

    def hand_over(self, value: Any) -> None:
        """What an outside service is given."""
        info = activity.info()
        self.keys.append(idempotency_key())
        self.log.append((info.activity_id, value))
        if self.refuse:
            self.refuse -= 1
            raise ApplicationError("come again", type="Busy")
        self.tokens.setdefault(info.activity_id, []).append(info.task_token)

    def registry(self) -> ActivityRegistry:
        @activity.defn(name="ask")
        async def ask(value: Any = None) -> dict[str, Any]:
            self.hand_over(value)
            activity.raise_complete_async()

        @activity.defn(name="ask_in_thread")
        def ask_in_thread(value: Any = None) -> NoReturn:
            self.hand_over(value)
            activity.raise_complete_async()

        @activity.defn(name="ask_and_fail")
        async def ask_and_fail() -> None:
            self.hand_over(None)
            token = activity.info().task_token
            await self.client.get_async_activity_handle(task_token=token).complete("quick")
            raise ApplicationError("the answer to the handing over was lost", type="Lost")

        @activity.defn(name="act")
        async def act(value: Any = None) -> Any:
            self.log.append((activity.info().activity_id, value))
            return value

        return ActivityRegistry([ask, ask_in_thread, ask_and_fail, act])

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker as long as it lasts."""
        async with make_worker(
            self.client,
            self.store,
            self.registry(),
            task_queue=self.name,
            continue_after=self.continue_after,
        ):
            yield

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Handle]:
        """A run, and a worker as long as it lasts."""
        async with self.worker():
            yield await self.start()

    async def start(self) -> Handle:
        self.site.ids.append(self.name)
        return await self.client.start_workflow(self.name, id=self.name, task_queue=self.name)

    async def token(self, path: str, number: int = 1) -> AsyncActivityHandle:
        """Waits until the work of a step was handed over, and gives its handle by token."""

        def handed() -> bool:
            return len(self.tokens.get(path, ())) >= number

        await eventually(f"{path} for the {number}. time: {self.log}", handed)
        return self.client.get_async_activity_handle(task_token=self.tokens[path][number - 1])

    def by_ids(self, path: str) -> AsyncActivityHandle:
        """The handle by the run's id and the step's path."""
        return self.client.get_async_activity_handle(
            workflow_id=self.name, run_id=None, activity_id=path
        )

    async def output(self, handle: Handle) -> Any:
        """What the run gives; it replays."""
        output = await handle.result()
        for history in await fetch_chain(self.client, self.name):
            await replay(history)
        return output

    async def error(self, handle: Handle) -> tuple[str | None, str, dict[str, Any]]:
        """The type and the message that the run fails with, and its state; it replays."""
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        cause = failure.value.cause
        state = await handle.query("status")
        await replay(await handle.fetch_history())
        if isinstance(cause, CancelledError):
            return "Cancelled", cause.message, state
        assert isinstance(cause, ApplicationError), cause
        return cause.type, cause.message, state


def undone(state: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of each entry of the saga log its step, how that ended, and how its undoing ended."""
    return [(e["step"], e["status"], e["compensation"]) for e in state["compensations"]]


async def gone(handle: AsyncActivityHandle) -> str:
    """What the server says to a completion that nobody waits for."""
    with pytest.raises(RPCError) as error:
        await handle.complete({"late": True})
    assert error.value.status is RPCStatusCode.NOT_FOUND
    return error.value.message


# --- completing


@pytest.mark.parametrize("name", ["ask", "ask_in_thread"])
async def test_by_its_token(site: Site, name: str) -> None:
    text = f"""
steps:
  - {{id: a, activity: {name}, with: {{value: 7}}}}
  - {{id: b, activity: act, with: {{value: "${{ steps.a.output }}"}}}}
"""
    desk = Desk(site, text)
    async with desk.started() as handle:
        token = await desk.token("a")
        state = await handle.query("status")
        assert [(s["path"], s["status"]) for s in state["steps"]] == [
            ("a", "running"),
            ("b", "pending"),
        ]
        answer = {"z": [1, 2.5, None], "a": "\u00e9"}
        await token.complete(answer)
        assert await desk.output(handle) == answer
        assert "completed" in await gone(token)
    assert desk.log == [("a", 7), ("b", answer)]


async def test_by_the_ids(site: Site) -> None:
    desk = Desk(site, "steps: [{do: [{id: a, activity: ask}]}]")
    async with desk.started() as handle:
        await desk.token("a")
        await desk.by_ids("a").complete("done")
        assert await desk.output(handle) == "done"
        await gone(desk.by_ids("a"))


@pytest.mark.parametrize("arguments", [(), (None,)])
async def test_nothing_as_the_result(site: Site, arguments: tuple[None, ...]) -> None:
    desk = Desk(site, "steps: [{id: a, activity: ask}]")
    async with desk.started() as handle:
        await (await desk.token("a")).complete(*arguments)
        assert await desk.output(handle) is None


async def test_the_result_is_not_held_against_the_functions_type(site: Site) -> None:
    """The function of `ask` says `dict`; nobody looks when others answer."""
    desk = Desk(site, "steps: [{id: a, activity: ask}]")
    async with desk.started() as handle:
        await (await desk.token("a")).complete(["no", "object"])
        assert await desk.output(handle) == ["no", "object"]


async def resolved(desk: Desk, handle: Handle) -> str:
    """Waits until the one step is suspended, says why, and gives its result by hand."""
    async with asyncio.timeout(30):
        while (state := await handle.query("status"))["status"] != "suspended":
            await asyncio.sleep(0.05)
    [step] = state["steps"]
    answer = {"action": "resolve", "step": "a", "output": "by hand"}
    await handle.execute_update("dsl.answer", answer)
    assert await desk.output(handle) == "by hand"
    return step["fault"]


@pytest.mark.parametrize("result", [float("nan"), b"bytes"])
async def test_a_result_that_is_no_json(site: Site, result: object) -> None:
    """It is a fault: the run is suspended where it stands, and an operator may give the result."""
    desk = Desk(site, "steps: [{id: a, activity: ask}]")
    async with desk.started() as handle:
        await (await desk.token("a")).complete(result)
        fault = await resolved(desk, handle)
    assert fault.startswith("InvalidResult: the result of ask is no JSON")


@pytest.mark.parametrize("name", ["ask", "ask_in_thread"])
async def test_a_local_activity_cannot_be_completed(site: Site, name: str) -> None:
    desk = Desk(site, f"steps: [{{id: a, activity: {name}, local: true}}]")
    async with desk.started() as handle:
        fault = await resolved(desk, handle)
    assert fault.startswith("InvalidResult: others cannot complete a local activity")
    assert len(desk.log) == 1


TOO_LARGE = "x" * (2 * 1024 * 1024)


async def test_a_result_that_is_too_large_for_the_server(site: Site) -> None:
    """It is the fault that it is in an activity, and no error; the step is not done again."""
    desk = Desk(site, "steps: [{id: a, activity: ask, catch: [{output: caught}]}]")
    async with desk.started() as handle:
        await (await desk.token("a")).complete(TOO_LARGE)
        fault = await resolved(desk, handle)
    assert fault == "InvalidResult: the result is larger than Temporal takes"
    assert len(desk.log) == 1


async def test_an_error_that_is_too_large_for_the_server(site: Site) -> None:
    """It makes an error of its own of it."""
    text = "steps: [{id: a, activity: ask, catch: [{errors: [ServerError], output: '${ error }'}]}]"
    desk = Desk(site, text)
    async with desk.started() as handle:
        token = await desk.token("a")
        await token.fail(ApplicationError("no", TOO_LARGE, type="Declined", non_retryable=True))
        error = await desk.output(handle)
    assert "exceeds size limit" in error["message"] and len(desk.log) == 1


async def test_by_temporals_own_cli(site: Site) -> None:
    """Items of a loop: their ids have brackets."""
    text = """
steps:
  - id: ship_all
    foreach: range(3)
    concurrency: 3
    do:
      - {id: ship, activity: ask, with: {value: "${ item }"}}
    tolerated_failures: 1
"""
    desk = Desk(site, text)
    async with desk.started() as handle:
        for place in range(3):
            await desk.token(f"ship_all[{place}].ship")
        for place in (2, 0):
            answer = json.dumps({"tracking": f"T{place}"})
            ids = ("--workflow-id", desk.name, "--activity-id", f"ship_all[{place}].ship")
            await site.temporal("activity", "complete", *ids, "--result", answer)
        ids = ("--workflow-id", desk.name, "--activity-id", "ship_all[1].ship")
        await site.temporal("activity", "fail", *ids, "--reason", "no such street")
        assert await desk.output(handle) == [{"tracking": "T0"}, None, {"tracking": "T2"}]
        state = await handle.query("status")
    assert "no such street" in json.dumps(state)
    assert sorted(desk.log) == [(f"ship_all[{place}].ship", place) for place in range(3)]


# --- failing


CAUGHT = """
steps:
  - id: a
    activity: ask
    retry: {maximum_attempts: 3, initial_interval: 100ms}
    catch:
      - errors: [Declined]
        output: ${ error }
"""


async def test_a_failure_is_caught_by_its_type(site: Site) -> None:
    desk = Desk(site, CAUGHT)
    async with desk.started() as handle:
        declined = ApplicationError("not me", {"by": "ada"}, type="Declined", non_retryable=True)
        await (await desk.token("a")).fail(declined)
        expected = {"type": "Declined", "message": "not me", "details": {"by": "ada"}, "step": "a"}
        assert await desk.output(handle) == expected
    assert len(desk.log) == 1


async def test_a_failure_by_temporals_own_cli(site: Site) -> None:
    """It is final, and has no type of its own."""
    desk = Desk(site, CAUGHT.replace("errors: [Declined]", "errors: [Error]"))
    async with desk.started() as handle:
        await desk.token("a")
        ids = ("--workflow-id", desk.name, "--activity-id", "a")
        await site.temporal("activity", "fail", *ids, "--reason", "no", "--detail", '{"n": 1}')
        expected = {"type": "Error", "message": "no", "details": {"n": 1}, "step": "a"}
        assert await desk.output(handle) == expected
    assert len(desk.log) == 1


async def test_a_type_that_is_ours(site: Site) -> None:
    """Whoever may choose such a type can make faults, which `catch` does not see."""
    desk = Desk(site, CAUGHT)
    async with desk.started() as handle:
        ours = ApplicationError("no", type="dsl.InvalidArguments", non_retryable=True)
        await (await desk.token("a")).fail(ours)
        assert await resolved(desk, handle) == "InvalidArguments: no"


async def test_a_failure_that_may_be_retried_hands_over_anew(site: Site) -> None:
    """All attempts have one key; an old token is worth nothing, the ids mean the newest."""
    desk = Desk(site, CAUGHT)
    async with desk.started() as handle:
        for number in (1, 2):
            await (await desk.token("a", number)).fail(ApplicationError("?", type="Declined"))
        await desk.token("a", 3)
        await gone(await desk.token("a", 1))
        await gone(await desk.token("a", 2))
        await desk.by_ids("a").complete("third")
        assert await desk.output(handle) == "third"
    assert len(desk.keys) == 3 and len(set(desk.keys)) == 1


async def test_a_failure_of_the_handing_over(site: Site) -> None:
    """`when` retries that, and not an answer that does not come."""
    text = """
steps:
  - id: a
    activity: ask
    start_to_close_timeout: 1s
    retry: {maximum_attempts: 5, initial_interval: 100ms, when: error.type != "Timeout"}
"""
    desk = Desk(site, text)
    desk.refuse = 2
    async with desk.started() as handle:
        kind, _, state = await desk.error(handle)
    assert kind == "Timeout" and state["error"]["details"] == {"kind": "start_to_close"}
    assert len(desk.keys) == 3 and len(set(desk.keys)) == 1
    assert len(desk.tokens["a"]) == 1


async def test_an_answer_that_is_quicker_than_the_handing_over(site: Site) -> None:
    """The first word counts: what the function says later changes nothing."""
    desk = Desk(site, "steps: [{id: a, activity: ask_and_fail}]")
    async with desk.started() as handle:
        assert await desk.output(handle) == "quick"
    assert len(desk.keys) == 1


async def test_a_later_failure_undoes_it(site: Site) -> None:
    text = """
steps:
  - {id: a, activity: ask, compensate: {activity: ask, with: {value: "${ step.output }"}}}
  - {id: b, activity: ask_in_thread, retry: {maximum_attempts: 1}}
"""
    desk = Desk(site, text)
    async with desk.started() as handle:
        await (await desk.token("a")).complete({"ticket": 7})
        await (await desk.token("b")).fail(ApplicationError("no", type="Refused"))
        # What undoes may be completed by others too.
        await (await desk.token("a!undo")).complete()
        kind, _, state = await desk.error(handle)
    assert kind == "Refused" and undone(state) == [("a", "completed", "compensated")]
    assert desk.log == [("a", None), ("b", None), ("a!undo", {"ticket": 7})]


# --- time


async def test_no_heartbeat(site: Site) -> None:
    """Whoever took the work says that it lives, until it does not."""
    text = """
steps:
  - {id: a, activity: ask, heartbeat_timeout: 2s, retry: {maximum_attempts: 1}}
"""
    desk = Desk(site, text)
    async with desk.started() as handle:
        token = await desk.token("a")
        for number in range(6):
            await asyncio.sleep(0.5)
            await token.heartbeat(number)
        started = asyncio.get_running_loop().time()
        kind, _, state = await desk.error(handle)
        assert 1.5 < asyncio.get_running_loop().time() - started < 10
        await gone(token)
    assert kind == "Timeout" and state["error"]["details"] == {"kind": "heartbeat"}


async def test_a_start_to_close_timeout_hands_over_anew(site: Site) -> None:
    text = """
steps:
  - {id: a, activity: ask, start_to_close_timeout: 1s, retry: {initial_interval: 100ms}}
"""
    desk = Desk(site, text)
    async with desk.started() as handle:
        await desk.token("a", 2)
        await gone(await desk.token("a", 1))
        await desk.by_ids("a").complete("at last")
        assert await desk.output(handle) == "at last"
    assert len(set(desk.keys)) == 1


async def test_the_timeout_of_the_step(site: Site) -> None:
    """Where nothing is to be undone the step ends at once, and bounds each attempt too."""
    text = "steps: [{id: a, activity: ask, timeout: 1s, start_to_close_timeout: 1h}]"
    desk = Desk(site, text)
    async with desk.started() as handle:
        token = await desk.token("a")
        kind, _, state = await desk.error(handle)
        assert kind == "Timeout" and state["error"]["details"] == {"kind": "step"}
        await gone(token)
    assert len(desk.log) == 1


UNDONE = """
steps:
  - id: a
    activity: ask
    timeout: {timeout}
    start_to_close_timeout: {start_to_close}
    {more}
    compensate: {{activity: act, with: {{value: "${{ [step.status, step.output] }}"}}}}
"""


def undoable(timeout: str = "1d", start_to_close: str = "1d", more: str = "") -> str:
    return UNDONE.format(timeout=timeout, start_to_close=start_to_close, more=more)


async def test_the_timeout_of_a_step_that_can_be_undone(site: Site) -> None:
    """It must settle first, and an attempt that nobody ends settles when it is over."""
    desk = Desk(site, undoable("1s", "4s"))
    async with desk.started() as handle:
        start = asyncio.get_running_loop().time()
        kind, _, state = await desk.error(handle)
        assert 3.5 < asyncio.get_running_loop().time() - start < 15
    assert kind == "Timeout" and state["error"]["details"] == {"kind": "step"}
    assert desk.log == [("a", None), ("a!undo", ["timed_out", None])]


# --- cancellation


async def test_cancelled_where_nothing_is_to_be_undone(site: Site) -> None:
    """It ends at once; whoever comes later hears that nobody waits."""
    text = """
steps:
  - {id: order, activity: act, compensate: {activity: act}}
  - {id: a, activity: ask, start_to_close_timeout: 1d}
"""
    desk = Desk(site, text)
    async with desk.started() as handle:
        token = await desk.token("a")
        await handle.cancel()
        kind, _, state = await desk.error(handle)
        assert kind == "Cancelled" and undone(state) == [("order", "completed", "compensated")]
        await gone(token)
        with pytest.raises(RPCError, match="already completed"):
            await token.heartbeat()
    assert [path for path, _ in desk.log] == ["order", "a", "order!undo"]


async def test_cancelled_and_the_answer_comes_all_the_same(site: Site) -> None:
    desk = Desk(site, undoable())
    async with desk.started() as handle:
        token = await desk.token("a")
        await handle.cancel()
        await asyncio.sleep(1)
        assert [path for path, _ in desk.log] == ["a"]  # it has not settled
        await token.complete("ticket 7")
        kind, _, state = await desk.error(handle)
    assert kind == "Cancelled" and undone(state) == [("a", "completed", "compensated")]
    assert desk.log[1:] == [("a!undo", ["completed", "ticket 7"])]


async def test_cancelled_and_told_by_a_heartbeat(site: Site) -> None:
    desk = Desk(site, undoable())
    async with desk.started() as handle:
        token = await desk.token("a")
        await token.heartbeat()
        await handle.cancel()
        with pytest.raises(AsyncActivityCancelledError) as told:
            for _ in range(100):
                await token.heartbeat()
                await asyncio.sleep(0.05)
        assert told.value.details is not None and told.value.details.cancel_requested
        await token.report_cancellation()
        kind, _, state = await desk.error(handle)
    assert kind == "Cancelled" and undone(state) == [("a", "cancelled", "compensated")]
    assert desk.log[1:] == [("a!undo", ["cancelled", None])]


async def test_cancelled_and_nobody_says_how_it_ended(site: Site) -> None:
    """Its attempt's timeout ends it, or a heartbeat that does not come."""
    for options in ({"start_to_close": "3s"}, {"more": "heartbeat_timeout: 3s"}):
        desk = Desk(site, undoable(**options))
        async with desk.started() as handle:
            await desk.token("a")
            await handle.cancel()
            kind, _, state = await desk.error(handle)
        assert kind == "Cancelled" and undone(state) == [("a", "timed_out", "compensated")]
        assert desk.log[1:] == [("a!undo", ["timed_out", None])]


# --- workers come and go


async def test_another_worker_between_handing_over_and_answer(site: Site) -> None:
    desk = Desk(site, undoable() + "  - {raise: Enough}\n")
    async with desk.started() as handle:
        token = await desk.token("a")
    await token.complete("while nobody was up")
    async with desk.worker():
        kind, _, state = await desk.error(handle)
    assert kind == "Enough" and undone(state) == [("a", "completed", "compensated")]
    assert desk.log == [("a", None), ("a!undo", ["completed", "while nobody was up"])]


ACTS = """\
import pathlib
from temporalio import activity


@activity.defn(name="ask")
def ask() -> str:
    pathlib.Path(__file__).with_name("token").write_text(activity.info().task_token.hex())
    activity.raise_complete_async()
"""


@pytest.mark.waits
async def test_a_worker_that_is_killed_between(site: Site, tmp_path: Path) -> None:
    """Once the work is handed over no worker has anything to do with it."""
    (tmp_path / "acts.py").write_text(ACTS)
    text = "dsl: 1\nname: killed\nsteps: [{id: a, activity: ask}, {value: 'got ${ result_of }'}]\n"
    text = text.replace("result_of", "steps.a.output")
    (tmp_path / "killed.yaml").write_text(text)
    arguments = ("--definitions", tmp_path, "-t", "killed")
    file = tmp_path / "token"
    (tmp_path / "activities.py").write_text(ACTS)
    with WorkerProcess(site, tmp_path / "first", *arguments, example=tmp_path) as first:
        await first.ready()
        await site.client.start_workflow("killed", id="killed", task_queue="killed")
        await eventually("the token", lambda: file.exists() and file.read_text())
        first.process.kill()
        await asyncio.to_thread(first.process.wait)
    token = bytes.fromhex(file.read_text())
    file.unlink()
    with WorkerProcess(site, tmp_path / "second", *arguments, example=tmp_path) as second:
        await second.ready()
        await site.client.get_async_activity_handle(task_token=token).complete("it")
        handle = site.handle("killed")
        assert await handle.result() == "got it"
        await replay(await handle.fetch_history())
    assert not file.exists()  # it was handed over once


async def test_a_run_goes_on_as_new_only_after_the_answer(site: Site) -> None:
    text = """
steps:
  - parallel:
      asked: [{id: a, activity: ask}]
      beside:
        - until: vars.n == 20
          vars: {n: 0}
          do: [{id: b, activity: act}, {set: {n: "${ vars.n + 1 }"}}]
  - {id: c, activity: act, with: {value: "${ steps.a.output }"}}
"""
    desk = Desk(site, text, continue_after=1)
    async with desk.started() as handle:
        token = await desk.token("a")
        await eventually(f"all beside: {desk.log}", lambda: len(desk.log) == 21)
        assert len(await fetch_chain(site.client, desk.name)) == 1
        await token.complete("answer")
        assert await desk.output(handle) == "answer"
        assert len(await fetch_chain(site.client, desk.name)) > 1
