"""`worker`: run definitions and activities for others."""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interpreter.cli.errors import Exit
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
        Path, typer.Option("--definitions", help="A folder of definitions, or a file.")
    ],
    activities: Activities = None,
    task_queue: TaskQueue = "dsl",
    drain: Annotated[
        float, typer.Option("--drain", help="Seconds that activities have to end on SIGTERM.")
    ] = 30.0,
) -> int:
    """Run a worker: definitions by their names, and the activities of modules."""
    from dsl.loader import definition_files
    from interpreter.cli import inputs
    from interpreter.cli.errors import CliError

    settings = context.find_object(Settings) or Settings()
    if not definitions.exists():
        raise CliError(f"{definitions}: there is no such file or folder")
    files = list(definition_files(definitions))
    if not files:
        raise CliError(f"{definitions}: there are no YAML files in it")
    registry = inputs.registry(activities or inputs.activities_beside([definitions]))
    loaded = inputs.load_or_exit(files, registry)
    return asyncio.run(_work(settings, loaded.definitions, registry, task_queue, drain))


async def _work(
    settings: Settings,
    definitions: list[Definition],
    registry: ActivityRegistry,
    task_queue: str,
    drain: float,
) -> int:
    from interpreter.cli import logs, render
    from interpreter.cli.connection import connect
    from interpreter.definitions.store import MemoryStore
    from interpreter.worker import make_worker

    logs.lines(settings.debug, logging.INFO)
    client = await connect(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = MemoryStore(definitions)
    running = make_worker(
        client,
        store,
        registry,
        task_queue=task_queue,
        graceful_shutdown=timedelta(seconds=drain),
    )
    async with running:
        render.note(f"listening on {task_queue} for {', '.join(store.names)}")
        await stop.wait()
        render.note("stopping")
    return Exit.DONE
