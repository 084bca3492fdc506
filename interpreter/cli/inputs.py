"""Reading what the user gives: JSON, definitions, activities."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from interpreter.cli.errors import CliError

if TYPE_CHECKING:
    from dsl.loader import Loaded
    from interpreter.activities import ActivityRegistry

__all__ = ["activities_beside", "files_of", "load_or_exit", "read_json", "registry"]

_MAX_JSON = 4 * 1024 * 1024
_MAX_DEPTH = 100  # as for definitions


def read_json(given: str | None, option: str) -> Any:
    """The value of `JSON`, `@FILE` or `@-` (standard input); None where nothing was given.

    Raises:
        CliError: with the place of the mistake.
    """
    if given is None:
        return None
    name, text = option, given
    if given.startswith("@"):
        name, text = _read(given[1:], option)
    if len(text) > _MAX_JSON:
        raise CliError(f"{name}: over {_MAX_JSON:,} characters of JSON")
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise CliError(
            f"{name}:{error.lineno}:{error.colno}: this is no JSON: {_what_is_wrong(error)}",
            hint=None if given.startswith("@") else f"put it in single quotes: {option} '{{...}}'",
        ) from None
    except RecursionError:
        raise CliError(f"{name}: nested more than {_MAX_DEPTH} levels deep") from None
    except _Twice as error:
        raise CliError(f"{name}: an object has the key {json.dumps(str(error))} twice") from None
    except ValueError as error:
        raise CliError(f"{name}: this is no JSON: {error}") from None
    _check(value, name)
    return value


def _read(name: str, option: str) -> tuple[str, str]:
    """What to call a file in messages, and its text."""
    try:
        if name == "-":
            name, raw = "standard input", sys.stdin.buffer.read(_MAX_JSON + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(_MAX_JSON + 1)
    except OSError as error:
        said = error.strerror or str(error)
        hint = f"{option} takes JSON, @FILE, or @- for standard input"
        raise CliError(f"{name or option}: {said[:1].lower()}{said[1:]}", hint=hint) from None
    try:
        return name, raw[:_MAX_JSON].decode("utf-8-sig") if len(raw) <= _MAX_JSON else " " * len(
            raw
        )
    except UnicodeDecodeError as error:
        raise CliError(f"{name}: this is no text in UTF-8 (byte {error.start} is none)") from None


def _what_is_wrong(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "there is nothing in it"
    return error.msg[:1].lower() + error.msg[1:]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def _check(value: Any, name: str) -> None:
    """Refuses what Python takes for JSON and others would not.

    Raises:
        CliError: with what it is.
    """
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise CliError(f"{name}: nested more than {_MAX_DEPTH} levels deep")
        level = [inner for outer in level for inner in _inside(outer)]
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise CliError(f"{name}: half of a surrogate pair is no character") from None
    except ValueError:
        raise CliError(f"{name}: a number in it is too large") from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number there")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


class _Twice(Exception):
    """A key that an object has twice."""


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files to read definitions from; one that is not there is reported when it is read.

    Raises:
        CliError: for a folder without any.
    """
    from dsl.loader import definition_files

    files: dict[Path, None] = {}
    for path in paths:
        found = definition_files(path)
        if not found:
            raise CliError(
                f"{path}: there are no definitions in it", hint="they end in .yaml or .yml"
            )
        files |= dict.fromkeys(found)
    return list(files)


def activities_beside(paths: Sequence[Path]) -> list[str]:
    """The `activities.py` beside definitions, where there are any."""
    folders = [path if path.is_dir() else path.parent for path in paths]
    found = [folder / "activities.py" for folder in dict.fromkeys(folders)]
    return [str(file) for file in found if file.is_file()]


def registry(modules: Sequence[str]) -> ActivityRegistry:
    """The activities of modules.

    Raises:
        CliError: if a module cannot be loaded.
    """
    from interpreter.activities import ActivityModuleError, ActivityRegistry
    from interpreter.cli import results

    results.keep_apart()  # what authors' code prints is no result
    try:
        return ActivityRegistry.load(modules)
    except ActivityModuleError as error:
        raise CliError(str(error)) from None


def load_or_exit(paths: Sequence[Path], activities: ActivityRegistry | None) -> Loaded:
    """Reads definitions, prints what is wrong with them.

    Raises:
        CliError: if there are errors.
    """
    from dsl.loader import load_files
    from interpreter.cli import render

    loaded = load_files(paths, activities.catalogue if activities is not None else None)
    render.diagnostics(loaded.diagnostics)
    if not loaded.ok:
        what = ", ".join(map(str, paths)) if len(paths) < 4 else f"{len(paths)} files"
        raise CliError(
            f"{what} cannot run: {render.summary(loaded.diagnostics)}",
            more={"diagnostics": render.records(loaded.diagnostics)},
        )
    return loaded
