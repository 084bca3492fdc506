"""`worker`: run definitions and activities for others."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Activities, Settings, TaskQueue
from interpreter.cli.registered import RegistryNamespace

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.worker import Worker

    from interpreter.activities import ActivityRegistry
    from interpreter.serving import Deployed, Files

__all__ = ["register"]


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
    files = None if definitions is None else _read(definitions, registry)
    job = _Worker(settings, registry, files, task_queue, drain, registry_namespace, continue_after)
    with Interruptible() as loop:
        return loop.run(job.run(log_format))


def _read(path: Path, registry: ActivityRegistry) -> Files:
    """The definitions of a folder, which must be right at the start."""
    from interpreter.cli import inputs, render, reports
    from interpreter.serving import Files

    found = inputs.files_of([path]).paths
    if not path.exists():
        inputs.load_or_exit(found, None)  # which says what is meant
    files = Files(path, registry.catalogue)
    loaded = files.load()
    render.diagnostics(loaded.diagnostics)
    if not loaded.ok:
        raise CliError(
            f"{path} cannot run: {reports.summary(loaded.diagnostics)}",
            more={"diagnostics": reports.records(loaded.diagnostics)},
        )
    return files


class _Worker:
    def __init__(
        self,
        settings: Settings,
        registry: ActivityRegistry,
        files: Files | None,
        queue: str,
        drain: float,
        namespace: str | None,
        continue_after: int | None,
    ) -> None:
        self.continue_after = continue_after
        self.settings = settings
        self.registry = registry
        self.files = files
        self.queue = queue
        self.drain = drain
        self.namespace = namespace

    async def run(self, log_format: str) -> int:
        from interpreter.cli import logs, render
        from interpreter.cli.connection import connect
        from interpreter.cli.registered import client_in

        logs.lines(self.settings.debug, logging.INFO, log_format)
        client = await connect(self.settings)
        if self.files is not None:
            names = self.files.store.names
            listening = f"listening on {self.queue} for {', '.join(names)}"
            await self.follow_folder(client, self.files, listening)
        else:
            home = client_in(client, self.namespace)
            names = await self.follow_registry(client, home)
        if self.settings.json:
            render.result({"task_queue": self.queue, "definitions": names})
        return Exit.DONE

    async def follow_folder(self, client: Client, files: Files, listening: str) -> None:
        from interpreter.cli import render
        from interpreter.cli.work import with_workers
        from interpreter.serving import meanwhile

        worker = self.worker(client, files)
        async with meanwhile(lambda: files.follow(render.diagnostics)):
            await with_workers([worker], _until_stopped(listening), self.drain)

    async def follow_registry(self, client: Client, home: Client) -> list[str]:
        """Gives the names that were deployed at the start."""
        from temporalio.service import RPCError

        from interpreter.cli.connection import rpc_error
        from interpreter.cli.work import with_workers
        from interpreter.definitions.host import registry_worker
        from interpreter.serving import Deployed, meanwhile

        deployed = Deployed(home, self.registry.catalogue)
        worker = self.worker(client, deployed)
        try:
            names = await deployed.names()
        except RPCError as error:
            raise rpc_error(error, "the registry cannot be followed") from None
        what = f"{len(names)} deployed definitions" if names else "what will be deployed"
        listening = _until_stopped(f"listening on {self.queue} for {what}")
        async with meanwhile(deployed.offer):
            await with_workers([worker, registry_worker(home)], listening, self.drain)
        return names

    def worker(self, client: Client, serves: Deployed | Files) -> Worker:
        from interpreter.worker import make_worker

        return make_worker(
            client,
            serves.store,
            self.registry,
            task_queue=self.queue,
            identity=serves.identity,
            graceful_shutdown=timedelta(seconds=self.drain),
            continue_after=self.continue_after,
        )


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
