"""`graph`: a picture of a definition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError
from interpreter.cli.options import Settings

if TYPE_CHECKING:
    from dsl.graph import Format, States
    from dsl.model.definition import Definition

__all__ = ["register"]

_FORMATS = ("mermaid", "svg", "html")
_SUFFIXES = {".svg": "svg", ".html": "html", ".htm": "html"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(graph)


def graph(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The definition.", metavar="PATH", readable=False)],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(_FORMATS),
            help="What it is written as. Default: what the file's name says, else mermaid.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Which definition of the file. Default: the first.")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Colour it by where a run stands.")
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output-file", metavar="FILE", readable=False, help="Where it goes, if not to stdout."
        ),
    ] = None,
) -> None:
    """Draw a definition, for those who do not read YAML."""
    from dsl.graph import draw
    from interpreter.cli import inputs, render, results

    settings = context.find_object(Settings) or Settings()
    chosen = _format(format, output_file)
    if path.is_dir():
        raise CliError(f"{path} is a folder: name a file")
    loaded = inputs.load_or_exit([path], None)
    definition = inputs.chosen(loaded.definitions, name, path)
    states = None if run is None else _states(settings, run, definition)
    text = draw(definition, chosen, states)
    about = {"name": definition.name, "format": chosen.value}
    if output_file is not None:
        _write(output_file, text)
        render.note(f"{definition.name} drawn to {output_file}")
        if settings.json:
            render.result(about | {"file": str(output_file)})
    elif settings.json:
        render.result(about | {"graph": text})
    else:
        results.write(text)


def _format(given: str | None, file: Path | None) -> Format:
    from dsl.graph import Format

    if given is None:
        suffix = "" if file is None else file.suffix.lower()
        return Format(_SUFFIXES.get(suffix, "mermaid"))
    if given not in _FORMATS:
        raise CliError(f"--format {given}: it must be {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}")
    return Format(given)


def _states(settings: Settings, run: str, definition: Definition) -> States:
    """Where a run stands.

    Raises:
        CliError: if it cannot be asked, or is one of another definition.
    """
    import asyncio

    from dsl.graph import states
    from dsl.model.definition import canonical, digest
    from interpreter.cli import render

    answer = asyncio.run(_ask(settings, run))
    if answer["definition"] != definition.name:
        raise CliError(
            f"{run} is a run of {answer['definition']}, not of {definition.name}",
            hint="name its definition with --name, or another file",
        )
    if answer["digest"] != digest(canonical(definition)):
        render.note(
            f"{run} runs another revision of {definition.name}: "
            "steps it does not have stand as not begun",
            "yellow",
        )
    return states(run, answer)


async def _ask(settings: Settings, run: str) -> dict[str, Any]:
    from interpreter.cli.connection import connect
    from interpreter.cli.query import ask

    return await ask(await connect(settings), run, "status", [])


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        said = error.strerror or str(error)
        raise CliError(f"{file}: {said[:1].lower()}{said[1:]}") from None
