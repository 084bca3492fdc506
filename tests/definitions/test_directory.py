"""Definitions of a folder, changed while they are served."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from interpreter.activities import ActivityRegistry
from interpreter.definitions import directory
from interpreter.definitions.directory import DirectoryStore, Reload
from interpreter.definitions.store import UnknownDefinitionError
from interpreter.worker import make_worker
from tests.support.servers import replay

PERIOD = 0.02


def text(name: str, output: object = 1) -> str:
    return f"dsl: 1\nname: {name}\nsteps: [{{value: {output}}}]\n"


def put(path: Path, content: str) -> None:
    """Writes a file beside and renames it, as good editors do."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(content)
    os.replace(beside, path)


class Reports:
    """What a store that is watched reports."""

    def __init__(self) -> None:
        self.all: list[Reload] = []
        self._taken = 0

    async def next(self, seconds: float = 5) -> Reload:
        """The next report that was not taken yet."""
        end = time.monotonic() + seconds
        while len(self.all) == self._taken:
            assert time.monotonic() < end, "no reload was reported"
            await asyncio.sleep(0.005)
        self._taken += 1
        return self.all[self._taken - 1]

    async def none(self, seconds: float = 0.3) -> None:
        """Fails if there is another one."""
        await asyncio.sleep(seconds)
        assert self.all[self._taken :] == []


@asynccontextmanager
async def watched(*paths: Path) -> AsyncIterator[tuple[DirectoryStore, Reports]]:
    """A store that was loaded without a mistake and is watched."""
    store = DirectoryStore(paths)
    loaded = store.load()
    assert loaded.diagnostics == []
    assert [d.name for d in loaded.definitions] == store.names
    async with watching(store) as reports:
        yield store, reports


@asynccontextmanager
async def watching(store: DirectoryStore, period: float = PERIOD) -> AsyncIterator[Reports]:
    reports = Reports()
    task = asyncio.create_task(store.watch(reports.all.append, period))
    try:
        yield reports
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def served(store: DirectoryStore, name: str) -> Any:
    """What the one step of a definition gives."""
    return (await store.get(name)).definition.model_dump()["steps"][0]["value"]


def summary(reload: Reload) -> tuple[tuple[str, ...], tuple[str, ...], list[str], tuple[str, ...]]:
    return reload.changed, reload.removed, [d.code for d in reload.diagnostics], reload.kept


async def test_new_changed_and_deleted_files(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    async with watched(tmp_path) as (store, reports):
        first = await store.get("a")
        assert first.revision == first.digest[:12]
        (tmp_path / "deeper").mkdir()
        put(tmp_path / "deeper" / "b.yml", text("b"))
        assert summary(await reports.next()) == (("b",), (), [], ())
        put(tmp_path / "a.yaml", text("a", 22))
        assert summary(await reports.next()) == (("a",), (), [], ())
        assert await served(store, "a") == 22
        second = await store.get("a")
        assert await store.get("a", second.revision) is second
        with pytest.raises(UnknownDefinitionError, match=f"no revision {first.revision}"):
            await store.get("a", first.revision)
        (tmp_path / "a.yaml").unlink()
        assert summary(await reports.next()) == ((), ("a",), [], ())
        assert store.names == ["b"]
        with pytest.raises(UnknownDefinitionError, match="no definition is named a"):
            await store.get("a")


async def test_a_change_of_layout_is_no_other_revision(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    async with watched(tmp_path) as (_, reports):
        put(tmp_path / "a.yaml", "# with a comment\n" + text("a"))
        await reports.none()


async def test_aliases(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    store = DirectoryStore([tmp_path])
    store.load()
    assert await store.get("a", alias="live", draw=0.7) is await store.get("a")
    with pytest.raises(UnknownDefinitionError, match="definitions of a folder have no alias next"):
        await store.get("a", alias="next")


async def test_a_bad_file_keeps_what_it_said_and_is_reported_once(tmp_path: Path) -> None:
    good = text("a") + "---\n" + text("a2")
    put(tmp_path / "a.yaml", good)
    put(tmp_path / "b.yaml", text("b"))
    async with watched(tmp_path) as (store, reports):
        put(tmp_path / "a.yaml", "dsl: 1\nname: a\nsteps: [{value: 5\n")
        bad = await reports.next()
        assert summary(bad) == ((), (), ["DSL004"], ("a", "a2"))
        assert bad.diagnostics[0].source.name == str(tmp_path / "a.yaml")
        assert await served(store, "a") == 1
        await reports.none()
        put(tmp_path / "b.yaml", text("b", 2))  # the others go on
        assert summary(await reports.next()) == (("b",), (), [], ("a", "a2"))
        put(tmp_path / "a.yaml", good.replace("value", "valeu"))  # bad in another way
        changed, removed, codes, kept = summary(await reports.next())
        assert (changed, removed, kept) == ((), (), ("a", "a2"))
        assert codes
        assert "DSL004" not in codes
        put(tmp_path / "a.yaml", good)
        assert summary(await reports.next()) == ((), (), [], ())
        await reports.none()


async def test_a_new_bad_file_serves_nothing(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    async with watched(tmp_path) as (store, reports):
        put(tmp_path / "b.yaml", text("b") + "---\n" + text("b"))
        assert summary(await reports.next()) == ((), (), ["DSL409"], ())
        assert store.names == ["a"]
        (tmp_path / "b.yaml").unlink()
        assert summary(await reports.next()) == ((), (), [], ())


async def test_an_unreadable_file_is_read_as_soon_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.yaml", text("a"))
    locked = [True]
    usual = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if locked[0] and self.name == "a.yaml":
            raise PermissionError(13, "Permission denied")
        return usual(self, *args, **options)

    async with watched(tmp_path) as (store, reports):
        monkeypatch.setattr(Path, "open", refuse)  # who runs the tests may be root
        put(tmp_path / "a.yaml", text("a", 2))
        assert summary(await reports.next()) == ((), (), ["DSL001"], ("a",))
        await reports.none()
        locked[0] = False
        assert summary(await reports.next()) == (("a",), (), [], ())
        assert await served(store, "a") == 2


async def test_a_name_of_another_file_is_refused_until_it_is_free(tmp_path: Path) -> None:
    put(tmp_path / "b.yaml", text("x"))
    async with watched(tmp_path) as (store, reports):
        put(tmp_path / "a.yaml", text("x", 2))  # first in order, and yet the later one
        reload = await reports.next()
        assert summary(reload) == ((), (), ["DSL409"], ())
        assert reload.diagnostics[0].source.name == str(tmp_path / "a.yaml")
        assert reload.diagnostics[0].hint == f"the other is at {tmp_path / 'b.yaml'}:2:7"
        assert await served(store, "x") == 1
        put(tmp_path / "b.yaml", text("y", 3))
        assert summary(await reports.next()) == (("x", "y"), (), [], ())
        assert await served(store, "x") == 2


async def test_who_falls_back_takes_its_names_along(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / f"{name}.yaml", text(name))
    store = DirectoryStore([tmp_path])
    store.load()
    put(tmp_path / "a.yaml", text("b", 2))  # b is kept by its own file, so a is still a's
    put(tmp_path / "c.yaml", text("a", 2))
    async with watching(store) as reports:
        assert summary(await reports.next()) == ((), (), ["DSL409", "DSL409"], ("a", "c"))
        assert [await served(store, name) for name in "abc"] == [1, 1, 1]
        (tmp_path / "b.yaml").unlink()
        assert summary(await reports.next()) == (("b", "a"), ("c",), [], ())


async def test_names_move_and_change_places_in_one_reload(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("x") + "---\n" + text("moved"))
    put(tmp_path / "b.yaml", text("y"))
    store = DirectoryStore([tmp_path])
    store.load()
    put(tmp_path / "a.yaml", text("y", 2))
    put(tmp_path / "b.yaml", text("x", 2) + "---\n" + text("moved"))
    async with watching(store) as reports:
        assert summary(await reports.next()) == (("y", "x"), (), [], ())
        assert sorted(store.names) == ["moved", "x", "y"]


async def test_duplicates_at_the_start(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("x"))
    put(tmp_path / "b.yaml", text("x"))
    put(tmp_path / "c.yaml", "dsl: 1\nname: c\n")
    store = DirectoryStore([tmp_path])
    loaded = store.load()
    assert not loaded.ok
    assert [d.source.name[-6:] for d in loaded.diagnostics] == ["b.yaml", "c.yaml"]
    assert store.names == ["x"]


async def test_a_missing_path_at_the_start(tmp_path: Path) -> None:
    loaded = DirectoryStore([tmp_path / "no"]).load()
    assert [d.code for d in loaded.diagnostics] == ["DSL001"]
    assert "no such file" in loaded.diagnostics[0].message
    assert loaded.diagnostics[0].hint is None


async def test_what_is_no_definition_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    put(tmp_path / "compose.yaml", "services: {}\n")
    put(tmp_path / "broken.yaml", "a: [\n")
    for folder in (".hidden", "node_modules"):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder / "a.yaml", text("a", 2))
    async with watched(tmp_path) as (store, reports):
        put(tmp_path / "compose.yaml", "services: {x: 1}\n")
        await reports.none()
        put(tmp_path / "compose.yaml", text("b"))
        assert summary(await reports.next()) == (("b",), (), [], ())
        # What is served of a file is not lost because it looks like another now.
        put(tmp_path / "a.yaml", "")
        assert summary(await reports.next()) == ((), (), ["DSL005"], ("a",))
        put(tmp_path / "a.yaml", "name: a\n")
        changed, removed, codes, kept = summary(await reports.next())
        assert (changed, removed, kept) == ((), (), ("a",))
        assert codes
        assert await served(store, "a") == 1
    assert not DirectoryStore([tmp_path / "broken.yaml"]).load().ok  # it was named


class Mount:
    """A folder as Kubernetes mounts a ConfigMap."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def write(self, **files: str) -> None:
        """Another state of it, in one step as the kubelet does."""
        fresh = self.path / f"..{uuid.uuid4().hex}"
        fresh.mkdir()
        for name, content in files.items():
            (fresh / f"{name}.yaml").write_text(content)
            os.utime(fresh / f"{name}.yaml", (1_000_000_000, 1_000_000_000))
        data, temporary = self.path / "..data", self.path / "..data_tmp"
        old = data.resolve() if data.exists() else None
        temporary.symlink_to(fresh.name)
        temporary.rename(data)
        for name in files:
            link = self.path / f"{name}.yaml"
            if not link.is_symlink():
                link.symlink_to(Path("..data", link.name))
        for link in self.path.glob("*.yaml"):
            if link.stem not in files:
                link.unlink()
        if old is not None:
            shutil.rmtree(old)


async def test_a_config_map(tmp_path: Path) -> None:
    mount = Mount(tmp_path / "mount")
    mount.write(a=text("a", 1), b=text("b", 1))
    async with watched(mount.path) as (store, reports):  # nothing is there twice
        assert store.names == ["a", "b"]
        mount.write(a=text("a", 2), b=text("b", 1))  # of the same size and time
        assert summary(await reports.next()) == (("a",), (), [], ())
        assert await served(store, "a") == 2
        mount.write(a="dsl: 1", b=text("b", 3))
        reload = await reports.next()
        assert (reload.changed, reload.removed, reload.kept) == (("b",), (), ("a",))
        assert {d.source.name for d in reload.diagnostics} == {str(mount.path / "a.yaml")}
        mount.write(b=text("b", 3))
        assert summary(await reports.next()) == ((), ("a",), [], ())
        await reports.none()


async def test_a_link_to_the_folder_that_is_swapped(tmp_path: Path) -> None:
    for state in (1, 2):
        (tmp_path / f"state{state}").mkdir()
        put(tmp_path / f"state{state}" / "a.yaml", text("a", state))
    link = tmp_path / "current"
    link.symlink_to("state1")
    async with watched(link) as (store, reports):
        (tmp_path / "next").symlink_to("state2")
        (tmp_path / "next").rename(link)
        assert summary(await reports.next()) == (("a",), (), [], ())
        assert await served(store, "a") == 2


async def test_files_that_are_given_twice_are_read_once(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    async with watched(tmp_path, tmp_path / "a.yaml") as (store, _):
        assert store.names == ["a"]


@pytest.mark.parametrize("what", ["folder", "file"])
async def test_a_mount_that_vanishes_for_a_while(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "mount"
    folder.mkdir()
    put(folder / "a.yaml", text("a"))
    root = folder if what == "folder" else folder / "a.yaml"
    async with watched(root) as (store, reports):
        folder.rename(tmp_path / "away")
        reload = await reports.next()
        assert summary(reload) == ((), (), ["DSL001"], ("a",))
        assert reload.diagnostics[0].source.name == str(root)
        assert "goes on being served" in (reload.diagnostics[0].hint or "")
        await reports.none()
        assert await served(store, "a") == 1
        (tmp_path / "away").rename(folder)
        assert summary(await reports.next()) == ((), (), [], ())
        put(folder / "a.yaml", text("a", 2))
        assert summary(await reports.next()) == (("a",), (), [], ())


async def test_a_folder_that_cannot_be_listed_keeps_what_is_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deeper").mkdir()
    put(tmp_path / "a.yaml", text("a"))
    put(tmp_path / "deeper" / "b.yaml", text("b"))
    usual = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    async with watched(tmp_path) as (store, reports):
        monkeypatch.setattr(os, "scandir", refuse)  # who runs the tests may be root
        reload = await reports.next()
        assert summary(reload) == ((), (), ["DSL001"], ("b",))
        assert reload.diagnostics[0].message == "it cannot be reached: permission denied"
        assert store.names == ["a", "b"]


async def test_a_file_that_is_gone_while_it_is_replaced_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.yaml", text("a"))
    async with watched(tmp_path) as (_, reports):
        monkeypatch.setattr(directory, "_SECOND_LOOK", 1.0)
        (tmp_path / "a.yaml").unlink()
        await asyncio.sleep(0.3)  # the first look is over
        put(tmp_path / "a.yaml", text("a", 2))
        assert summary(await reports.next()) == (("a",), (), [], ())


async def test_a_file_that_is_written_slowly_ends_up_whole(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", text("a"))
    async with watched(tmp_path) as (store, reports):
        with (tmp_path / "a.yaml").open("w") as file:
            for character in text("a", 2) + "output: 3\n":
                file.write(character)
                file.flush()
                await asyncio.sleep(0.005)
        while (await store.get("a")).definition.model_dump()["output"] != 3:
            reload = await reports.next()
            assert reload.removed == ()
        assert await served(store, "a") == 2


async def test_one_of_two_hundred_files_is_soon_read_again(tmp_path: Path) -> None:
    for number in range(200):
        put(tmp_path / f"f{number}.yaml", text(f"f{number}"))
    async with watched(tmp_path) as (store, reports):
        await asyncio.sleep(0.1)
        start = time.monotonic()
        put(tmp_path / "f100.yaml", text("f100", 2))
        assert summary(await reports.next()) == (("f100",), (), [], ())
        assert time.monotonic() - start < 0.5
        assert len(store.names) == 200


# --- with a worker


def waiting(name: str, output: str) -> str:
    """A definition that waits for a signal and gives a text."""
    return f"""
dsl: 1
name: {name}
signals: {{go: {{}}}}
steps:
  - {{id: {output}, wait_signal: go}}
output: {output}
"""


async def until_it_waits(handle: WorkflowHandle[Any, Any]) -> None:
    for _ in range(500):
        if (await handle.query("status"))["steps"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it does not wait")


@asynccontextmanager
async def working(
    client: Client, path: Path, queue: str
) -> AsyncIterator[tuple[Reports, Callable[[], Any]]]:
    """A worker for a folder; gives the reports, and how to start an execution."""
    store = DirectoryStore([path])
    assert store.load().ok

    async def start() -> WorkflowHandle[Any, Any]:
        return await client.start_workflow(
            queue, id=f"{queue}-{uuid.uuid4().hex[:4]}", task_queue=queue
        )

    async with (
        make_worker(client, store, ActivityRegistry([]), task_queue=queue),
        watching(store, 0.5) as reports,
    ):
        yield reports, start


async def test_who_runs_ends_by_the_old_and_who_starts_by_the_new(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    name = f"d{uuid.uuid4().hex[:8]}"
    put(tmp_path / "d.yaml", waiting(name, "old"))
    async with working(server.client, tmp_path, name) as (reports, start):
        first = await start()
        await until_it_waits(first)
        put(tmp_path / "d.yaml", waiting(name, "new"))
        assert summary(await reports.next(2)) == ((name,), (), [], ())
        second = await start()
        await until_it_waits(second)
        for handle in (first, second):
            await handle.signal("go")
        assert [await first.result(), await second.result()] == ["old", "new"]
    for handle in (first, second):
        await replay(await handle.fetch_history())


async def test_starts_while_a_file_is_bad_and_after_it_is_deleted(
    server: WorkflowEnvironment, tmp_path: Path
) -> None:
    name = f"d{uuid.uuid4().hex[:8]}"
    put(tmp_path / "d.yaml", waiting(name, "old"))
    async with working(server.client, tmp_path, name) as (reports, start):
        put(tmp_path / "d.yaml", waiting(name, "new").replace("signals", "singals"))
        reload = await reports.next()
        assert reload.kept == (name,)
        assert reload.diagnostics[0].hint == "did you mean `signals`?"
        handle = await start()
        await until_it_waits(handle)
        (tmp_path / "d.yaml").unlink()
        assert (await reports.next()).removed == (name,)
        with pytest.raises(WorkflowFailureError) as failure:
            await (await start()).result()
        assert isinstance(failure.value.cause, ApplicationError)
        assert failure.value.cause.type == "UnknownDefinition"
        await handle.signal("go")
        assert await handle.result() == "old"
    await replay(await handle.fetch_history())
