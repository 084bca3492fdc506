"""`worker`: run definitions and activities for others."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Activities, Settings, TaskQueue
from interpreter.cli.registered import RegistryNamespace

if TYPE_CHECKING:
    from temporalio.client import Client

    from interpreter.activities import ActivityRegistry
    from interpreter.definitions.directory import DirectoryStore, Reload

__all__ = ["register"]

_PAUSE = 10.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(worker)


def worker(
    context: typer.Context,
    definitions: Annotated[
        Path | None,
        typer.Option(
            "--definitions",
            readable=False,
            help="A folder of definitions, or a file: followed as it changes. "
            "Default: what is deployed.",
        ),
    ] = None,
    activities: Activities = None,
    task_queue: TaskQueue = "dsl",
    drain: Annotated[
        float, typer.Option("--drain", help="Seconds that activities have to end on SIGTERM.")
    ] = 30.0,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="text|json", help="How log lines look.")
    ] = "text",
    registry_namespace: RegistryNamespace = None,
    continue_after: Annotated[
        int | None,
        typer.Option(
            "--continue-as-new-after",
            min=1,
            metavar="EVENTS",
            help="For tests: runs that begin here go on as new after so many events. "
            "Default: when the server suggests it.",
        ),
    ] = None,
) -> int:
    """Run a worker: definitions by their names, and the activities of modules.

    It follows what is deployed, or a folder, without a restart. Runs that are open keep the
    revision that they began with.
    """
    from interpreter.cli import inputs
    from interpreter.cli.work import Interruptible

    settings = context.find_object(Settings) or Settings()
    if log_format not in ("text", "json"):
        raise CliError(f"--log-format {log_format}: it must be text or json")
    place = definitions or Path()
    registry = inputs.registry(activities or inputs.activities_beside([place]))
    store = None if definitions is None else _read(definitions, registry)
    job = _Worker(settings, registry, store, task_queue, drain, registry_namespace, continue_after)
    with Interruptible() as loop:
        return loop.run(job.run(log_format))


def _read(path: Path, registry: ActivityRegistry) -> DirectoryStore:
    """The definitions of a folder, which must be right at the start."""
    from interpreter.cli import inputs, render, reports
    from interpreter.definitions.directory import DirectoryStore

    files = inputs.files_of([path]).paths
    if not path.exists():
        inputs.load_or_exit(files, None)  # which says what is meant
    store = DirectoryStore([path], registry.catalogue)
    loaded = store.load()
    render.diagnostics(loaded.diagnostics)
    if not loaded.ok:
        raise CliError(
            f"{path} cannot run: {reports.summary(loaded.diagnostics)}",
            more={"diagnostics": reports.records(loaded.diagnostics)},
        )
    return store


class _Worker:
    def __init__(
        self,
        settings: Settings,
        registry: ActivityRegistry,
        store: DirectoryStore | None,
        queue: str,
        drain: float,
        namespace: str | None,
        continue_after: int | None,
    ) -> None:
        self.continue_after = continue_after
        self.settings = settings
        self.registry = registry
        self.store = store
        self.queue = queue
        self.drain = drain
        self.namespace = namespace

    async def run(self, log_format: str) -> int:
        from interpreter.cli import logs, render
        from interpreter.cli.connection import connect
        from interpreter.cli.registered import client_in

        logs.lines(self.settings.debug, logging.INFO, log_format)
        client = await connect(self.settings)
        if self.store is not None:
            names = self.store.names
            listening = f"listening on {self.queue} for {', '.join(names)}"
            await self.follow_folder(client, self.store, listening)
        else:
            home = client_in(client, self.namespace)
            names = await self.follow_registry(client, home)
        if self.settings.json:
            render.result({"task_queue": self.queue, "definitions": names})
        return Exit.DONE

    async def follow_folder(self, client: Client, store: DirectoryStore, listening: str) -> None:
        from interpreter.cli.work import with_workers
        from interpreter.definitions.catalogues import identity_of_files
        from interpreter.worker import make_worker

        worker = make_worker(
            client,
            store,
            self.registry,
            task_queue=self.queue,
            identity=identity_of_files(),
            graceful_shutdown=timedelta(seconds=self.drain),
            continue_after=self.continue_after,
        )
        async with _meanwhile(lambda: store.watch(_report)):
            await with_workers([worker], _until_stopped(listening), self.drain)

    async def follow_registry(self, client: Client, home: Client) -> list[str]:
        """Gives the names that were deployed at the start."""
        from temporalio.service import RPCError

        from interpreter.cli.connection import rpc_error
        from interpreter.cli.work import with_workers
        from interpreter.definitions.catalogues import identity, offer
        from interpreter.definitions.host import registry_worker
        from interpreter.definitions.registry import QUEUE, Registry
        from interpreter.definitions.remote import RegistryStore
        from interpreter.worker import make_worker

        catalogue = self.registry.catalogue
        registry = Registry(home)
        worker = make_worker(
            client,
            RegistryStore(registry),
            self.registry,
            task_queue=self.queue,
            identity=identity(catalogue),
            graceful_shutdown=timedelta(seconds=self.drain),
            continue_after=self.continue_after,
        )
        try:
            names = [head.name for head in await registry.heads()]
        except RPCError as error:
            raise rpc_error(error, "the registry cannot be followed") from None
        what = f"{len(names)} deployed definitions" if names else "what will be deployed"
        listening = _until_stopped(f"listening on {self.queue} for {what}")
        async with _meanwhile(lambda: offer(home, catalogue, QUEUE)):
            await with_workers([worker, registry_worker(home)], listening, self.drain)
        return names


@asynccontextmanager
async def _meanwhile(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Does what lasts for ever as long as something else lasts; begins again where it failed."""
    import asyncio

    async def again_and_again() -> None:
        while True:
            try:
                await work()
            except Exception as error:
                logging.getLogger("temporal_dsl").error("it is tried again: %s", error)
                await asyncio.sleep(_PAUSE)

    task = asyncio.ensure_future(again_and_again())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _report(reload: Reload) -> None:
    """Says what became of files that changed."""
    from interpreter.cli import render

    log = logging.getLogger("temporal_dsl")
    for name in reload.changed:
        log.info("%s was read", name)
    for name in reload.removed:
        log.warning("%s is gone: it takes no starts", name)
    if reload.diagnostics:
        render.diagnostics(reload.diagnostics)
    for name in reload.kept:
        log.error("%s stays as it was: its file is wrong now", name)


async def _until_stopped(listening: str) -> None:
    import asyncio

    from interpreter.cli import render

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    render.note(listening)
    await stop.wait()
    render.note("stopping; a second signal stops at once")
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, os._exit, Exit.INTERRUPTED)
