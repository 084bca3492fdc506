"""`init`: a small project to begin with."""

from __future__ import annotations

import contextlib
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
    from interpreter.cli import render

    settings = context.find_object(Settings) or Settings()
    there = [name for name in (*_FILES, _SCHEMA) if (folder / name).exists()]
    if there:
        shown = ", ".join(there)
        raise CliError(
            f"{folder} already has {shown}", hint="nothing was written; name another folder"
        )
    _write(folder)
    written = [str(folder / name) for name in (*_FILES, _SCHEMA)]
    if settings.json:
        render.result({"written": written})
    else:
        render.note(f"wrote {', '.join(written)}")
        enter = "" if folder == Path() else f"cd {folder} && "
        render.note(f"next: {enter}temporal-dsl validate workflow.yaml --activities activities.py")
    return Exit.DONE


def _write(folder: Path) -> None:
    """Writes all files, or none.

    Raises:
        CliError: if one cannot be written.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    begun: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in _contents().items():
            begun.append(folder / name)
            begun[-1].write_text(content, encoding="utf-8")
    except OSError as error:
        at = error.filename or (begun[-1] if begun else folder)
        _remove(begun, made)
        raise CliError(f"{at}: {error.strerror}", hint="nothing was written") from None


def _contents() -> dict[str, str]:
    import json

    from dsl.reference import workflow_schema

    project = Path(__file__).with_name("project")
    contents = {name: (project / name).read_text(encoding="utf-8") for name in _FILES}
    contents[_SCHEMA] = json.dumps(workflow_schema(), indent=2, ensure_ascii=False) + "\n"
    return contents


def _remove(files: list[Path], folders: list[Path]) -> None:
    """Removes what was written, as far as that is possible."""
    with contextlib.suppress(OSError):
        for file in files:
            file.unlink(missing_ok=True)
        for folder in folders:
            if folder.exists():
                folder.rmdir()
