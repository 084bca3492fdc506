"""`schema`: the JSON Schema of definitions."""

from __future__ import annotations

from typing import Annotated

import typer

from interpreter.cli.errors import CliError
from interpreter.cli.options import Activities

__all__ = ["register"]

_DEFINITION = "definition"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(schema)


def schema(
    what: Annotated[
        str, typer.Argument(help="Of what: `definition`.", metavar="definition")
    ] = _DEFINITION,
    activities: Activities = None,
) -> None:
    """Print the JSON Schema of definitions, for editors and other tools.

    With --activities it knows the names and the arguments of the activities, too.
    """
    from dsl.reference import workflow_schema
    from interpreter.cli import inputs, render

    if what != _DEFINITION:
        raise CliError(
            f"there is no schema of `{what}`", hint=f"write `temporal-dsl schema {_DEFINITION}`"
        )
    catalogue = inputs.registry(activities).catalogue if activities else None
    render.result(workflow_schema(catalogue))
