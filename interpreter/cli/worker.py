"""`worker`: run definitions and activities for others."""

from __future__ import annotations

import asyncio
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

if TYPE_CHECKING:
    from dsl.model.definition import Definition
    from interpreter.activities import ActivityRegistry

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(worker)


def worker(
    context: typer.Context,
    definitions: Annotated[
        Path,
        typer.Option("--definitions", readable=False, help="A folder of definitions, or a file."),
    ],
    activities: Activities = None,
    task_queue: TaskQueue = "dsl",
    drain: Annotated[
        float, typer.Option("--drain", help="Seconds that activities have to end on SIGTERM.")
    ] = 30.0,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="text|json", help="How log lines look.")
    ] = "text",
) -> int:
    """Run a worker: definitions by their names, and the activities of modules."""
    from interpreter.cli import inputs
    from interpreter.cli.work import Interruptible

    settings = context.find_object(Settings) or Settings()
    if log_format not in ("text", "json"):
        raise CliError(f"--log-format {log_format}: it must be text or json")
    files = inputs.files_of([definitions])
    registry = inputs.registry(activities or inputs.activities_beside([definitions]))
    loaded = inputs.load_or_exit(files, registry)
    with Interruptible() as loop:
        work = _work(settings, loaded.definitions, registry, task_queue, drain, log_format)
        return loop.run(work)


async def _work(
    settings: Settings,
    definitions: list[Definition],
    registry: ActivityRegistry,
    task_queue: str,
    drain: float,
    log_format: str,
) -> int:
    from interpreter.cli import logs, render
    from interpreter.cli.connection import connect
    from interpreter.cli.work import with_worker
    from interpreter.definitions.store import MemoryStore
    from interpreter.worker import make_worker

    logs.lines(settings.debug, logging.INFO, log_format)
    client = await connect(settings)
    store = MemoryStore(definitions)
    worker = make_worker(
        client,
        store,
        registry,
        task_queue=task_queue,
        graceful_shutdown=timedelta(seconds=drain),
    )

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, stop.set)
        render.note(f"listening on {task_queue} for {', '.join(store.names)}")
        await stop.wait()
        render.note("stopping; a second signal stops at once")
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, os._exit, Exit.INTERRUPTED)

    await with_worker(worker, until_stopped(), drain)
    if settings.json:
        render.result({"task_queue": task_queue, "definitions": store.names})
    return Exit.DONE
