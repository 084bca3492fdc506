"""`workflow` steps on a real server in real time."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.loader import load_text
from interpreter.activities import ActivityContextInterceptor, idempotency_key
from interpreter.definitions.resolver import Resolver
from interpreter.definitions.store import MemoryStore
from interpreter.execution import Execution
from interpreter.headers import HeaderInterceptor
from interpreter.redriver import Redriver
from interpreter.workflow import DslWorkflow
from tests.support.plain_worker import plain_worker
from tests.support.servers import fetch_chain, replay


@dataclass
class Desk:
    """A worker, and what its activities were asked: names, and keys without the run's id."""

    client: Client
    queue: str
    store: MemoryStore
    acts: list[str] = field(default_factory=list[str])
    keys: list[str] = field(default_factory=list[str])
    broken: set[str] = field(default_factory=set[str])

    async def start(self, name: str, input: Any = None) -> WorkflowHandle[Any, Any]:
        """Starts a definition, under an id of its own."""
        id = f"{name}-{uuid.uuid4().hex[:8]}"
        return await self.client.start_workflow(name, input or {}, id=id, task_queue=self.queue)

    async def until(self, *acts: str) -> None:
        """Waits until activities were called."""
        async with asyncio.timeout(10):
            while not set(acts) <= set(self.acts):
                await asyncio.sleep(0.02)

    def define(self, *texts: str) -> None:
        """Adds definitions, or puts others in their places."""
        loaded = load_text("\n---\n".join(f"dsl: 1\n{text}" for text in texts))
        assert loaded.ok, [d.message for d in loaded.diagnostics]
        self.store.add(loaded.definitions)


@asynccontextmanager
async def desk(
    client: Client, *texts: str, continue_after: int | None = None
) -> AsyncIterator[Desk]:
    """A worker for definitions. Activities that begin with Block end when they are cancelled."""
    it = Desk(client, f"q{uuid.uuid4().hex[:8]}", MemoryStore([]))
    it.define(*texts)

    @activity.defn(dynamic=True)
    async def answer(args: Sequence[RawValue]) -> str:
        name = activity.info().activity_type
        it.acts.append(name)
        it.keys.append(idempotency_key().partition("/")[2])
        while name.startswith("Block"):
            activity.heartbeat()
            await asyncio.sleep(0.02)
        if name in it.broken:
            raise ApplicationError("broken", type="Broken", non_retryable=True)
        return name

    resolver = Resolver(it.store, continue_after)
    async with Worker(
        client,
        task_queue=it.queue,
        workflows=[DslWorkflow],
        activities=[answer, *resolver.activities, *Redriver(resolver).activities],
        interceptors=[HeaderInterceptor(), ActivityContextInterceptor()],
    ):
        yield it


async def ended(handle: WorkflowHandle[Any, Any]) -> ApplicationError | CancelledError:
    """How a run failed."""
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), 20)
    assert isinstance(failed.value.cause, ApplicationError | CancelledError)
    return failed.value.cause


OUTER = """
name: outer
steps:
  - {id: first, activity: First, compensate: {activity: UndoFirst}}
  - {id: done, workflow: undone-by-parent}
  - {id: open, workflow: open-child}
"""
UNDONE = """
name: undone-by-parent
compensation: {on_parent_rollback: true}
steps: [{id: a, activity: A, compensate: {activity: UndoA}}]
"""
OPEN = """
name: open-child
steps:
  - {id: b, activity: B, compensate: {activity: UndoB}}
  - {id: c, activity: BlockC, heartbeat_timeout: 5s, compensate: {activity: UndoC}}
"""


async def test_a_cancelled_run_cancels_and_undoes_its_children(server: WorkflowEnvironment) -> None:
    async with desk(server.client, OUTER, UNDONE, OPEN) as it:
        handle = await it.start("outer")
        await it.until("BlockC")
        await handle.cancel()
        assert isinstance(await ended(handle), CancelledError)
        assert it.acts == ["First", "A", "B", "BlockC", "UndoC", "UndoB", "UndoA", "UndoFirst"]
        assert it.keys[1:4] == ["done/a", "open/b", "open/c"]
        assert it.keys[4:] == ["open/c!undo", "open/b!undo", "done/a!undo", "first!undo"]
        child = server.client.get_workflow_handle(f"{handle.id}/open")
        assert (await child.describe()).status is WorkflowExecutionStatus.CANCELED
        await replay(*await fetch_chain(server.client, handle.id, children=True))


@pytest.mark.parametrize("last", ['{wait_condition: "false"}', "{sleep: 1h}"])
async def test_a_child_that_went_on_as_new_is_cancelled(
    server: WorkflowEnvironment, last: str
) -> None:
    child = f"""
name: open-child
steps: [{{id: b, activity: B, compensate: {{activity: UndoB}}}}, {last}]
"""
    async with desk(server.client, OUTER, UNDONE, child, continue_after=3) as it:
        handle = await it.start("outer")
        client, id = server.client, f"{handle.id}/open"
        await it.until("B")
        async with asyncio.timeout(10):
            while len(await fetch_chain(client, id)) == 1:
                await asyncio.sleep(0.05)
        await handle.cancel()
        assert isinstance(await ended(handle), CancelledError)
        assert it.acts[-3:] == ["UndoB", "UndoA", "UndoFirst"]
        await replay(*await fetch_chain(client, handle.id, children=True))


async def test_a_terminated_run_leaves_its_child_to_undo_itself(
    server: WorkflowEnvironment,
) -> None:
    async with desk(server.client, OUTER, UNDONE, OPEN) as it:
        handle = await it.start("outer")
        await it.until("BlockC")
        await handle.terminate()
        await it.until("UndoC", "UndoB")


async def test_a_child_that_was_terminated_is_an_error(server: WorkflowEnvironment) -> None:
    text = """
name: caller
steps:
  - id: open
    workflow: open-child
    compensate: {activity: Look}
    catch: [{errors: [Terminated], output: "${ error.type }"}]
"""
    async with desk(server.client, text, OPEN) as it:
        handle = await it.start("caller")
        await it.until("BlockC")
        await server.client.get_workflow_handle(f"{handle.id}/open").terminate()
        assert await handle.result() == "Terminated"
        assert it.acts[-1] == "Look"  # it may have acted: who knows


async def test_a_child_that_is_cancelled_by_others_is_an_error(server: WorkflowEnvironment) -> None:
    text = """
name: caller
steps: [{id: open, workflow: open-child, catch: [{errors: [Cancelled], output: caught}]}]
"""
    async with desk(server.client, text, OPEN) as it:
        handle = await it.start("caller")
        await it.until("BlockC")
        await server.client.get_workflow_handle(f"{handle.id}/open").cancel()
        assert await handle.result() == "caught"
        assert it.acts == ["B", "BlockC", "UndoC", "UndoB"]


async def test_a_step_that_takes_too_long_settles_before_it_has_timed_out(
    server: WorkflowEnvironment,
) -> None:
    text = """
name: hasty
steps:
  - id: open
    workflow: open-child
    timeout: 1s
    compensate: {activity: Undo, with: {status: "${ step.status }"}}
"""
    async with desk(server.client, text, OPEN) as it:
        error = await ended(await it.start("hasty"))
        assert isinstance(error, ApplicationError)
        assert (error.type, error.details[0]) == ("Timeout", {"kind": "step"})
        assert it.acts == ["B", "BlockC", "UndoC", "UndoB", "Undo"]


async def test_what_is_detached_lives_on(server: WorkflowEnvironment) -> None:
    text = """
name: lets-go
steps:
  - id: free
    workflow: waits
    detached: true
    compensate: {activity: Undo, with: {id: "${ step.output.workflow_id }"}}
  - {raise: Broken}
"""
    waits = """
name: waits
signals: {go: {}}
steps: [{wait_signal: go}, {id: late, activity: Late}]
"""
    async with desk(server.client, text, waits) as it:
        handle = await it.start("lets-go")
        await ended(handle)
        assert it.acts == ["Undo"]
        child = server.client.get_workflow_handle(f"{handle.id}/free")
        await child.signal("go")
        assert await child.result() == "Late"
        assert it.acts == ["Undo", "Late"]


async def test_what_is_detached_is_not_cancelled(server: WorkflowEnvironment) -> None:
    text = """
name: lets-go
steps:
  - {id: free, workflow: waits, detached: true}
  - {id: b, activity: Block, heartbeat_timeout: 5s}
"""
    waits = "name: waits\nsignals: {go: {}}\nsteps: [{wait_signal: go}]"
    async with desk(server.client, text, waits) as it:
        handle = await it.start("lets-go")
        await it.until("Block")
        await handle.cancel()
        assert isinstance(await ended(handle), CancelledError)
        child = server.client.get_workflow_handle(f"{handle.id}/free")
        assert (await child.describe()).status is WorkflowExecutionStatus.RUNNING
        await child.signal("go", 5)
        assert await child.result() == 5


PLAIN = """
name: uses-others
steps:
  - {id: sum, workflow: Adds, args: [2, "${ input.n }"], task_queue: "${ input.queue }"}
  - {id: nothing, workflow: Nothing, args: [], task_queue: "${ input.queue }"}
  - id: fails
    workflow: Fails
    with: {why: 1}
    task_queue: ${ input.queue }
    catch: [{errors: [ByHand], output: ["${ error.message }", "${ error.details }"]}]
output: ["${ steps.sum.output }", "${ steps.nothing.output }", "${ steps.fails.output }"]
"""


async def test_workflows_that_were_written_by_hand(server: WorkflowEnvironment) -> None:
    """On another task queue of this process, and in another process."""
    client, queue = server.client, f"hand-{uuid.uuid4().hex[:8]}"
    expected = [5, f"nothing on {queue}", ["no", [{"why": 1}, {"more": 1}]]]
    async with desk(client, PLAIN) as it:
        async with plain_worker(client, queue):
            handle = await it.start("uses-others", {"n": 3, "queue": queue})
            assert await handle.result() == expected
            await replay(*await fetch_chain(client, handle.id))
        queue = f"{queue}-2"
        arguments = ("-m", "tests.support.plain_worker", client.service_client.config.target_host)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, queue, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"up\n"
            handle = await it.start("uses-others", {"n": 4, "queue": queue})
            result = await asyncio.wait_for(handle.result(), 20)
            assert result[:2] == [6, f"nothing on {queue}"]
        finally:
            process.kill()
            await process.wait()


async def test_a_workflow_that_was_written_by_hand_starts_a_definition(
    server: WorkflowEnvironment,
) -> None:
    client, queue = server.client, f"hand-{uuid.uuid4().hex[:8]}"
    text = "name: doubles\nsteps: [{id: a, activity: A}]\noutput: ${ input.n * 2 }"
    async with desk(client, text) as it, plain_worker(client, queue):
        given = ["doubles", it.queue, {"n": 4}]
        result: Any = await client.execute_workflow(
            "Starts", args=given, id=f"s-{queue}", task_queue=queue
        )
        assert result == 8
        assert it.keys == ["a"]


async def test_keys_of_a_childs_acts_outlive_a_reset_of_the_parent(
    server: WorkflowEnvironment,
) -> None:
    text = "name: caller\nsteps: [{id: pay, workflow: child}, {id: b, activity: B}]"
    child = "name: child\nsteps: [{id: a, activity: A}]"
    async with desk(server.client, text, child) as it:
        handle = await it.start("caller")
        await handle.result()
        before = tuple(it.keys)
        history = await handle.fetch_history()
        initiated = next(
            event.start_child_workflow_execution_initiated_event_attributes
            for event in history.events
            if event.HasField("start_child_workflow_execution_initiated_event_attributes")
        )
        answer = await server.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=server.client.namespace,
                workflow_execution=WorkflowExecution(
                    workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
                ),
                reason="again",
                workflow_task_finish_event_id=initiated.workflow_task_completed_event_id,
                request_id=str(uuid.uuid4()),
            )
        )
        again = server.client.get_workflow_handle(handle.id, run_id=answer.run_id)
        await asyncio.wait_for(again.result(), 20)
        assert before == ("pay/a", "b")
        assert it.keys == [*before, *before]


async def test_a_run_that_goes_on_as_new_still_undoes_its_children(
    server: WorkflowEnvironment,
) -> None:
    text = """
name: caller
steps:
  - {id: all, foreach: "range(4)", do: [{id: pay, workflow: undone-by-parent}]}
  - {raise: Broken}
"""
    async with desk(server.client, text, UNDONE, continue_after=3) as it:
        handle = await it.start("caller")
        await ended(handle)
        assert it.acts == ["A"] * 4 + ["UndoA"] * 4
        undone = [f"all[{index}].pay/a!undo" for index in (3, 2, 1, 0)]
        assert it.keys[4:] == undone
        chain = await fetch_chain(server.client, handle.id, children=True)
        assert len(chain) > 8  # runs of the parent, children, and children that undo
        await replay(*chain)


REDRIVEN = """
name: caller
steps:
  - {id: before, activity: Before}
  - {id: pay, workflow: payer}
  - {id: after, activity: After}
"""


async def _redrive(it: Desk, handle: WorkflowHandle[Any, Any]) -> Any:
    run_id = (await handle.describe()).run_id
    again = await it.client.start_workflow(
        "caller", args=[{}, {"redrive": run_id}], id=handle.id, task_queue=it.queue
    )
    result = await asyncio.wait_for(again.result(), 20)
    await replay(*await fetch_chain(it.client, handle.id, run_id=again.first_execution_run_id))
    return result


async def test_a_redrive_reaches_into_the_child_that_failed(server: WorkflowEnvironment) -> None:
    child = "name: payer\nsteps: [{id: a, activity: A}, {id: b, activity: B}]"
    async with desk(server.client, REDRIVEN, child) as it:
        it.broken = {"B"}
        handle = await it.start("caller")
        await ended(handle)
        it.broken = set()
        assert await _redrive(it, handle) == "After"
        assert it.acts == ["Before", "A", "B", "B", "After"]
        assert it.keys == ["before", "pay/a", "pay/b", "pay/b", "after"]


async def test_a_child_that_was_undone_is_another_act_when_the_run_is_redriven(
    server: WorkflowEnvironment,
) -> None:
    child = """
name: payer
steps: [{id: a, activity: A, compensate: {activity: UndoA}}, {id: b, activity: B}]
"""
    async with desk(server.client, REDRIVEN, child) as it:
        it.broken = {"B"}
        handle = await it.start("caller")
        await ended(handle)
        it.broken = set()
        assert await _redrive(it, handle) == "After"
        assert it.acts == ["Before", "A", "B", "UndoA", "A", "B", "After"]
        assert it.keys == [
            *("before", "pay/a", "pay/b", "pay/a!undo"),
            *("pay+1/a", "pay+1/b", "after"),
        ]


async def test_a_child_that_could_not_be_undone_cannot_be_redriven(
    server: WorkflowEnvironment,
) -> None:
    child = """
name: payer
steps:
  - {id: a, activity: A, compensate: {activity: UndoA, retry: {maximum_attempts: 1}}}
  - {id: b, activity: B}
"""
    async with desk(server.client, REDRIVEN, child) as it:
        it.broken = {"B", "UndoA"}
        handle = await it.start("caller")
        await ended(handle)
        with pytest.raises(WorkflowFailureError) as failed:
            await _redrive(it, handle)
        cause = failed.value.cause
        assert isinstance(cause, ApplicationError)
        assert cause.type == "NotRedrivable"


async def test_the_status_names_the_child(server: WorkflowEnvironment) -> None:
    async with desk(server.client, OUTER, UNDONE, OPEN) as it:
        handle = await it.start("outer")
        await it.until("BlockC")
        state: dict[str, Any] = await handle.query("status")
        found = {step["path"]: step.get("workflow_id") for step in state["steps"]}
        assert found == {
            "first": None,
            "done": f"{handle.id}/done",
            "open": f"{handle.id}/open",
        }
        await handle.cancel()
        await ended(handle)


async def test_blocks_with_a_name_are_groups_of_events(server: WorkflowEnvironment) -> None:
    """Temporal's UI may draw them; each event tells the blocks that it is in."""
    text = """
name: grouped
steps:
  - id: outer
    description: All that is in it
    do:
      - {id: a, activity: A}
      - parallel:
          x: [{id: b, activity: B}]
        id: both
      - {do: [{id: c, activity: C}]}
  - {id: d, activity: D}
"""
    async with desk(server.client, text) as it:
        handle = await it.start("grouped")
        await handle.result()
        history = await handle.fetch_history()
        found = {
            event.activity_task_scheduled_event_attributes.activity_id: [
                marker.label.id for marker in event.event_group_markers
            ]
            for event in history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        }
        assert found == {"a": ["outer"], "b": ["outer", "both"], "c": ["outer"], "d": []}
        await replay(history)


async def _until_suspended(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            state: dict[str, Any] = await handle.query("status")
            if state["status"] == "suspended":
                return state
            await asyncio.sleep(0.05)


HALF_UNDONE = """
name: caller
compensation: {on_failure: suspend}
steps:
  - {id: first, activity: First, compensate: {activity: UndoFirst}}
  - {id: pay, workflow: payer}
  - {raise: Broken}
"""


async def test_what_a_child_has_undone_is_not_undone_again_when_the_rest_is_tried_again(
    server: WorkflowEnvironment,
) -> None:
    child = """
name: payer
compensation: {on_parent_rollback: true}
steps:
  - {id: a, activity: A, compensate: {activity: UndoA}}
  - parallel:
      x: [{id: b, activity: B, compensate: {activity: UndoB, retry: {maximum_attempts: 1}}}]
  - {id: c, activity: C, compensate: {activity: UndoC}}
"""
    async with desk(server.client, HALF_UNDONE, child) as it:
        it.broken = {"UndoB"}
        handle = await it.start("caller")
        await _until_suspended(handle)
        assert it.acts[4:] == ["UndoC", "UndoB", "UndoA"]
        await handle.execute_update("dsl.answer", {"action": "retry"})
        await _until_suspended(handle)
        it.broken = set()
        await handle.execute_update("dsl.answer", {"action": "retry"})
        error = await ended(handle)
        assert isinstance(error, ApplicationError)
        assert error.details[1]["status"] == "compensated"
        assert it.acts[7:] == ["UndoB", "UndoB", "UndoFirst"]
        await replay(*await fetch_chain(server.client, handle.id, children=True))


@pytest.mark.parametrize(
    ("answer", "status", "compensation"),
    [
        ("resolve", "compensated", "compensated"),
        ("skip", "compensated", "skipped"),
        ("fail", "compensation_failed", "failed"),
    ],
)
async def test_an_operator_answers_where_the_undoing_of_a_child_cannot_begin(
    server: WorkflowEnvironment, answer: str, status: str, compensation: str
) -> None:
    """The child's id was just short enough."""
    caller = """
name: caller
steps:
  - {id: first, activity: First, compensate: {activity: UndoFirst}}
  - {id: pay, workflow: undone-by-parent}
  - {raise: Broken}
"""
    async with desk(server.client, caller, UNDONE) as it:
        id = f"{uuid.uuid4().hex:ä<513}"
        assert len(id.encode()) == 994
        handle = await it.client.start_workflow("caller", {}, id=id, task_queue=it.queue)
        state = await _until_suspended(handle)
        assert [(one["step"], one["fault"]) for one in state["suspended"]] == [
            ("pay!undo", "LimitExceeded")
        ]
        await handle.execute_update("dsl.answer", {"action": answer, "step": "pay!undo"})
        error = await ended(handle)
        assert isinstance(error, ApplicationError)
        report = error.details[1]
        assert report["status"] == status
        undone = [(one["step"], one["compensation"]) for one in report["saga"]]
        assert undone == [("pay", compensation), ("first", "compensated")]
        assert it.acts == ["First", "A", "UndoFirst"]
        await replay(*await fetch_chain(server.client, handle.id, children=True))


async def test_a_workflow_by_hand_whose_child_was_refused_may_have_acted(
    server: WorkflowEnvironment,
) -> None:
    client, queue = server.client, f"hand-{uuid.uuid4().hex[:8]}"
    text = """
name: caller
steps:
  - id: starts
    workflow: Starts
    args: [nowhere, "${ input.definitions }", {}]
    task_queue: ${ input.queue }
    compensate: {activity: Look, with: {error: "${ step.error.type }"}}
"""
    async with desk(client, text) as it, plain_worker(client, queue):
        handle = await it.start("caller", {"definitions": it.queue, "queue": queue})
        state = await _until_suspended(handle)
        assert [one["fault"] for one in state["suspended"]] == ["UnknownDefinition"]
        await handle.cancel()
        assert isinstance(await ended(handle), CancelledError)
        assert it.acts == ["Look"]


async def test_what_undoes_a_child_counts_in_the_size_of_its_result(
    server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is by this that a run knows how many children its history can take at the same time."""
    sizes: list[int] = []
    release = Execution.release

    def noted(execution: Execution, size: int = 0) -> None:
        sizes.append(size)
        release(execution, size)

    monkeypatch.setattr(Execution, "release", noted)
    caller = """
name: caller
steps: [{id: pay, workflow: undone-by-parent, with: {text: "${ input.text }"}}]
"""
    async with desk(server.client, caller, UNDONE) as it:
        text = "".join(uuid.uuid4().hex for _ in range(3000))
        await (await it.start("caller", {"text": text})).result()
        assert max(sizes) > len(text) // 2


@pytest.mark.parametrize("short", [None, 3])
async def test_a_child_is_undone_with_what_its_finally_did(
    server: WorkflowEnvironment, short: int | None
) -> None:
    """Also where it goes on as new in there."""
    caller = "name: caller\nsteps: [{id: pay, workflow: payer}, {raise: Broken}]"
    child = """
name: payer
compensation: {on_parent_rollback: true}
steps: [{id: a, activity: A, compensate: {activity: UndoA}}]
finally:
  - {id: b, activity: B, compensate: {activity: UndoB}}
  - {sleep: 10ms}
  - {id: c, activity: C}
"""
    async with desk(server.client, caller, child, continue_after=short) as it:
        handle = await it.start("caller")
        await ended(handle)
        assert it.acts == ["A", "B", "C", "UndoB", "UndoA"]
        chain = await fetch_chain(server.client, handle.id, children=True)
        assert len(chain) == 3 if short is None else len(chain) > 3
        await replay(*chain)


@pytest.mark.parametrize("last", ["{raise: Other}", "{return: 1}"])
async def test_a_child_is_undone_with_what_its_catch_did(
    server: WorkflowEnvironment, last: str
) -> None:
    caller = "name: caller\nsteps: [{id: pay, workflow: payer}, {raise: Broken}]"
    child = f"""
name: payer
compensation: {{on_parent_rollback: true}}
steps: [{{id: a, activity: A, compensate: {{activity: UndoA}}}}, {last}]
catch: [{{do: [{{id: b, activity: B, compensate: {{activity: UndoB}}}}, {{return: 2}}]}}]
"""
    async with desk(server.client, caller, child) as it:
        handle = await it.start("caller")
        await ended(handle)
        caught = ["A", "UndoA", "B", "UndoB"]
        assert it.acts == (caught if "raise" in last else ["A", "UndoA"])
        await replay(*await fetch_chain(server.client, handle.id, children=True))


async def test_a_child_whose_undoing_would_be_too_large_is_suspended(
    server: WorkflowEnvironment,
) -> None:
    """Its input counts: it comes with what is needed to undo it."""
    caller = """
name: caller
steps:
  - {id: pay, workflow: payer, with: {text: "${ input.text }"}}
  - {raise: Broken}
"""
    child = """
name: payer
compensation: {on_parent_rollback: true}
steps:
  - {id: a, activity: A, with: {text: "${ input.text }"}, compensate: {activity: UndoA}}
output: ${ input.text }
"""
    async with desk(server.client, caller, child) as it:
        text = "".join(uuid.uuid4().hex for _ in range(900_000 // 32))
        handle = await it.start("caller", {"text": text})
        await it.until("A")
        await _until_suspended(server.client.get_workflow_handle(f"{handle.id}/pay"))
        await handle.cancel()
        assert isinstance(await ended(handle), CancelledError)
        assert it.acts == ["A", "UndoA"]


async def test_a_revision_may_not_add_a_compensate_to_a_child_that_is_done(
    server: WorkflowEnvironment,
) -> None:
    text = """
name: caller
steps: [{id: pay, workflow: payer}, {id: wrong, value: "${ input.nothing.there }"}]
"""
    async with desk(server.client, text, "name: payer\nsteps: [{id: a, activity: A}]") as it:
        handle = await it.start("caller")
        await _until_suspended(handle)
        it.define(text.replace("payer}", "payer, compensate: {activity: Undo}}"))
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("dsl.resume", {})
        assert "has a `compensate` only" in str(refused.value.cause)
        await handle.cancel()
        assert isinstance(await ended(handle), CancelledError)


@pytest.mark.parametrize(
    ("answer", "compensation"), [("resolve", "compensated"), ("skip", "skipped")]
)
async def test_an_operator_answers_where_the_undoing_of_a_slice_cannot_begin(
    server: WorkflowEnvironment, answer: str, compensation: str
) -> None:
    text = """
name: caller
steps:
  - {id: first, activity: First, compensate: {activity: UndoFirst}}
  - id: all
    foreach: range(2)
    batch: 2
    do: [{id: a, activity: A, compensate: {activity: UndoA}}]
  - {raise: Broken}
"""
    async with desk(server.client, text) as it:
        id = uuid.uuid4().hex.ljust(989, "i")
        handle = await it.client.start_workflow("caller", {}, id=id, task_queue=it.queue)
        state = await _until_suspended(handle)
        assert [one["step"] for one in state["suspended"]] == ["all[0-1]!undo"]
        await handle.execute_update("dsl.answer", {"action": answer, "step": "all[0-1]!undo"})
        error = await ended(handle)
        assert isinstance(error, ApplicationError)
        undone = [(one["step"], one["compensation"]) for one in error.details[1]["saga"]]
        assert undone == [("all[0-1]", compensation), ("first", "compensated")]
        assert it.acts == ["First", "A", "A", "UndoFirst"]
        await replay(*await fetch_chain(server.client, handle.id, children=True))


async def test_a_child_that_was_cancelled_with_nothing_to_undo_keeps_its_keys(
    server: WorkflowEnvironment,
) -> None:
    """When the run is redriven: what it did is the same act, and services can tell."""
    text = """
name: caller
steps:
  - parallel:
      x: [{id: pay, workflow: payer}]
      y: [{wait_condition: 'steps.pay.status == "running"'}, {sleep: 1s}, {id: b, activity: B}]
"""
    child = """
name: payer
steps: [{id: a, activity: A}, {id: wait, activity: BlockC, heartbeat_timeout: 5s}]
"""
    async with desk(server.client, text, child) as it:
        it.broken = {"B"}
        handle = await it.start("caller")
        await ended(handle)
        assert it.keys == ["pay/a", "pay/wait", "b"]
        it.broken = set()
        it.define("name: payer\nsteps: [{id: a, activity: A}]")
        await _redrive(it, handle)
        assert sorted(it.keys[3:]) == ["b", "pay/a"]


@pytest.mark.parametrize("ends", ["fails", "is cancelled"])
async def test_what_a_child_could_not_undo_itself_is_no_secret(
    server: WorkflowEnvironment, ends: str
) -> None:
    text = """
name: caller
compensation: {on_failure: halt}
steps:
  - {id: first, activity: First, compensate: {activity: UndoFirst}}
  - {id: pay, workflow: payer}
"""
    child = """
name: payer
steps:
  - {id: a, activity: A, compensate: {activity: UndoA, retry: {maximum_attempts: 1}}}
  - {id: b, activity: LAST, heartbeat_timeout: 5s}
"""
    last = "B" if ends == "fails" else "BlockB"
    async with desk(server.client, text, child.replace("LAST", last)) as it:
        it.broken = {"B", "UndoA"}
        handle = await it.start("caller")
        await it.until(last)
        if ends != "fails":
            await handle.cancel()
        await ended(handle)
        state: dict[str, Any] = await handle.query("status")
        assert state["status"] == "compensation_failed"
        outcomes = [(one["step"], one["compensation"]) for one in state["compensations"]]
        assert outcomes == [("pay", "failed"), ("first", "skipped")]
        assert "1 of 1 acts could not be undone by" in str(state["compensations"])
        assert "UndoFirst" not in it.acts  # as where the steps stand in a `do`
        await replay(*await fetch_chain(server.client, handle.id, children=True))
