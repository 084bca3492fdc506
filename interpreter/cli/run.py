"""`run`: the main job in one command."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from interpreter.cli.errors import CliError, Exit, Interrupted
from interpreter.cli.options import Activities, Input, Settings, TemporalPath

if TYPE_CHECKING:
    from temporalio.client import Client

    from dsl.model.definition import Definition
    from interpreter.activities import ActivityRegistry
    from interpreter.cli.follow import Followed

__all__ = ["register"]

_LINGER = 10.0
"""How long it is waited for what is detached, in seconds."""
_LISTED = 0.2
"""How long what was started may be missing in the server's lists, in seconds."""
_HINT = (
    "name one with --address, start one with `temporal server start-dev`, "
    "or name none: then `run` brings its own"
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(run)


def run(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The definition.", metavar="PATH", readable=False)],
    input: Input = None,
    activities: Activities = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Which definition of the file. Default: the first.")
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="The workflow's id.")] = None,
    temporal_path: TemporalPath = None,
) -> int:
    """Run a definition, watch it, print its result.

    Where no server is configured it starts one of its own, which ends with it.
    """
    from dsl.model.inputs import check_input, with_defaults
    from interpreter.cli import inputs

    settings = context.find_object(Settings) or Settings()
    if id == "":
        raise CliError("--id: it must not be empty", hint="leave it out, and there is one")
    if path.is_dir():
        raise CliError(f"{path} is a folder: name a file")
    modules = activities or inputs.activities_beside([path])
    registry = inputs.registry(modules)
    loaded = inputs.load_or_exit([path], registry)
    definition = inputs.chosen(loaded.definitions, name, path)
    value = inputs.read_json(input, "--input")
    value: Any = {} if input is None else value
    if definition.input is not None:
        problems = check_input(definition.input, with_defaults(definition.input, value))
        if problems:
            hint = None if input is not None else "give it with --input JSON or --input @FILE"
            raise CliError("\n  ".join(["the input does not fit:", *problems]), hint=hint)
    job = _Job(settings, loaded.definitions, registry, definition.name, value, id)
    # A bare name would be looked for on PATH.
    return job.run(path, str(temporal_path.absolute()) if temporal_path else None)


def _completed(steps: list[dict[str, Any]], ids: set[str]) -> list[str]:
    """The paths of the completed steps with such ids."""
    found: list[str] = []
    for step in steps:
        if step["status"] == "completed" and step["path"].rpartition(".")[2] in ids:
            found.append(step["path"])
        found += _completed(step.get("steps", []), ids)
    return found


def _compensated(content: Any) -> Iterator[str]:
    """The ids of the steps in a part of a definition that have a compensation."""
    if isinstance(content, dict):
        content = cast("dict[str, Any]", content)
        if content.get("compensate") and content.get("id"):
            yield content["id"]
        content = list(content.values())
    if isinstance(content, list):
        for inner in cast("list[Any]", content):
            yield from _compensated(inner)


def _detaches(definition: Definition) -> bool:
    """Whether a definition starts what lives on by itself."""
    from dsl.model.common import steps_in
    from dsl.steps import WorkflowStep

    steps = (step for step in steps_in(definition) if isinstance(step, WorkflowStep))
    return any(step.detached is True for step in steps)


class _Job:
    def __init__(
        self,
        settings: Settings,
        definitions: list[Definition],
        registry: ActivityRegistry,
        name: str,
        input: Any,
        id: str | None,
    ) -> None:
        self.settings = settings
        self.definitions = definitions
        self.registry = registry
        self.name = name
        self.input = input
        self.id = id or f"{name}-{uuid.uuid4().hex[:8]}"
        self.queue = "dsl"
        self.path: Path | None = None  # where the run may outlive this command
        self.started = False
        self.state: dict[str, Any] = {}  # the last that is known
        self.detached: list[str] = []  # what lives on when the run has ended

    def run(self, path: Path, temporal: str | None) -> int:
        """Runs it, on the server that was named or on one of its own."""
        from interpreter.cli import logs, render
        from interpreter.cli.connection import configured, connect, converter
        from interpreter.cli.work import Interruptible
        from interpreter.server import ServerNotFoundError, start_server
        from interpreter.worker import TASK_QUEUE

        logs.quiet(self.settings.debug)
        with Interruptible() as loop:
            if configured(self.settings):
                self.path = path
                self.queue = f"{TASK_QUEUE}-run-{uuid.uuid4().hex[:8]}"  # nobody else's worker
                client = loop.run(connect(self.settings, _HINT))
                try:
                    return loop.run(self.work(client))
                except (Interrupted, KeyboardInterrupt):
                    if self.started:
                        render.note(self.to_go_on(path))
                    raise
            try:
                written = loop.run(converter(self.settings))
                server = loop.finish(start_server(temporal, converter=written))
            except ServerNotFoundError as error:
                raise CliError(str(error), Exit.UNREACHABLE) from None
            except RuntimeError as error:
                message = f"the embedded server did not start: {error}"
                raise CliError(message, Exit.UNREACHABLE) from None
            try:
                return loop.run(self.work(server.client))
            except (Interrupted, KeyboardInterrupt):
                if self.started:
                    render.note(self.left())
                raise
            finally:
                loop.finish(server.shutdown())

    async def work(self, client: Client) -> int:
        from interpreter.cli import render
        from interpreter.cli.follow import conclude
        from interpreter.cli.work import with_workers
        from interpreter.definitions.store import MemoryStore
        from interpreter.worker import make_worker

        render.note(f"{self.name}  {self.id}", "bold")
        store = MemoryStore(self.definitions)
        now = timedelta(0)  # when the run has ended nobody waits for its activities
        worker = make_worker(
            client, store, self.registry, task_queue=self.queue, graceful_shutdown=now
        )
        followed = await with_workers([worker], self.follow(client), 0)
        if followed.open:
            return self.suspended(followed.state)
        if self.detached:
            render.note(self.still_open(self.detached))
        return conclude(self.name, followed, self.settings.json)

    async def follow(self, client: Client) -> Followed:
        from temporalio.exceptions import WorkflowAlreadyStartedError
        from temporalio.service import RPCError

        from interpreter.cli.connection import rpc_error
        from interpreter.cli.follow import follow

        try:
            handle = await client.start_workflow(
                self.name, self.input, id=self.id, task_queue=self.queue
            )
        except WorkflowAlreadyStartedError:
            raise CliError(f"a run with the id {self.id} is open already") from None
        except RPCError as error:
            raise rpc_error(error, f"{self.name} was not started") from None
        self.started = True
        followed = await follow(handle, self.saw)
        if not followed.open and any(map(_detaches, self.definitions)):
            await self.await_detached(client)
        return followed

    async def await_detached(self, client: Client) -> None:
        """Waits a while for what was started to live on by itself: its worker ends here."""
        import asyncio

        from interpreter.cli.work import told

        query = f"TaskQueue = '{self.queue}' AND ExecutionStatus = 'Running'"

        async def look() -> None:
            end = time.monotonic() + _LINGER
            await asyncio.sleep(_LISTED)
            while True:
                self.detached = [one.id async for one in client.list_workflows(query)]
                if not self.detached or time.monotonic() > end:
                    return
                await asyncio.sleep(_LISTED)

        await told(look(), "waiting for what is detached")

    def still_open(self, ids: list[str]) -> str:
        """What to do about workflows that live on when the run has ended."""
        names = ", ".join(sorted(ids)[:5]) + (" and others" if len(ids) > 5 else "")
        if self.path is None:
            return f"still open, and ends with the embedded server: {names}"
        return (
            f"still open, and nobody works on it now: {names}. To go on:\n"
            f"  temporal-dsl worker --definitions {self.path} --task-queue {self.queue}"
        )

    def saw(self, state: dict[str, Any]) -> None:
        """Remembers a state, for those who interrupt it."""
        self.state = state

    def to_go_on(self, path: Path) -> str:
        """What to do with a run that is left open on a server."""
        return (
            f"{self.id} stays open, and nobody works on it now. To go on:\n"
            f"  temporal-dsl worker --definitions {path} --task-queue {self.queue}\n"
            f"To end it: temporal workflow cancel --workflow-id {self.id}, with that worker running"
        )

    def left(self) -> str:
        """What is left of a run whose server ends before it."""
        said = "the embedded server ends here, and the run with it: what was done is not undone"
        ids = {id for one in self.definitions for id in _compensated(one.model_dump())}
        done = _completed(self.state.get("steps", []), ids)
        return f"{said}: {', '.join(done)}" if done else said

    def suspended(self, state: dict[str, Any]) -> int:
        from interpreter.cli import render

        render.faults(state, None if self.path is None else self.id)
        if self.path is None:
            render.note("mend it and run it again: the embedded server ends here")
        else:
            render.note(self.to_go_on(self.path))
        if self.settings.json:
            render.result(state)
        return Exit.SUSPENDED
