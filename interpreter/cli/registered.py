"""What the commands that use the registry share."""

from __future__ import annotations

import getpass
import random
import socket
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

    from interpreter.definitions.registry import Registry
    from interpreter.definitions.store import StoredDefinition

__all__ = [
    "Name",
    "RegistryNamespace",
    "author",
    "check_input_of",
    "chosen",
    "client_in",
    "commit_of",
    "opened",
]

Name = Annotated[str, typer.Argument(help="The definition's name.", metavar="NAME")]
RegistryNamespace = Annotated[
    str | None,
    typer.Option("--registry-namespace", help="The namespace of the registry, if it is another."),
]


_HINT = "it is run by every `temporal-dsl worker`, and by this command where none is up"


@asynccontextmanager
async def opened(
    settings: Settings, namespace: str | None
) -> AsyncGenerator[tuple[Client, Registry]]:
    """A client, and the registry with somebody who runs it.

    Raises:
        CliError: for all that goes wrong with either.
    """
    from temporalio.client import (
        WorkflowFailureError,
        WorkflowQueryFailedError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    )
    from temporalio.service import RPCError, RPCStatusCode

    from interpreter.cli.connection import connect, rpc_error
    from interpreter.definitions.host import hosted
    from interpreter.definitions.registry import RefusedError, Registry
    from interpreter.definitions.store import UnknownDefinitionError

    client = await connect(settings)
    home = client_in(client, namespace)
    try:
        async with hosted(home):
            yield client, Registry(home)
    except RefusedError as error:
        raise CliError(str(error)) from None
    except UnknownDefinitionError as error:
        message, _, hint = str(error).partition("; ")
        raise CliError(message, hint=hint or None) from None
    except (WorkflowFailureError, WorkflowQueryFailedError) as error:
        why = error.cause or error
        raise CliError(f"the registry failed: {why}", Exit.FAILED) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        raise CliError("the registry does not answer", Exit.UNREACHABLE, _HINT) from None
    except RPCError as error:
        if error.status in (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED):
            raise CliError("the registry does not answer", Exit.UNREACHABLE, _HINT) from None
        raise rpc_error(error, "the registry cannot be used") from None


def client_in(client: Client, namespace: str | None) -> Client:
    """The same client in the namespace of the registry, which needs no external storage."""
    from temporalio.client import Client

    return Client(client.service_client, namespace=namespace or client.namespace)


async def chosen(
    registry: Registry, name: str, revision: int | None, alias: str | None
) -> StoredDefinition:
    """The revision that a start takes.

    Raises:
        UnknownDefinitionError: if there is none, or starts are refused.
    """
    from interpreter.definitions.store import UnknownDefinitionError

    head = await registry.head(name)
    if head is None:
        from dsl.diagnostics import did_you_mean

        known = [one.name for one in await registry.heads()]
        hint = did_you_mean(name, known) or "`temporal-dsl definitions list` shows what is"
        raise UnknownDefinitionError(f"no definition named {name} is deployed; {hint}")
    if revision is None or head.retired:
        revision = head.choose(alias, random.random())
    return await registry.stored(name, revision)


def check_input_of(stored: StoredDefinition, input: Any) -> None:
    """Checks the input against the schema of a definition.

    Raises:
        CliError: if it does not fit.
    """
    from dsl.model.inputs import check_input, with_defaults

    schema = stored.definition.input
    if schema is not None:
        problems = check_input(schema, with_defaults(schema, input))
        if problems:
            raise CliError("\n  ".join(["the input does not fit:", *problems]))


def author() -> str:
    """Who does it, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def commit_of(paths: Sequence[Path]) -> str | None:
    """The commit that files are from, where they are in a repository of Git."""
    folder = paths[0] if paths[0].is_dir() else paths[0].parent
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--", *(str(p.absolute()) for p in paths))
    return f"{commit} with changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
