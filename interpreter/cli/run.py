"""`run`: the main job in one command."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Activities, Input, Settings, TemporalPath

if TYPE_CHECKING:
    from temporalio.client import Client

    from dsl.model.definition import Definition
    from interpreter.activities import ActivityRegistry

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(run)


def run(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The definition.", metavar="PATH")],
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
    if path.is_dir():
        raise CliError(f"{path} is a folder: name a file")
    modules = activities or inputs.activities_beside([path])
    registry = inputs.registry(modules)
    loaded = inputs.load_or_exit([path], registry)
    definition = _chosen(loaded.definitions, name, path)
    value = inputs.read_json(input, "--input")
    value: Any = {} if input is None else value
    if definition.input is not None:
        problems = check_input(definition.input, with_defaults(definition.input, value))
        if problems:
            hint = None if input is not None else "give it with --input JSON or --input @FILE"
            raise CliError("\n  ".join(["the input does not fit:", *problems]), hint=hint)
    job = _Job(settings, loaded.definitions, registry, definition.name, value, id)
    return asyncio.run(job.run(str(temporal_path) if temporal_path else None))


def _chosen(definitions: list[Definition], name: str | None, path: Path) -> Definition:
    for definition in definitions:
        if name is None or definition.name == name:
            return definition
    known = ", ".join(definition.name for definition in definitions)
    raise CliError(f"{path} has no definition named {name}", hint=f"it has: {known}")


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

    async def run(self, temporal: str | None) -> int:
        from interpreter.cli.connection import configured, connect
        from interpreter.server import ServerNotFoundError, start_server
        from interpreter.worker import TASK_QUEUE

        if configured(self.settings):
            queue = f"{TASK_QUEUE}-run-{uuid.uuid4().hex[:8]}"  # nobody else's worker
            return await self.work(await connect(self.settings), queue, embedded=False)
        try:
            server = await start_server(temporal)
        except ServerNotFoundError as error:
            raise CliError(str(error), Exit.UNREACHABLE) from None
        except RuntimeError as error:
            raise CliError(
                f"the embedded server did not start: {error}", Exit.UNREACHABLE
            ) from None
        try:
            return await self.work(server.client, TASK_QUEUE, embedded=True)
        finally:
            await server.shutdown()

    async def work(self, client: Client, queue: str, embedded: bool) -> int:
        from temporalio.exceptions import WorkflowAlreadyStartedError
        from temporalio.service import RPCError

        from interpreter.cli import logs, render
        from interpreter.cli.connection import rpc_error
        from interpreter.cli.follow import follow
        from interpreter.definitions.store import MemoryStore
        from interpreter.worker import make_worker

        logs.quiet(self.settings.debug)
        render.note(f"{self.name}  {self.id}", "bold")
        async with make_worker(
            client, MemoryStore(self.definitions), self.registry, task_queue=queue
        ):
            try:
                handle = await client.start_workflow(
                    self.name, self.input, id=self.id, task_queue=queue
                )
            except WorkflowAlreadyStartedError:
                raise CliError(f"a run with the id {self.id} is open already") from None
            except RPCError as error:
                raise rpc_error(error, f"{self.name} was not started") from None
            followed = await follow(handle)
        state = followed.state
        if followed.open:
            return self.suspended(state, embedded)
        render.outcome(state, followed.seconds)
        if followed.failure is None:
            render.result(
                state | {"output": followed.result} if self.settings.json else followed.result
            )
            return Exit.DONE
        if self.settings.json:
            kind, message = followed.failure
            render.result({"failure": {"type": kind, "message": message}} | state)
        return Exit.FAILED

    def suspended(self, state: dict[str, Any], embedded: bool) -> int:
        from interpreter.cli import render

        for fault in state.get("suspended", []):
            where = fault["step"] or "the definition"
            render.note(f"suspended at {where}: {fault['fault']}: {fault['message']}", "magenta")
        if embedded:
            render.note("mend it and run it again: the embedded server ends here")
        else:
            render.note(f"{self.id} waits for an operator, and for a worker on its task queue")
        if self.settings.json:
            render.result(state)
        return Exit.SUSPENDED
