"""The program: its global options, its commands, and how it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import click
import typer

from interpreter.cli import query, run, schema, signal, status, validate, worker
from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings, hoist

__all__ = ["app", "main"]

app = typer.Typer(
    name="temporal-dsl",
    help="Durable workflows as data, on Temporal.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_PANEL = "Connection"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"temporal-dsl {version('temporal-dsl')}")
        raise typer.Exit()


@app.callback()
def _settings(
    context: typer.Context,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="text|json", help="How results look.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of bugs.")] = False,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The server [TEMPORAL_ADDRESS].")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="The namespace [TEMPORAL_NAMESPACE].")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="A profile of Temporal's configuration [TEMPORAL_PROFILE].")
    ] = None,
    api_key: Annotated[str | None, typer.Option(help="An API key [TEMPORAL_API_KEY].")] = None,
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Use TLS.")] = None,
    tls_ca_path: Annotated[Path | None, typer.Option(help="CA certificates.")] = None,
    tls_cert_path: Annotated[Path | None, typer.Option(help="Client certificate.")] = None,
    tls_key_path: Annotated[Path | None, typer.Option(help="Client key.")] = None,
    tls_server_name: Annotated[str | None, typer.Option(help="The server's name in TLS.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if output not in (None, "text", "json"):
        raise CliError(f"-o {output}: it must be text or json")
    context.obj = Settings(
        output,
        debug,
        address,
        namespace,
        profile,
        api_key,
        tls,
        tls_ca_path,
        tls_cert_path,
        tls_key_path,
        tls_server_name,
    )


for _command in (validate, schema, run, worker, signal, query, status):
    _command.register(app)


def main() -> NoReturn:
    """The console script."""
    arguments = hoist(sys.argv[1:])
    code = _main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    # A process that used the SDK may crash in the interpreter's shutdown: there is none.
    os._exit(code)


def _main(arguments: list[str]) -> int:
    try:
        result = app(args=arguments, standalone_mode=False)
        return result if isinstance(result, int) else Exit.DONE
    except CliError as error:
        _say(f"error: {error.message}", f"  hint: {error.hint}" if error.hint else None)
        return error.code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.WRONG_INPUT
    except BrokenPipeError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        return Exit.DONE
    except Exception as bug:
        if "--debug" in arguments:
            raise
        _say(
            f"error: {type(bug).__name__}: {bug}",
            "  hint: this is a bug of temporal-dsl; run again with --debug and report it",
        )
        return Exit.FAILED


def _say(*lines: str | None) -> None:
    for line in lines:
        if line is not None:
            print(line, file=sys.stderr)
