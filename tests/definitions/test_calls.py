"""Definitions that run definitions: which revisions `deploy` writes into them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from temporalio.client import Client

from dsl.loader import load_text
from dsl.model.definition import Definition, canonical
from interpreter.activities import ActivityRegistry
from interpreter.definitions.calls import called_by, in_order, pinned
from interpreter.definitions.host import registry_worker
from interpreter.definitions.registry import Registry
from interpreter.definitions.remote import RegistryStore
from interpreter.worker import make_worker
from tests.support.servers import real_server


def defined(*texts: str) -> list[Definition]:
    loaded = load_text("\n---\n".join(f"dsl: 1\n{text}" for text in texts))
    assert loaded.ok, loaded.diagnostics
    return loaded.definitions


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with real_server() as server, registry_worker(server.client):
        yield server.client


@asynccontextmanager
async def running(client: Client) -> AsyncIterator[str]:
    """A worker that follows the registry; gives its task queue."""
    queue = f"q{uuid.uuid4().hex[:8]}"
    store = RegistryStore(Registry(client))
    async with make_worker(client, store, ActivityRegistry([]), task_queue=queue):
        yield queue


async def result(client: Client, name: str, queue: str, **input: Any) -> Any:
    id = f"{name}-{uuid.uuid4().hex[:8]}"
    return await client.execute_workflow(name, input, id=id, task_queue=queue)


OUTER = "name: outer\nsteps: [{id: c, workflow: inner}]"
FOLLOWS = "name: follows\nsteps: [{id: c, workflow: inner, revision: live}]"
EXACT = "name: exact\nsteps: [{id: c, workflow: inner, revision: 1}]"


async def test_a_definition_runs_what_was_live_when_it_was_deployed(client: Client) -> None:
    registry = Registry(client)
    outer, follows, exact = defined(OUTER, FOLLOWS, EXACT)

    async def deploy(*definitions: Definition) -> dict[str, int]:
        done = await registry.publish_all(definitions, by="test")
        return {name: one.revision for name, one in done.items()}

    first, second = (defined(f"name: inner\nsteps: [{{value: {n}}}]")[0] for n in (1, 2))
    assert await deploy(outer, follows, exact, first) == {
        **{"outer": 1, "follows": 1, "exact": 1},
        "inner": 1,
    }
    assert await deploy(second) == {"inner": 2}

    async def results() -> list[int]:
        async with running(client) as queue:
            names = ("outer", "follows", "exact")
            return [await result(client, name, queue) for name in names]

    assert await results() == [1, 2, 1]
    # The text is as before; what it runs is not.
    assert await deploy(outer) == {"outer": 2}
    assert await deploy(outer, second) == {"outer": 2, "inner": 2}
    assert await results() == [2, 2, 1]
    # Together: the new one runs the new one.
    third = defined("name: inner\nsteps: [{value: 3}]")[0]
    assert await deploy(outer, third) == {"outer": 3, "inner": 3}
    assert await results() == [3, 3, 1]


async def test_an_alias_has_its_own(client: Client) -> None:
    registry = Registry(client)
    (outer,) = defined("name: staged\nsteps: [{id: c, workflow: part}]")
    old, new = (defined(f"name: part\nsteps: [{{value: {n}}}]")[0] for n in ("old", "new"))
    await registry.publish(old, by="test")
    await registry.publish(new, by="test", alias="staging")
    for alias, number in (("live", 1), ("staging", 2)):
        done = await registry.publish_all([outer], by="test", alias=alias)
        stored = await registry.stored("staged", done["staged"].revision)
        assert f'"revision":{number}' in stored.text


async def test_a_definition_that_runs_itself_runs_its_own_revision(client: Client) -> None:
    registry = Registry(client)
    text = """
name: itself
steps:
  - {id: wait, if: input.n == 2, wait_signal: go}
  - {id: rest, if: input.n > 0, workflow: itself, with: {n: "${ input.n - 1 }"}}
signals: {go: {}}
output: ["WORD", "${ default(steps.rest.output, null) }"]
"""
    old, new = (defined(text.replace("WORD", word))[0] for word in ("old", "new"))
    await registry.publish_all([old], by="test")
    async with running(client) as queue:
        handle = await client.start_workflow("itself", {"n": 2}, id="itself-1", task_queue=queue)
        await handle.query("status")
        await registry.publish_all([new], by="test")
        await handle.signal("go")
        assert await handle.result() == ["old", ["old", ["old", None]]]


async def test_a_circle_is_pinned_as_far_as_it_can_be(client: Client) -> None:
    registry = Registry(client)
    one = "name: one\nsteps: [{id: c, if: input.n > 0, workflow: two, with: {n: 0}}, {value: 1}]"
    two = "name: two\nsteps: [{id: c, if: input.n > 0, workflow: one, with: {n: 0}}, {value: 2}]"
    definitions = defined(one, two)
    await registry.publish_all(definitions, by="test")
    again = await registry.publish_all(definitions, by="test")
    assert not any(published.new or published.moved for published in again.values())
    async with running(client) as queue:
        assert await result(client, "one", queue, n=1) == 1


async def test_what_is_foreseen_is_what_is_published(client: Client) -> None:
    registry = Registry(client)
    texts = (
        "name: top\nsteps: [{id: c, workflow: mid}]",
        "name: mid\nsteps: [{id: c, workflow: low}]",
    )
    low = "name: low\nsteps: [{value: VALUE}]"
    for number in (1, 2):
        definitions = defined(*texts, low.replace("VALUE", str(number)))
        foreseen = await registry.foreseen(definitions)
        done = await registry.publish_all(definitions, by="test")
        for one in foreseen:
            stored = await registry.stored(one.name, done[one.name].revision)
            assert stored.text == canonical(one)
        assert [one.revision for one in done.values()] == [number] * 3


def _names(definitions: list[Definition]) -> Iterator[str]:
    return (one.name for one in definitions)


def test_which_definitions_are_meant() -> None:
    (one,) = defined("""
name: one
steps:
  - {id: a, workflow: plain}
  - {id: b, workflow: by-hand, args: []}
  - {id: c, workflow: exact, revision: 3}
  - {id: d, workflow: "${ input.x }", one_of: [p, q]}
  - {id: e, workflow: one}
  - parallel:
      x: [{id: f, workflow: deep, with: {workflow: not-this}}]
    compensate: {workflow: undoes}
    catch: [{do: [{id: g, workflow: caught}]}]
""")
    assert called_by(one) == ("caught", "deep", "plain", "undoes")
    written = canonical(pinned(one, {"deep": 4, "not-this": 5, "exact": 6}))
    assert written.count('"revision":4') == 1
    assert '"revision":5' not in written
    assert '"revision":6' not in written
    assert canonical(one) == canonical(pinned(one, {}))


def test_what_is_run_comes_first() -> None:
    definitions = defined(
        "name: a\nsteps: [{id: x, workflow: b}]",
        "name: b\nsteps: [{id: x, workflow: c}]",
        "name: c\nsteps: [{id: x, workflow: elsewhere}]",
    )
    assert list(_names(in_order(definitions))) == ["c", "b", "a"]
