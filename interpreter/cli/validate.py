"""`validate`: find every mistake before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpreter.cli.errors import Exit
from interpreter.cli.options import Activities, Settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(validate)


def validate(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders.", metavar="PATH...", readable=False)
    ],
    activities: Activities = None,
) -> None:
    """Check definitions: every problem at once, with its place."""
    from dsl.loader import load_files
    from interpreter.cli import inputs, render

    settings = context.find_object(Settings) or Settings()
    catalogue = inputs.registry(activities).catalogue if activities else None
    files = inputs.files_of(paths)
    loaded = load_files(files, catalogue)

    names = [definition.name for definition in loaded.definitions]
    if settings.json:
        problems = render.records(loaded.diagnostics)
        render.result({"ok": loaded.ok, "definitions": names, "diagnostics": problems})
    else:
        render.diagnostics(loaded.diagnostics)
        where = render.where(loaded.diagnostics, len(files)) or ", ".join(names)
        render.note(f"{render.summary(loaded.diagnostics)} in {where}")
    if not loaded.ok:
        raise typer.Exit(Exit.WRONG_INPUT)
