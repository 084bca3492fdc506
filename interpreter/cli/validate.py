"""`validate`: find every mistake before anything runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import Exit
from interpreter.cli.options import Activities, Settings

if TYPE_CHECKING:
    from dsl.catalogue import Catalogue
    from dsl.diagnostics import Diagnostic
    from dsl.loader import Loaded
    from dsl.source import Source
    from interpreter.cli.inputs import Files

__all__ = ["register"]

_MOST_NAMES = 10
"""The most definitions that are named where nothing is wrong."""


_OBJECTS = 50_000
"""After how many new objects garbage is looked for: there is little, and to look takes time."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(validate)


def validate(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders, or - for standard input.", metavar="PATH...", readable=False
        ),
    ],
    activities: Activities = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    skip_others: Annotated[
        bool,
        typer.Option(
            "--skip-others", help="Skip YAML files that are no definitions, also where named."
        ),
    ] = False,
) -> None:
    """Check definitions: every problem at once, with its place.

    In folders it reads files that end in .yaml or .yml and have the key `dsl`. It knows two more
    forms of output: `-o github` annotates a change on GitHub, `-o sarif` is for code scanning.
    """
    from interpreter.cli import inputs, reports

    gc.set_threshold(_OBJECTS)
    output = (context.find_object(Settings) or Settings()).output or "text"
    catalogue = inputs.registry(activities).catalogue if activities else None
    files = inputs.files_of(paths, skip_others)
    loaded = _load(files.paths, catalogue, output == "text")
    with suppress(BrokenPipeError):  # who has read enough does not make it right
        _print(output, loaded, files, strict)
    if reports.counts(loaded.diagnostics, strict)[0]:
        raise typer.Exit(Exit.WRONG_INPUT)


def _load(paths: Sequence[Path], catalogue: Catalogue | None, progress: bool) -> Loaded:
    from dsl.loader import load_texts
    from interpreter.cli import inputs, render

    with render.progress("checked", len(paths)) if progress else nullcontext() as step:

        def texts() -> Iterator[tuple[Source | None, list[Diagnostic]]]:
            for number, path in enumerate(paths):
                if step is not None:
                    step(number)
                yield inputs.read_text(path)

        return load_texts(texts(), catalogue)


def _print(output: str, loaded: Loaded, files: Files, strict: bool) -> None:
    from interpreter.cli import render, reports

    if output == "json":
        render.result(_document(loaded, files, strict))
    elif output == "sarif":
        render.result(reports.sarif(loaded.diagnostics, strict))
    else:
        if output == "text":
            render.diagnostics(loaded.diagnostics, strict)
        elif annotations := reports.github(loaded.diagnostics, strict):
            render.line("\n".join(annotations))
        render.note(_summary(loaded, files, strict))


def _document(loaded: Loaded, files: Files, strict: bool) -> dict[str, Any]:
    from interpreter.cli import reports

    errors, warnings = reports.counts(loaded.diagnostics, strict)
    return {
        "ok": not errors,
        "errors": errors,
        "warnings": warnings,
        "definitions": [definition.name for definition in loaded.definitions],
        "skipped": [str(path) for path in files.skipped],
        "diagnostics": reports.records(loaded.diagnostics, strict),
    }


def _summary(loaded: Loaded, files: Files, strict: bool) -> str:
    """The last line for people."""
    from interpreter.cli import reports

    skipped = len(files.skipped)
    others = f", {skipped} other file{'s' * (skipped > 1)} skipped" if skipped else ""
    if not files.paths:
        return f"no definitions{others}"
    names = [definition.name for definition in loaded.definitions]
    right = ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} definitions"
    where = reports.where(loaded.diagnostics, len(files.paths)) or right
    return f"{reports.summary(loaded.diagnostics, strict)} in {where}{others}"
