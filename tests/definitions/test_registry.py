"""The registry: what is deployed, who follows it, and that it can be trusted."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from dsl.loader import is_normal, load_text
from dsl.model.definition import Definition, canonical, digest
from interpreter.activities import ActivityRegistry
from interpreter.definitions import entity
from interpreter.definitions.entity import (
    DefinitionEntity,
    DeploymentWorkflow,
    Pointing,
    Publication,
    id_of,
)
from interpreter.definitions.host import hosted, registry_worker
from interpreter.definitions.packed import pack, unpack
from interpreter.definitions.publishing import refusal
from interpreter.definitions.registry import RefusedError, Registry
from interpreter.definitions.remote import RegistryStore
from interpreter.definitions.store import UnknownDefinitionError
from interpreter.worker import make_worker
from tests.support.servers import real_server, replay


def defined(name: str, value: object, *, waits: bool = False) -> Definition:
    """A definition that gives a value, at once or after a signal."""
    wait = "signals: {go: {}}\n" if waits else ""
    steps = "  - wait_signal: go\n" if waits else ""
    steps += f"  - {{id: it, value: {json.dumps(value)}}}\n"
    text = f"dsl: 1\nname: {name}\n{wait}steps:\n{steps}"
    loaded = load_text(text)
    assert loaded.ok, loaded.diagnostics
    return loaded.definitions[0]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with real_server() as server:
        yield server.client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def registry(client: Client) -> AsyncIterator[Registry]:
    """A registry that somebody runs, whose histories are replayed at the end."""
    async with registry_worker(client):
        yield Registry(client)
    replayer = Replayer(workflows=[DefinitionEntity, DeploymentWorkflow])
    # Those of tests with limits of their own are replayed there.
    apart = ", ".join(f"'{id_of(name)}'" for name in ("long", "tight"))
    kinds = "'dsl.definition', 'dsl.deployment'"
    query = f"WorkflowType IN ({kinds}) AND WorkflowId NOT IN ({apart})"
    results = await replayer.replay_workflows(
        client.list_workflows(query).map_histories(),
        raise_on_replay_failure=True,
    )
    assert not results.replay_failures


async def pinned(run: WorkflowHandle[Any, Any]) -> None:
    """Waits until a run has its revision."""
    while "revision" not in await run.query("status"):
        await asyncio.sleep(0.01)


@asynccontextmanager
async def following(client: Client, queue: str) -> AsyncIterator[RegistryStore]:
    """A worker that follows the registry."""
    store = RegistryStore(Registry(client))
    async with make_worker(client, store, ActivityRegistry(), task_queue=queue):
        yield store


async def test_runs_keep_their_revision_and_new_ones_take_the_new(
    client: Client, registry: Registry
) -> None:
    async with following(client, "keeps"):
        await registry.publish(defined("keeps", "one", waits=True), by="me")
        first = await client.start_workflow("keeps", id="keeps-1", task_queue="keeps")
        await pinned(first)
        await registry.publish(defined("keeps", "two", waits=True), by="me")
        await asyncio.sleep(1.1)  # within two seconds, the promise is
        second = await client.start_workflow("keeps", id="keeps-2", task_queue="keeps")
        for run in (first, second):
            await run.signal("go")
        assert [await first.result(), await second.result()] == ["one", "two"]
        assert (await first.query("status"))["revision"] == "1"
        assert (await second.query("status"))["revision"] == "2"
    for run in (first, second):
        await replay(await run.fetch_history())


async def test_deploys_at_once_get_consecutive_revisions(registry: Registry) -> None:
    published = await asyncio.gather(
        *(registry.publish(defined("busy", n), by=f"cli-{n}") for n in range(50))
    )
    assert sorted(one.revision for one in published) == list(range(1, 51))
    kept = await registry.kept("busy")
    assert [one.number for one in kept.revisions] == list(range(1, 51))
    for n, one in enumerate(published):
        body = (await registry.revision("busy", one.revision)).body
        assert body is not None and unpack(body) == canonical(defined("busy", n))


async def test_the_same_content_is_the_same_revision(registry: Registry) -> None:
    one = await registry.publish(defined("same", 1), by="me")
    again = await registry.publish(defined("same", 1), by="you")
    assert (one.revision, one.new, one.moved) == (1, True, True)
    assert (again.revision, again.new, again.moved) == (1, False, False)
    await registry.publish(defined("same", 2), by="me")
    back = await registry.publish(defined("same", 1), by="me")
    assert (back.revision, back.new, back.moved) == (1, False, True)
    assert (await registry.kept("same")).upcoming == 3


async def test_a_share_of_the_starts(client: Client, registry: Registry) -> None:
    await registry.publish(defined("shared", "live"), by="me")
    await registry.publish(defined("shared", "canary"), by="me", alias=None)
    await registry.point("shared", "canary", 2, by="me", weight=0.2)
    count = 500
    async with following(client, "shared") as store:
        slots = asyncio.Semaphore(32)

        async def one(n: int) -> str:
            async with slots:
                return await client.execute_workflow(
                    "shared", id=f"shared-{n}", task_queue="shared", result_type=str
                )

        outputs = await asyncio.gather(*map(one, range(count)))
        taken = outputs.count("canary")
        # Five standard deviations: once in two million runs by chance.
        assert abs(taken - 0.2 * count) < 5 * (count * 0.2 * 0.8) ** 0.5
        assert store.loads == 2
        for n in (0, 1, 2, 3):
            revision = (await client.get_workflow_handle(f"shared-{n}").query("status"))["revision"]
            assert revision == {"live": "1", "canary": "2"}[outputs[n]]
        # What becomes live ends the trial.
        await registry.point("shared", "live", 2, by="me")
        head = await registry.head("shared")
        assert head is not None and (head.aliases, head.weights) == ({"live": 2}, {})


async def test_a_run_may_ask_for_a_revision_or_an_alias(client: Client, registry: Registry) -> None:
    await registry.publish(defined("asked", "one"), by="me")
    await registry.publish(defined("asked", "two"), by="me", alias="staging")

    async def output(*arguments: object) -> object:
        id = f"asked-{len(arguments)}-{arguments[-1:]}"
        return await client.execute_workflow("asked", args=arguments, id=id, task_queue="asked")

    async with following(client, "asked"):
        assert await output() == "one"
        assert await output({}, {"revision": "2"}) == "two"
        assert await output({}, {"revision": 2}) == "two"
        assert await output({}, {"alias": "staging"}) == "two"
        for wrong, kind in (
            ({"revision": "3"}, "UnknownDefinition"),
            ({"alias": "stagin"}, "UnknownDefinition"),
            ({"revision": "x"}, "UnknownDefinition"),
            ({"revision": True}, "InvalidInput"),
            ({"revison": "1"}, "InvalidInput"),
            ("1", "InvalidInput"),
        ):
            with pytest.raises(WorkflowFailureError) as failed:
                await output({}, wrong)
            cause = failed.value.cause
            assert isinstance(cause, ApplicationError) and cause.type == kind, wrong


async def test_a_thousand_starts_load_once(client: Client, registry: Registry) -> None:
    await registry.publish(defined("many", 1), by="me")
    store = RegistryStore(registry)
    asked = mock.AsyncMock(wraps=registry.head)
    with mock.patch.object(store._heads, "_ask", asked):  # pyright: ignore[reportPrivateUsage]
        found = await asyncio.gather(*(store.get("many") for _ in range(1000)))
    assert store.loads == 1 and asked.await_count == 1
    assert {one.revision for one in found} == {"1"}


async def test_what_is_asked_for_and_fails_is_asked_again(registry: Registry) -> None:
    store = RegistryStore(registry)
    with pytest.raises(UnknownDefinitionError):
        await store.get("later")
    await registry.publish(defined("later", 1), by="me")
    await asyncio.sleep(1.1)
    assert (await store.get("later")).revision == "1"


async def test_several_are_published_all_or_none(registry: Registry) -> None:
    good = [defined(f"all-{n}", n) for n in range(5)]
    bad = defined("all-bad", 1).model_copy(update={"name": "all-9"})
    wrong = bad.model_copy(update={"output": "${ steps.nowhere.output }"})
    wrong.model_fields_set.add("output")
    with pytest.raises(RefusedError, match="nowhere"):
        await registry.publish_all([*good, wrong], by="me")
    for definition in (*good, wrong):
        head = await registry.head(definition.name)
        assert head is None or head.aliases == {}
        with pytest.raises(UnknownDefinitionError):
            await RegistryStore(registry).get(definition.name)
    published = await registry.publish_all(good, by="me")
    assert {one.moved for one in published.values()} == {True}
    for definition in good:
        head = await registry.head(definition.name)
        assert head is not None and head.aliases == {"live": 1}
    again = await registry.publish_all(good, by="me")
    assert {(one.new, one.moved) for one in again.values()} == {(False, False)}


async def test_what_is_wrong_is_refused_and_nothing_written(
    client: Client, registry: Registry
) -> None:
    await registry.publish(defined("strict", 1), by="me")
    text = canonical(defined("strict", 2))
    other = canonical(defined("other", 2))
    spaced = text.replace(":", ": ", 1)
    unknown = text.replace('"value":2', '"value":"${ steps.no.output }"')
    assert unknown != text
    handle = client.get_workflow_handle_for(DefinitionEntity.run, id_of("strict"))
    events = len((await handle.fetch_history()).events)
    for body, key in (
        (pack(other), digest(other)),
        (pack(spaced), digest(spaced)),
        (pack(unknown), digest(unknown)),
        (pack(text), digest(other)),
        (pack("[" * 100_000), digest("[" * 100_000)),
        ("rubbish", digest(text)),
        (pack(text)[:-9], digest(text)),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(DefinitionEntity.publish, Publication(body, key, "eve"))
        cause = refused.value.cause
        assert isinstance(cause, ApplicationError) and cause.type == "InvalidDefinition"
    for pointing in (
        Pointing("live", 9, "eve"),
        Pointing("live", 1, "eve", 0.5),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(DefinitionEntity.point, pointing)
    assert len((await handle.fetch_history()).events) == events


async def test_retired(client: Client, registry: Registry) -> None:
    await registry.publish(defined("old", 1), by="me")
    assert await registry.retire("old", by="me")
    assert not await registry.retire("old", by="me")
    async with following(client, "old"):
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow("old", id="old-1", task_queue="old")
        cause = failed.value.cause
        assert isinstance(cause, ApplicationError) and cause.type == "UnknownDefinition"
        assert "retired" in cause.message
        await registry.point("old", "live", 1, by="me")
        await asyncio.sleep(1.1)
        assert await client.execute_workflow("old", id="old-2", task_queue="old") == 1


async def test_old_bodies_are_let_go_and_the_workflow_continues_as_new(
    client: Client, registry: Registry
) -> None:
    with (
        mock.patch.object(entity, "_MOST_EVENTS", 30),
        mock.patch.object(entity, "_MOST_BODIES", 3),
    ):
        await registry.publish(defined("long", 0), by="me", alias="first")
        for n in range(1, 21):
            await registry.publish(defined("long", n), by="me")
        kept = await registry.kept("long")
        described = await client.get_workflow_handle(id_of("long")).describe()
        first = described.raw_description.workflow_execution_info.first_run_id
        assert first != described.run_id  # it did
        assert kept.upcoming == 22 and len(kept.revisions) == 21
        assert kept.aliases["live"].revision == 21 and kept.aliases["first"].revision == 1
        assert (await registry.revision("long", 1)).body
        assert (await registry.revision("long", 20)).body
        with pytest.raises(UnknownDefinitionError, match="no longer kept"):
            await registry.revision("long", 10)
        with pytest.raises(RefusedError, match="no longer kept"):
            await registry.point("long", "live", 10, by="me")
        head = await registry.head("long")
        assert head is not None and head.aliases == {"live": 21, "first": 1}
        # What was let go can be deployed again, as a new revision.
        again = await registry.publish(defined("long", 9), by="me")
        assert (again.revision, again.new) == (22, True)
        replayer = Replayer(workflows=[DefinitionEntity])
        for run in (first, described.run_id):
            handle = client.get_workflow_handle(id_of("long"), run_id=run)
            await replayer.replay_workflow(await handle.fetch_history())


async def test_who_hosts_it(server: WorkflowEnvironment) -> None:
    """Commands host it themselves where nobody does, beside one another and beside a worker."""
    address = server.client.service_client.config.target_host

    async def deploy(n: int) -> int:
        client = await Client.connect(address)
        async with hosted(client):
            return (await Registry(client).publish(defined("hosted", n), by="me")).revision

    async def late() -> int:
        await asyncio.sleep(0.2)
        async with registry_worker(server.client):
            return await deploy(99)

    revisions = await asyncio.gather(*map(deploy, range(5)), late())
    assert sorted(revisions) == [1, 2, 3, 4, 5, 6]


def test_a_refusal_says_why() -> None:
    text = canonical(defined("why", 1))
    assert refusal("why", Publication(pack(text), digest(text), "me")) is None
    large = Publication("x" * 600_000, digest(text), "me")
    assert "too large" in (refusal("why", large) or "")
    bomb = pack(" " * 20_000_000)
    assert "too large" in (refusal("why", Publication(bomb, digest(text), "me")) or "")


def test_the_normal_form_is_known_without_yaml() -> None:
    definition = defined("normal", {"a": [1, "x: y", None, True, 1.5, "${ 1 + 1 }"]})
    text = canonical(definition)
    assert is_normal(text)
    assert not is_normal(text + " ")
    assert not is_normal("{}")
    assert not is_normal("[1")
    assert not is_normal(text.replace("1 + 1", "1 +"))


async def test_deploying_what_is_live_already_leaves_a_trial_alone(registry: Registry) -> None:
    await registry.publish(defined("trial", 1), by="me")
    await registry.publish(defined("trial", 2), by="me", alias=None)
    await registry.point("trial", "canary", 2, by="me", weight=0.2)
    again = await registry.publish(defined("trial", 1), by="me")
    assert not again.moved
    await registry.publish(defined("trial", 3), by="me", alias="canary")
    head = await registry.head("trial")
    assert head is not None
    assert (head.aliases, head.weights) == ({"live": 1, "canary": 3}, {"canary": 0.2})
    await registry.publish(defined("trial", 4), by="me")
    head = await registry.head("trial")
    assert head is not None and (head.aliases, head.weights) == ({"live": 4}, {})


async def test_what_aliases_hold_has_a_bound(registry: Registry) -> None:
    def large(n: int) -> Definition:
        return defined("heavy", base64.b64encode(random.Random(n).randbytes(150_000)).decode())

    for n in range(5):
        await registry.publish(large(n), by="me", alias=f"a{n}")
    with pytest.raises(RefusedError, match="retire heavy --alias"):
        await registry.publish(large(9), by="me", alias="a9")
    assert await registry.retire("heavy", by="me", alias="a0")
    assert not await registry.retire("heavy", by="me", alias="a0")
    with pytest.raises(RefusedError, match="retire the whole"):
        await registry.retire("heavy", by="me", alias="live")
    for n in range(9, 14):
        await registry.publish(large(n), by="me", alias="a9")
    kept = await registry.kept("heavy")
    assert sorted(kept.aliases) == ["a1", "a2", "a3", "a4", "a9"]
    assert (await registry.revision("heavy", kept.aliases["a1"].revision)).body


async def test_what_was_let_go_is_not_lost_when_it_is_deployed_with_others(
    registry: Registry,
) -> None:
    with mock.patch.object(entity, "_MOST_BODIES", 2):
        for n in range(5):
            await registry.publish(defined("tight", n), by="me", alias="live" if n else "old")
        await registry.point("tight", "old", 5, by="me")  # nothing holds the first any more
        both = [defined("tight", 0), defined("beside", 1)]
        published = await registry.publish_all(both, by="me")
        head = await registry.head("tight")
        assert head is not None and head.aliases["live"] == published["tight"].revision
        found = await registry.revision("tight", head.aliases["live"])
        assert found.body is not None and unpack(found.body) == canonical(both[0])
        # The entity's limits were not the real ones: it is not replayed with the others.
        replayer = Replayer(workflows=[DefinitionEntity])
        handle = registry.client.get_workflow_handle(id_of("tight"))
        await replayer.replay_workflow(await handle.fetch_history())


async def test_deployments_at_once_do_not_mix(registry: Registry) -> None:
    names = [f"mixed-{n}" for n in range(4)]
    for turn in range(3):
        await asyncio.gather(
            registry.publish_all([defined(n, f"a{turn}") for n in names], by="a"),
            registry.publish_all([defined(n, f"b{turn}") for n in reversed(names)], by="b"),
        )
        heads = [await registry.head(name) for name in names]
        bodies: set[str] = set()
        for name, head in zip(names, heads, strict=True):
            assert head is not None
            body = (await registry.revision(name, head.aliases["live"])).body
            assert body is not None
            bodies.add(json.loads(unpack(body))["steps"][0]["value"])
        assert len(bodies) == 1, bodies


async def test_who_is_cancelled_stops_asking(client: Client) -> None:
    """Nobody hosts it there: it would ask for half a minute."""
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace="silent", workflow_execution_retention_period=Duration(seconds=86400)
        )
    )
    silent = Registry(Client(client.service_client, namespace="silent"))
    await asyncio.sleep(1)  # until the server knows it
    task = asyncio.ensure_future(silent.publish(defined("unheard", 1), by="me"))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
