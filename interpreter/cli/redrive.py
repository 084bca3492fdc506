"""`redrive`: start a run that failed again from where it failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings
from interpreter.cli.registered import RegistryNamespace

if TYPE_CHECKING:
    from temporalio.client import (
        Client,
        WorkflowExecutionDescription,
        WorkflowExecutionStatus,
        WorkflowHandle,
    )
    from temporalio.common import TypedSearchAttributes

__all__ = ["register"]

_STANDS = frozenset(("completed", "caught", "skipped", "pending"))
_PERIOD = 0.05
_ANEW = "start a new run with `temporal-dsl start`"


@dataclass(frozen=True, slots=True)
class _Failed:
    """A run that failed and may be taken up.

    Args:
        about: What Temporal says of the last run of its id.
        run_id: Its id. Another than that of `about`, where that one was to take it up and did
            not begin.
        given: Its state, as the interpreter has it.
        steps: The paths of the steps that begin anew.
    """

    about: WorkflowExecutionDescription
    run_id: str
    given: dict[str, Any]
    steps: list[str]

    @property
    def name(self) -> str:
        """Its definition's name."""
        return self.about.workflow_type


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(redrive)


def redrive(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The workflow's id.", metavar="ID")],
    revision: Annotated[
        int | None, typer.Option("--revision", help="This revision. Default: the one it had.")
    ] = None,
    alias: Annotated[
        str | None, typer.Option("--alias", help="The revision of this alias.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Watch it to its end.")] = False,
    registry_namespace: RegistryNamespace = None,
) -> int:
    """Start a failed run again from the steps that failed. What was done is not done again.

    All is checked before anything is started. A run of which anything was undone is refused.
    """
    from interpreter.cli.work import Interruptible

    if revision is not None and alias is not None:
        raise CliError("--revision and --alias: give one of them")
    settings = context.find_object(Settings) or Settings()
    wanted = None if revision is None and alias is None else (revision, alias)
    with Interruptible() as loop:
        return loop.run(_redrive(settings, id, wanted, follow, registry_namespace))


async def _redrive(
    settings: Settings,
    id: str,
    wanted: tuple[int | None, str | None] | None,
    follow: bool,
    namespace: str | None,
) -> int:
    from interpreter.cli import render
    from interpreter.cli.connection import connect
    from interpreter.definitions.catalogues import follows_files
    from interpreter.definitions.host import pollers
    from interpreter.revising import program_of

    client = await connect(settings)
    failed = await _failed(client, id)
    options = {"redrive": failed.run_id}
    listening = await pollers(client, failed.about.task_queue)
    if wanted is None:
        revision = program_of(failed.given["pinned"]).revision
        handle = await _started(client, failed, options, revision)
    elif any(follows_files(one.identity) for one in listening):
        handle = await _started_of_files(client, failed, options, *wanted)
        revision = await _begun(client, handle)
    else:
        revision = await _fitting(settings, namespace, failed, *wanted)
        handle = await _started(client, failed, options | {"revision": revision}, revision)
    idle = not listening
    if idle:
        render.note(f"no worker listens on {failed.about.task_queue}: it waits for one", "yellow")
    about = {"id": id, "run_id": handle.first_execution_run_id, "redrives": failed.run_id}
    about |= {"definition": failed.name, "revision": _numbered(revision)}
    about |= {"task_queue": failed.about.task_queue, "begins_anew": failed.steps}
    steps = ", ".join(failed.steps) or "the definition"
    if not (settings.json and follow):
        render.note(f"{failed.name}, revision {revision}, goes on where it failed: {steps}")
    if follow:
        from interpreter.cli.follow import watched

        return await watched(failed.name, handle, settings.json, about)
    if settings.json:
        render.result(about | {"started": True, "idle": idle})
    else:
        render.line(id)
    return Exit.DONE


def _numbered(revision: str) -> int | str:
    """A revision as `start` writes it: those of files are no numbers."""
    return int(revision) if revision.isdecimal() else revision


async def _failed(client: Client, id: str) -> _Failed:
    """The run that is to be taken up.

    Raises:
        CliError: if there is none.
    """
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError

    from interpreter.cli.connection import rpc_error
    from interpreter.cli.query import ask

    try:
        about = await client.get_workflow_handle(id).describe()
    except RPCError as error:
        raise rpc_error(error, f"{id} cannot be redriven") from None
    if about.status is not WorkflowExecutionStatus.FAILED:
        raise _unfit(id, about.status)
    run_id = about.run_id
    state = await ask(client, id, "status", [], run_id)
    while "revision" not in state:  # it did not begin: nothing of it is to be taken up
        redriven = await _redriven_by(client, id, run_id)
        if redriven is None:
            why = f"the run did not begin: {state.get('error', {}).get('message', 'it failed')}"
            raise CliError(f"{id} cannot be redriven: {why}", hint=_ANEW)
        run_id = redriven
        state = await ask(client, id, "status", [], run_id)
    given = await _state(client, id, run_id, about.workflow_type)
    return _Failed(about, run_id, given, list(_broken(state.get("steps", []))))


def _unfit(id: str, status: WorkflowExecutionStatus | None) -> CliError:
    from temporalio.client import WorkflowExecutionStatus as Status

    match status:
        case Status.RUNNING:
            hint = f"`temporal-dsl status {id}` shows where it stands"
            return CliError(
                f"{id} cannot be redriven: it is open", hint=f"{hint}; `resume` is for a suspended"
            )
        case Status.COMPLETED:
            return CliError(f"{id} cannot be redriven: it completed", hint=_ANEW)
        case Status.CANCELED:
            return CliError(f"{id} cannot be redriven: it was cancelled, and undone", hint=_ANEW)
        case Status.TERMINATED:
            return CliError(f"{id} cannot be redriven: it was terminated", hint=_ANEW)
        case Status.TIMED_OUT:
            return CliError(f"{id} cannot be redriven: Temporal's timeout ended it", hint=_ANEW)
        case _:
            return CliError(f"{id} cannot be redriven: only a run that failed can be", hint=_ANEW)


async def _redriven_by(client: Client, id: str, run_id: str) -> str | None:
    """The run that one was started to take up, if it was."""
    handle = client.get_workflow_handle(id, run_id=run_id)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        match await client.data_converter.decode(payloads[1:2]):
            case [{"redrive": str(redriven)}]:
                return redriven
            case _:
                return None
    return None


async def _state(client: Client, id: str, run_id: str, type: str) -> dict[str, Any]:
    from temporalio.service import RPCError

    from interpreter.cli.connection import rpc_error
    from interpreter.cli.work import told
    from interpreter.redriver import failed_state
    from interpreter.revising import NotRedrivable

    asking = failed_state(client, id, run_id, type)
    try:
        return await told(asking, "waiting for a worker to answer")
    except NotRedrivable as error:
        raise CliError(f"{id} cannot be redriven: {error}", hint=_ANEW) from None
    except RPCError as error:
        raise rpc_error(error, f"{id} cannot be redriven") from None


def _broken(steps: list[dict[str, Any]]) -> Iterator[str]:
    """The paths of the innermost steps that did not end well."""
    for step in steps:
        if step["status"] not in _STANDS:
            inner = list(_broken(step.get("steps", [])))
            yield from inner or [step["path"]]


async def _fitting(
    settings: Settings,
    namespace: str | None,
    failed: _Failed,
    number: int | None,
    alias: str | None,
) -> str:
    """The revision to go on under, which fits what was done.

    Raises:
        CliError: if there is none, or it does not.
    """
    from interpreter.cli.registered import check_input_of, chosen, opened
    from interpreter.program import Program
    from interpreter.redriver import fitted
    from interpreter.revising import NotRedrivable

    async with opened(settings, namespace) as (_, registry):
        stored = await chosen(registry, failed.name, number, alias)
    check_input_of(stored, failed.given["input"])
    try:
        fitted(failed.given, Program(stored.definition, stored.digest, stored.revision))
    except NotRedrivable as error:
        raise _does_not_fit(failed.about.id, str(error)) from None
    return stored.revision


async def _started_of_files(
    client: Client, failed: _Failed, options: dict[str, str], number: int | None, alias: str | None
) -> WorkflowHandle[Any, Any]:
    """Starts it where only the worker knows the definition, and looks whether it fits."""
    if number is not None or alias != "live":
        raise CliError(
            f"the worker of {failed.about.task_queue} follows a folder: there are no numbers, "
            "and one alias",
            hint="--alias live is what stands in its folder now",
        )
    return await _started(client, failed, options | {"alias": alias})


async def _begun(client: Client, handle: WorkflowHandle[Any, Any]) -> str:
    """The revision that it goes on under, once it does.

    Raises:
        CliError: if it does not fit. The run that was started has done nothing then.
    """
    import asyncio

    from interpreter.cli.query import ask

    run_id = handle.first_execution_run_id
    while True:
        state = await ask(client, handle.id, "status", [], run_id)
        if "revision" in state:
            return state["revision"]
        if "error" in state:
            raise _does_not_fit(handle.id, state["error"]["message"])
        await asyncio.sleep(_PERIOD)


def _does_not_fit(id: str, why: str) -> CliError:
    first, *conflicts = why.splitlines()
    message = "\n  ".join([f"{id} cannot be redriven: {first}", *conflicts])
    hint = "nothing was done; deploy a revision that keeps what was done as it is"
    return CliError(message, hint=hint, more={"conflicts": conflicts})


async def _started(
    client: Client, failed: _Failed, options: dict[str, str], revision: str | None = None
) -> WorkflowHandle[Any, Any]:
    from temporalio.common import WorkflowIDReusePolicy
    from temporalio.exceptions import WorkflowAlreadyStartedError
    from temporalio.service import RPCError

    from interpreter.cli.connection import rpc_error

    about = failed.about
    taken = CliError(f"{about.id} was not redriven: there is another run of it by now")
    memo = dict(await about.memo()) | {"definition": failed.name}
    memo.pop("revision", None)
    if revision is not None:
        memo["revision"] = _numbered(revision)
    try:
        # Not one that was taken up and failed again meanwhile: that did more.
        if (await client.get_workflow_handle(about.id).describe()).run_id != about.run_id:
            raise taken
        return await client.start_workflow(
            failed.name,
            args=[failed.given["input"], options],
            id=about.id,
            task_queue=about.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            memo=memo,
            search_attributes=_own(about.typed_search_attributes),
        )
    except WorkflowAlreadyStartedError:
        raise taken from None
    except RPCError as error:
        raise rpc_error(error, f"{about.id} was not redriven") from None


def _own(attributes: TypedSearchAttributes) -> TypedSearchAttributes:
    """Without those that Temporal sets itself."""
    from temporalio.common import SearchAttributePair, TypedSearchAttributes

    pairs: list[SearchAttributePair[Any]] = list(attributes)
    own = [one for one in pairs if not one.key.name.startswith(("BuildIds", "Temporal"))]
    return TypedSearchAttributes(own)
