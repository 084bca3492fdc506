"""`schema`: the JSON Schema of definitions."""

from __future__ import annotations

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(schema)


def schema() -> None:
    """Print the JSON Schema of definitions, for editors and other tools."""
    from dsl.reference import workflow_schema
    from interpreter.cli import render

    render.result(workflow_schema())
