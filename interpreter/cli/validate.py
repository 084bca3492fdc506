"""`validate`: find every mistake before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    from dsl.diagnostics import Diagnostic
    from dsl.loader import load_files
    from interpreter.cli import inputs, render

    settings = context.find_object(Settings) or Settings()
    catalogue = inputs.registry(activities).catalogue if activities else None
    loaded = load_files(inputs.files_of(paths), catalogue)

    def record(diagnostic: Diagnostic) -> dict[str, Any]:
        position = diagnostic.source.position(diagnostic.span.start)
        return {
            "code": diagnostic.code,
            "severity": str(diagnostic.severity),
            "file": diagnostic.source.name,
            "line": position.line,
            "column": position.column,
            "message": diagnostic.message,
            "hint": diagnostic.hint,
        }

    names = [definition.name for definition in loaded.definitions]
    if settings.json:
        problems = [record(diagnostic) for diagnostic in loaded.diagnostics]
        render.result({"ok": loaded.ok, "definitions": names, "diagnostics": problems})
    else:
        render.diagnostics(loaded.diagnostics)
        counted = render.summary(loaded.diagnostics)
        render.note(f"{counted} in {', '.join(names) or ', '.join(str(path) for path in paths)}")
    if not loaded.ok:
        raise typer.Exit(Exit.WRONG_INPUT)
