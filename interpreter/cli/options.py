"""The options that commands share.

The global ones may stand before or behind the command's name, as with Temporal's own CLI:
`hoist` brings them to the front, where they are read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from interpreter.cli.errors import CliError

__all__ = [
    "Activities",
    "Input",
    "Payload",
    "Settings",
    "TaskQueue",
    "TemporalPath",
    "check_format",
    "hoist",
    "wants_json",
]

Activities = Annotated[
    list[str] | None,
    typer.Option("--activities", metavar="MODULE", help="A Python module or file with activities."),
]
Input = Annotated[
    str | None, typer.Option("--input", metavar="JSON|@FILE", help="The input, as JSON.")
]
Payload = Annotated[
    str | None, typer.Option("--payload", metavar="JSON|@FILE", help="The payload, as JSON.")
]
TaskQueue = Annotated[str, typer.Option("--task-queue", "-t", help="The task queue.")]
TemporalPath = Annotated[
    Path | None,
    typer.Option("--temporal-path", readable=False, help="The `temporal` program to use."),
]

_WITH_VALUE = frozenset(
    (
        "-o",
        "--output",
        "-n",
        "--namespace",
        "--address",
        "--profile",
        "--api-key",
        "--tls-ca-path",
        "--tls-cert-path",
        "--tls-key-path",
        "--tls-server-name",
        "--payload-storage",
    )
)
_FLAGS = frozenset(("--tls", "--no-tls", "--debug"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What the global options say. None where nothing was said."""

    output: str | None = None
    debug: bool = False
    address: str | None = None
    namespace: str | None = None
    profile: str | None = None
    api_key: str | None = None
    tls: bool | None = None
    tls_ca_path: Path | None = None
    tls_cert_path: Path | None = None
    tls_key_path: Path | None = None
    tls_server_name: str | None = None
    payload_storage: str | None = None

    @property
    def json(self) -> bool:
        """Whether results are one JSON document."""
        return self.output == "json"


_FORMATS = ("text", "json")
_REPORTS = ("github", "sarif")
"""What `validate` knows besides."""


def check_format(output: str, command: str | None) -> None:
    """Refuses what a command does not know how to print.

    Raises:
        CliError: if it does not.
    """
    known = [*_FORMATS, *(_REPORTS if command == "validate" else ())]
    if output not in known:
        hint = f"only `validate` knows {output}" if output in _REPORTS else None
        must = f"{', '.join(known[:-1])} or {known[-1]}"
        raise CliError(f"-o {output}: it must be {must}", hint=hint)


def hoist(arguments: Sequence[str]) -> list[str]:
    """Brings the global options to the front, in their order."""
    front: list[str] = []
    rest: list[str] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        at += 1
        if argument == "--":
            rest += [argument, *arguments[at:]]
            break
        name = argument.split("=", 1)[0]
        attached = argument[:2] in _WITH_VALUE and len(argument) > 2  # -ojson
        if argument in _FLAGS or attached or (name in _WITH_VALUE and name != argument):
            front.append(argument)
        elif argument in _WITH_VALUE:
            if at == len(arguments):
                return [*front, argument]  # its value is missing: the parser says so
            front += [argument, arguments[at]]
            at += 1
        else:
            rest.append(argument)
    return front + rest


def wants_json(hoisted: Sequence[str]) -> bool:
    """Whether arguments that `hoist` gave ask for JSON, even where they cannot be parsed."""
    wanted = ""
    for argument, following in zip(hoisted, [*hoisted, ""][1:], strict=True):
        if argument == "--":
            break
        if argument in ("-o", "--output"):
            wanted = following
        elif argument.startswith(("-o", "--output=")):
            wanted = argument.removeprefix("--output=").removeprefix("-o")
    return wanted == "json"
