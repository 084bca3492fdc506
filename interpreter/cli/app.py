"""The program: its global options, its commands, and how it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from interpreter.cli import (
    definitions,
    deploy,
    dev,
    explain,
    graph,
    init,
    operate,
    query,
    redrive,
    results,
    run,
    schema,
    signal,
    start,
    status,
    update,
    validate,
    worker,
)
from interpreter.cli.errors import CliError, Exit, Interrupted
from interpreter.cli.options import Settings, check_format, hoist, wants_json

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


_EXIT_CODES = """\b
Exit codes:
  0    done
  1    the run failed, undone or not, or a result could not be written
  2    a wrong definition, wrong options or wrong data
  3    the run is suspended
  4    the server or a worker cannot be reached
  130  interrupted
"""


@app.callback(epilog=_EXIT_CODES)
def _settings(
    context: typer.Context,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="text|json",
            help="How results look; for `validate` also github or sarif.",
        ),
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
    tls_ca_path: Annotated[
        Path | None, typer.Option(help="CA certificates.", readable=False)
    ] = None,
    tls_cert_path: Annotated[
        Path | None, typer.Option(help="Client certificate.", readable=False)
    ] = None,
    tls_key_path: Annotated[Path | None, typer.Option(help="Client key.", readable=False)] = None,
    tls_server_name: Annotated[str | None, typer.Option(help="The server's name in TLS.")] = None,
    payload_storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where large payloads are kept: file:///folder or s3://bucket/prefix "
            "[TEMPORAL_DSL_PAYLOAD_STORAGE].",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if output is not None:
        check_format(output, context.invoked_subcommand)
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
        payload_storage,
    )


for _command in (
    *(init, validate, explain, graph, schema, run, dev, worker),
    *(deploy, definitions, start),
    *(signal, update, query, status, operate, redrive),
):
    _command.register(app)


def main() -> NoReturn:
    """The console script."""
    arguments = hoist(sys.argv[1:])
    try:
        code = _main(arguments)
        if code == Exit.DONE and (error := results.lost()):
            code = _end([], error.message, error.code)
    except (BrokenPipeError, SystemExit):  # which is what Typer makes of it
        code = Exit.DONE  # whoever read our results has seen enough
    except Exception as bug:
        code = _failed(arguments, bug)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A process that used the SDK may crash in the interpreter's shutdown: there is none.
    os._exit(code)


def _failed(arguments: Sequence[str], bug: Exception) -> int:
    """What nobody expected, except two: a disk that is full, a payload that is elsewhere."""
    storage = sys.modules.get("interpreter.storage")  # it is slow to import
    if storage is not None and isinstance(bug, storage.NeedsStorageError):
        return _end(arguments, str(bug), Exit.WRONG_INPUT)
    if isinstance(bug, OSError) and (error := results.lost()):
        return _end([], error.message, error.code)
    if "--debug" in arguments:
        raise bug
    return _end(
        arguments,
        f"{type(bug).__name__}: {bug}",
        Exit.FAILED,
        "this is a bug of temporal-dsl: run it again with --debug, and report what it prints",
    )


def _main(arguments: Sequence[str]) -> int:
    try:
        result = app(args=arguments, standalone_mode=False)
        if result == Exit.INTERRUPTED:  # what Typer makes of KeyboardInterrupt
            raise Interrupted
        return result if isinstance(result, int) else Exit.DONE
    except CliError as error:
        return _end(arguments, error.message, error.code, error.hint, error.more)
    except (typer.Abort, KeyboardInterrupt, Interrupted):
        return _end(arguments, "interrupted", Exit.INTERRUPTED)
    except typer.TyperException as error:
        return _misused(arguments, error)


def _misused(arguments: Sequence[str], error: typer.TyperException) -> int:
    """Flags and arguments that the program does not know."""
    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else app.info.name
    hint = f"`{path} --help` lists what there is"
    if not arguments:
        print(error.format_message(), file=sys.stderr)  # the help
        return Exit.WRONG_INPUT
    message = error.format_message()
    return _end(arguments, message[:1].lower() + message[1:].rstrip("."), Exit.WRONG_INPUT, hint)


def _end(
    arguments: Sequence[str],
    message: str,
    code: Exit,
    hint: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> int:
    """Says why there is no result: to people, and with `-o json` to programs.

    Args:
        more: What only programs get, beside the error.
    """
    with contextlib.suppress(BrokenPipeError):
        print(f"error: {message}" if code != Exit.INTERRUPTED else message, file=sys.stderr)
        if hint:
            print(f"  hint: {hint}", file=sys.stderr, flush=True)
    if wants_json(arguments):
        error = {"message": message, "hint": hint, "exit_code": int(code)}
        document = {"error": error} | dict(more or {})
        with contextlib.suppress(CliError):  # it was said on standard error
            results.write(results.document(document))
    return code
