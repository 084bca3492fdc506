"""`DslPlugin`: definitions in a worker that also runs workflows written by hand."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic
import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

import interpreter.plugin
from interpreter.activities import idempotency_key
from interpreter.plugin import DslPlugin, DslPluginError
from interpreter.workflow import DslWorkflow
from tests.end_to_end.support import Site
from tests.support.embedded import CallsBoth, CallsNobody

GREETING = """\
dsl: 1
name: greeting
input:
  type: object
  required: [name]
  properties: {{name: {{type: string}}}}
steps:
  - id: greet
    activity: greet
    with: {{name: "${{ input.name }}"}}
output: {{said: "${{ steps.greet.output.said }}", by: {by}}}
"""


@activity.defn(name="greet")
async def greet(name: str) -> dict[str, str]:
    """Greets somebody. Its keys are in no order that a converter would make."""
    assert activity.info().activity_id in idempotency_key()
    return {"said": f"Hello {name}", "else": ""}


@activity.defn(name="greet")
async def other_greet() -> None:
    """Has the name of another."""


@activity.defn(name="own")
def own() -> dict[str, int]:
    """One of the worker's own, in a thread of the worker's own."""
    return {"b": 1, "a": 2}


def folder(path: Path, by: int = 1) -> Path:
    """A folder with the greeting."""
    (path / "greeting.yaml").write_text(GREETING.format(by=by))
    return path


def new_queue() -> str:
    return f"queue-{uuid.uuid4()}"


def kinds(history: WorkflowHistory) -> list[str]:
    """The activities that were scheduled."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def results(history: WorkflowHistory) -> list[bytes]:
    """What activities gave, as it was written."""
    return [
        event.activity_task_completed_event_attributes.result.payloads[0].data
        for event in history.events
        if event.HasField("activity_task_completed_event_attributes")
    ]


async def test_beside_a_workflow_written_by_hand(site: Site, tmp_path: Path) -> None:
    """What is deployed from the command line runs in the worker that has both."""
    file = folder(tmp_path) / "greeting.yaml"
    worker = Worker(
        site.client,
        task_queue=(queue := new_queue()),
        workflows=[CallsBoth],
        activities=[own],
        activity_executor=ThreadPoolExecutor(100),
        identity="ours",
        plugins=[DslPlugin(activities=[greet])],
    )
    async with worker:
        done = await site.cli("deploy", file, "--task-queue", queue)
        assert (done.code, done.out, done.err) == (0, "greeting  live -> revision 1\n", ""), done
        by_hand = await site.client.start_workflow(
            CallsBoth.run, "greeting", id="by-hand", task_queue=queue
        )
        assert await by_hand.result() == {
            "own": {"b": 1, "a": 2},
            "shared": {"said": "Hello hand", "else": ""},
            "child": {"said": "Hello child", "by": 1},
            "sandboxed": True,
        }
        file.write_text(GREETING.format(by=2))
        done = await site.cli("deploy", file, "--task-queue", queue)
        assert done.out == "greeting  live -> revision 2\n", done
        await asyncio.sleep(1.1)  # so old may be what a worker knows
        given: dict[str, str] = {"name": "you"}
        run = await site.client.start_workflow("greeting", given, id="run", task_queue=queue)
        assert await run.result() == {"said": "Hello you", "by": 2}

        # Checked against what runs: nobody has this one.
        file.write_text(GREETING.format(by=2).replace("activity: greet", "activity: gret"))
        done = await site.cli("deploy", file, "--task-queue", queue)
        assert done.code == 2 and "did you mean `greet`?" in done.err, done

    # What is theirs is written as they write it, and what a definition does as ever.
    history = await site.handle("by-hand").fetch_history()
    assert kinds(history) == ["own", "greet"]
    assert results(history)[0] == b'{"a":2,"b":1}'
    assert not any(
        event.activity_task_scheduled_event_attributes.header.fields for event in history.events
    )
    run_history = await site.handle("run").fetch_history()
    assert results(run_history) == [b'{"said":"Hello you","else":""}']
    identities = {
        event.workflow_task_started_event_attributes.identity
        for event in history.events
        if event.HasField("workflow_task_started_event_attributes")
    }
    assert len(identities) == 1 and identities.pop().startswith("ours#dsl-catalogue=")


async def test_definitions_in_a_folder(site: Site, tmp_path: Path) -> None:
    file = folder(tmp_path) / "greeting.yaml"
    plugin = DslPlugin(activities=[greet], definitions=tmp_path)
    async with Worker(site.client, task_queue=(queue := new_queue()), plugins=[plugin]):

        async def said(id: str) -> Any:
            given = {"name": "you"}
            handle = await site.client.start_workflow("greeting", given, id=id, task_queue=queue)
            site.handle(id)
            return await handle.result()

        assert await said("before") == {"said": "Hello you", "by": 1}
        file.write_text(GREETING.format(by=2))
        for number in range(40):
            if (await said(f"after-{number}"))["by"] == 2:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("it was not read again")


async def test_what_nobody_has(site: Site, tmp_path: Path) -> None:
    """A workflow written by hand hears what the SDK says; a definition waits for who has it."""
    elsewhere = new_queue()
    text = GREETING.format(by=1)
    sends = text.replace("activity: greet", f"activity: greet\n    task_queue: {elsewhere}")
    (tmp_path / "more.yaml").write_text(sends)
    (tmp_path / "less.yaml").write_text("dsl: 1\nname: greeting\nsteps:\n  - value: 1\n")
    plugin = DslPlugin(activities=[greet], definitions=tmp_path / "more.yaml")
    less = DslPlugin(definitions=tmp_path / "less.yaml")
    async with (
        Worker(site.client, task_queue=(queue := new_queue()), plugins=[plugin]),
        Worker(site.client, task_queue=elsewhere, workflows=[CallsNobody], plugins=[less]),
    ):
        by_hand = await site.client.start_workflow(
            CallsNobody.run, id="calls-nobody", task_queue=elsewhere
        )
        told = await by_hand.result()
        assert (told["type"], told["final"]) == ("NotFoundError", False)
        assert told["message"].startswith("Activity function nobody for workflow calls-nobody is")
        run = await site.client.start_workflow(
            "greeting", {"name": "x"}, id="asks-less", task_queue=queue
        )
        site.handle("asks-less")
        state = await until(run, lambda state: "no activity is named" in json.dumps(state))
        assert state["status"] == "running"
        await run.terminate()


async def until(
    handle: WorkflowHandle[Any, Any], holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The status of a run as soon as something holds of it."""
    state: dict[str, Any] = {}
    for _ in range(300):
        state = await handle.query("status")
        if holds(state):
            return state
        await asyncio.sleep(0.05)
    raise AssertionError(state)


class Line(pydantic.BaseModel):
    """A line of an order."""

    sku: str
    due: datetime


class Order(pydantic.BaseModel):
    """An order."""

    order_id: uuid.UUID
    lines: list[Line]


class Priced(pydantic.BaseModel):
    """What was priced, and when."""

    order: Order
    at: datetime
    cents: int


@activity.defn(name="price")
async def price(order: Order) -> Priced:
    """Prices an order."""
    assert isinstance(order, Order) and order.lines[0].due.tzinfo is not None
    return Priced(order=order, at=datetime(2030, 1, 2, tzinfo=UTC), cents=100 * len(order.lines))


@activity.defn(name="late")
def late(line: Line, at: datetime) -> datetime:
    """When a line is late, if it was asked `at`."""
    assert isinstance(line, Line) and isinstance(at, datetime)
    return max(line.due, at)


PRICING = """\
dsl: 1
name: pricing
input:
  type: object
  required: [order_id, lines]
  properties: {order_id: {type: string}, lines: {type: array}}
steps:
  - id: priced
    activity: price
    with: {order_id: "${ input.order_id }", lines: "${ input.lines }"}
  - id: late
    activity: late
    with: {line: "${ input.lines[0] }", at: "${ steps.priced.output.at }"}
output:
  order: ${ steps.priced.output.order }
  at: ${ steps.late.output }
  cents: ${ steps.priced.output.cents }
"""


async def test_pydantic_models(site: Site, tmp_path: Path) -> None:
    """Models go in and out of definitions, activities and clients."""
    (tmp_path / "pricing.yaml").write_text(PRICING)
    client = await Client.connect(site.address, data_converter=pydantic_data_converter)
    plugin = DslPlugin(activities=[price, late], definitions=tmp_path / "pricing.yaml")
    async with Worker(client, task_queue=(queue := new_queue()), plugins=[plugin]):
        due = datetime(2031, 5, 6, 7, tzinfo=UTC)
        order = Order(order_id=uuid.UUID(int=7), lines=[Line(sku="book", due=due)])
        handle = await client.start_workflow(
            "pricing", order, id="pricing", task_queue=queue, result_type=Priced
        )
        assert await handle.result() == Priced(order=order, at=due, cents=100)
    history = await site.handle("pricing").fetch_history()
    first, second = results(history)
    assert json.loads(first)["at"] == "2030-01-02T00:00:00Z"
    assert json.loads(second) == "2031-05-06T07:00:00Z"


async def finished(site: Site, path: Path, id: str) -> str:
    """The history of a run of the greeting, as JSON."""
    plugin = DslPlugin(activities=[greet], definitions=folder(path))
    async with Worker(site.client, task_queue=(queue := new_queue()), plugins=[plugin]):
        handle = await site.client.start_workflow("greeting", {"name": id}, id=id, task_queue=queue)
        await handle.result()
    return (await site.handle(id).fetch_history()).to_json()


async def test_a_replayer_with_it(site: Site, tmp_path: Path) -> None:
    """Without a server, definitions and activities: the history has all that it needs."""
    text = await finished(site, tmp_path, "replayed")
    replayer = Replayer(workflows=[CallsBoth], plugins=[DslPlugin()])
    await replayer.replay_workflow(WorkflowHistory.from_json("replayed", text))
    assert text.count('"name": "greet"') == 1, "the activity's type, as it was scheduled"
    wrong = text.replace('"name": "greet"', '"name": "other"')
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(WorkflowHistory.from_json("replayed", wrong))


async def test_a_replayer_of_the_registry(site: Site, tmp_path: Path) -> None:
    """What keeps the definitions is replayed by it, and not taken for a definition."""
    file = folder(tmp_path) / "greeting.yaml"
    file.write_text(GREETING.format(by=3).replace("name: greeting", "name: greeting-kept"))
    async with Worker(site.client, task_queue=new_queue(), plugins=[DslPlugin(activities=[greet])]):
        done = await site.cli("deploy", file)
        assert done.code == 0, done
    handle = site.client.get_workflow_handle("dsl.definition/greeting-kept")
    replayer = Replayer(workflows=[], plugins=[DslPlugin()])
    await replayer.replay_workflow(await handle.fetch_history())


async def test_on_the_client(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers have it, once; what goes on beside them does so once, and ends with them."""
    begun: list[str] = []
    real = interpreter.plugin.registry_worker

    def counted(client: Client) -> Worker:
        begun.append("registry")
        return real(client)

    monkeypatch.setattr(interpreter.plugin, "registry_worker", counted)
    plugin = DslPlugin(activities=[greet], definitions=folder(tmp_path), registry=True)
    client = await Client.connect(site.address, plugins=[plugin])
    before = len(asyncio.all_tasks())
    queues = [new_queue(), new_queue()]
    workers = [Worker(client, task_queue=queue) for queue in queues]
    with pytest.warns(UserWarning, match="present from both client and worker"):
        workers.append(Worker(client, task_queue=new_queue(), plugins=[plugin]))
    for worker in workers:
        config = worker.config(active_config=True)
        assert config.get("workflows") == [DslWorkflow]
        names = [interpreter.plugin._name(fn) for fn in config.get("activities", ())]  # pyright: ignore
        assert sorted(names, key=str).count("greet") == 1 and len(names) == len(set(names))
        assert len(config.get("interceptors", ())) == 1
    async with workers[0], workers[1], workers[2]:
        for queue in queues:
            given = {"name": "x"}
            handle = await client.start_workflow("greeting", given, id=queue, task_queue=queue)
            site.handle(queue)
            assert (await handle.result())["said"] == "Hello x"
        assert begun == ["registry"]
    # Its own worker of the registry is none that has it.
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) <= before

    async with Worker(client, task_queue=new_queue()):
        await asyncio.sleep(0.1)
    assert begun == ["registry", "registry"]


async def test_who_runs_the_registry(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(client: Client) -> Worker:
        raise AssertionError("it was told not to")

    monkeypatch.setattr(interpreter.plugin, "registry_worker", never)
    for plugin in (DslPlugin(registry=False), DslPlugin(activities=[greet], registry=False)):
        async with Worker(site.client, task_queue=(queue := new_queue()), plugins=[plugin]):
            handle = await site.client.start_workflow("not-deployed", id=queue, task_queue=queue)
            with pytest.raises(WorkflowFailureError) as failure:
                await handle.result()
            assert isinstance(failure.value.cause, ApplicationError)
            assert failure.value.cause.type == "UnknownDefinition"


async def test_a_registry_that_is_not_there(site: Site) -> None:
    """The worker ends, and says why."""
    plugin = DslPlugin(registry_namespace="nowhere")
    worker = Worker(site.client, task_queue=new_queue(), plugins=[plugin])
    with pytest.raises(
        DslPluginError, match="the registry in the namespace nowhere cannot be used"
    ):
        await asyncio.wait_for(worker.run(), 20)
    worker = Worker(site.client, task_queue=new_queue(), plugins=[plugin])
    with pytest.raises(DslPluginError, match="Namespace nowhere is not found"):
        async with asyncio.timeout(20), worker:
            await asyncio.sleep(15)


@workflow.defn(dynamic=True)
class Anything:
    """A dynamic workflow."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        """Does nothing."""


@activity.defn(dynamic=True)
async def anything(args: Sequence[RawValue]) -> str:
    """An activity for every name."""
    return "anything"


WRONG = """\
dsl: 1
name: wrong
steps:
  - activity: gret
    with: {name: x}
"""


async def test_what_does_not_go_together(site: Site, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG)
    (tmp_path / "empty").mkdir()

    def refused(plugin: DslPlugin, **more: Any) -> str:
        with pytest.raises(DslPluginError) as error:
            Worker(site.client, task_queue="x", plugins=[plugin], **more)
        assert error.value.__cause__ is None
        return str(error.value)

    plugin = DslPlugin(activities=[greet])
    assert refused(plugin, workflows=[Anything]).startswith("Anything is a dynamic workflow")
    assert "runs definitions already" in refused(plugin, workflows=[DslWorkflow])
    assert refused(plugin, activities=[greet]).startswith("the activity `greet` is in the worker")
    said = refused(DslPlugin(activities=[late]), activity_executor=ProcessPoolExecutor(1))
    assert said.startswith("the activity `late` is no coroutine and needs a thread")
    said = refused(DslPlugin(activities=[greet], definitions=tmp_path))
    assert f"{tmp_path}/wrong.yaml:4:15: error DSL" in said and "did you mean `greet`?" in said
    assert "no such file" in refused(DslPlugin(definitions=tmp_path / "nowhere"))
    assert "there are no definitions" in refused(DslPlugin(definitions=tmp_path / "empty"))
    with pytest.raises(DslPluginError, match="two activities are named `greet`"):
        DslPlugin(activities=[greet, other_greet])
    with pytest.raises(DslPluginError, match="there is no file"):
        DslPlugin(activities=["nowhere.py"])


async def test_a_dynamic_activity_of_the_worker_stays(site: Site) -> None:
    """It answers for what nobody else has."""
    plugin = DslPlugin(activities=[greet])
    worker = Worker(site.client, task_queue="x", activities=[anything], plugins=[plugin])
    config = worker.config(active_config=True)
    dynamic = [fn for fn in config["activities"] if interpreter.plugin._name(fn) is None]  # pyright: ignore
    assert dynamic == [anything]
