"""`init`: a small project to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings

__all__ = ["register"]

_FILES = ("workflow.yaml", "activities.py", "README.md")
_SCHEMA = "workflow.schema.json"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(init)


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where.", metavar="[DIR]")] = Path(),
) -> int:
    """Write a small project: a definition, its activities, a README."""
    import json

    from dsl.reference import workflow_schema
    from interpreter.cli import render

    settings = context.find_object(Settings) or Settings()
    there = [name for name in (*_FILES, _SCHEMA) if (folder / name).exists()]
    if there:
        shown = ", ".join(there)
        raise CliError(
            f"{folder} already has {shown}", hint="nothing was written; name another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            source = Path(__file__).with_name("project") / name
            (folder / name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        schema = json.dumps(workflow_schema(), indent=2, ensure_ascii=False) + "\n"
        (folder / _SCHEMA).write_text(schema, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{error.filename or folder}: {error.strerror}") from None
    written = [str(folder / name) for name in (*_FILES, _SCHEMA)]
    if settings.json:
        render.result({"written": written})
    else:
        render.note(f"wrote {', '.join(written)}")
        enter = "" if folder == Path() else f"cd {folder} && "
        render.note(f"next: {enter}temporal-dsl validate workflow.yaml --activities activities.py")
    return Exit.DONE
