"""`dev`: one terminal for development, with a server, a worker, and files that are followed."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interpreter.cli.errors import CliError, Exit, Interrupted
from interpreter.cli.options import Activities, Settings, TemporalPath

if TYPE_CHECKING:
    from interpreter.cli.dev.session import Session

__all__ = ["register"]

_PORT = 7233
_UI = 1000
"""How far the port of the web UI is from the server's own."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(dev)


def dev(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="The folder with definitions.", metavar="[DIR]")
    ] = Path(),
    activities: Activities = None,
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="FILE",
            readable=False,
            help="What keeps runs and revisions. Default: DIR/.temporal-dsl/dev.sqlite.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="The server's port.")
    ] = _PORT,
    ui_port: Annotated[
        int | None,
        typer.Option(
            "--ui-port", min=1, max=65535, help="The port of its web UI. Default: 1000 more."
        ),
    ] = None,
    temporal_path: TemporalPath = None,
) -> int:
    """Develop in one terminal: a server, a worker, and every change is live at once.

    Definitions below DIR are checked and published when they are saved, activities are taken over
    by a new worker. Runs that are open keep what they began with, also when `dev` is ended and
    started again. With -o json each event is a line of JSON.
    """
    from interpreter.cli import results
    from interpreter.cli.dev.watching import Lock, prepared
    from interpreter.server import ServerNotFoundError, find_temporal

    settings = context.find_object(Settings) or Settings()
    if settings.json:
        results.in_lines()
    _refuse_connection(settings)
    ui_port = port + _UI if ui_port is None else ui_port
    if ui_port == port or ui_port > 65535:
        raise CliError(f"{ui_port} cannot be the port of the web UI", hint="name one: --ui-port")
    own, file = prepared(folder, db)
    try:
        temporal = find_temporal(str(temporal_path.absolute()) if temporal_path else None)
    except ServerNotFoundError as error:
        message, _, hint = str(error).partition(": ")
        raise CliError(message, Exit.UNREACHABLE, _no_address(hint)) from None
    locks = [Lock(own / "lock", folder), Lock(file.with_name(f"{file.name}.lock"), file)]
    _refuse_taken(port, "--port", "the server")
    _refuse_taken(ui_port, "--ui-port", "the web UI")

    from interpreter.cli.dev.session import Session

    session = Session(settings, folder, activities or [], temporal, file, (port, ui_port), locks)
    return _run(session, settings)


def _run(session: Session, settings: Settings) -> int:
    from interpreter.cli import logs
    from interpreter.cli.work import Interruptible

    logs.quiet(settings.debug)
    with Interruptible() as loop:
        try:
            loop.run(session.run())
        except (Interrupted, KeyboardInterrupt):
            raise Interrupted from None
        finally:
            loop.finish(session.stop())
    return Exit.DONE


def _refuse_connection(settings: Settings) -> None:
    """Refuses options that name a server: this command brings its own."""
    tls = (settings.tls_ca_path, settings.tls_cert_path, settings.tls_key_path)
    named = {
        "--address": settings.address,
        "--namespace": settings.namespace,
        "--profile": settings.profile,
        "--api-key": settings.api_key,
        "--tls": settings.tls or settings.tls_server_name or next(filter(None, tls), None),
    }
    for option, value in named.items():
        if value is not None:
            hint = "leave it out; on another server use `temporal-dsl worker`"
            raise CliError(f"{option}: `dev` brings a server of its own", hint=hint)


def _no_address(hint: str) -> str | None:
    """A hint without the advice to name a server."""
    return hint.partition(", or name a")[0] or None


def _refuse_taken(port: int, option: str, whose: str) -> None:
    """Refuses a port that somebody listens on.

    Raises:
        CliError: if somebody does.
    """
    try:
        # As servers do it: what is left of connections of before does not matter.
        reuse = os.name == "posix"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
            probe.bind(("127.0.0.1", port))
    except OSError as error:
        hint = f"end what listens there, or name another port: {option} {_free()}"
        message = f"port {port}, for {whose}, cannot be used: {(error.strerror or '').lower()}"
        raise CliError(message, Exit.UNREACHABLE, hint) from None


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
