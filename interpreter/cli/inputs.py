"""Reading what the user gives: JSON, definitions, activities."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from interpreter.cli.errors import CliError

if TYPE_CHECKING:
    from dsl.diagnostics import Diagnostic
    from dsl.loader import Loaded
    from dsl.model.definition import Definition
    from dsl.source import Source
    from interpreter.activities import ActivityRegistry

__all__ = [
    "Files",
    "activities_beside",
    "chosen",
    "files_of",
    "load_or_exit",
    "read_json",
    "read_text",
    "registry",
]

_MAX_JSON = 4 * 1024 * 1024
_MAX_DEPTH = 100  # as for definitions
_STANDARD_INPUT = Path("-")


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


@dataclass(frozen=True, slots=True)
class Files:
    """What there is to read.

    Args:
        paths: Files with definitions, and those that were named or cannot be looked into.
        skipped: Files that hold no definition.
    """

    paths: list[Path] = field(default_factory=list[Path])
    skipped: list[Path] = field(default_factory=list[Path])


def files_of(paths: Sequence[Path], skip_others: bool = False) -> Files:
    """The files to read definitions from, each once. Who reads one says what is wrong with it.

    Args:
        paths: Files and folders. In a folder, what is no definition is skipped.
        skip_others: Whether that is so of files that were named, too.

    Raises:
        CliError: for a folder without definitions.
    """
    from dsl.files import holds_definitions

    files = Files()
    folders = {path for path in paths if os.path.isdir(path)}
    named = {os.path.realpath(path) for path in paths if path not in folders}
    wanted: dict[str, bool] = {}
    for path in paths:
        inside = _inside_of(path) if path in folders else [path]
        for file in inside:
            real = os.path.realpath(file)
            if real not in wanted:
                explicit = real in named and not skip_others
                wanted[real] = explicit or holds_definitions(file)
                (files.paths if wanted[real] else files.skipped).append(file)
        if path in folders and not any(wanted[os.path.realpath(file)] for file in inside):
            hint = "they are in files that end in .yaml or .yml, and begin with `dsl: 1`"
            raise CliError(f"{path}: there are no definitions in it", hint=hint)
    return files


def _inside_of(folder: Path) -> list[Path]:
    """The files below a folder that may hold definitions, and the folders that cannot be read."""
    from dsl.files import yaml_files

    lost: list[Path] = []
    found = yaml_files(folder, lambda error: lost.append(Path(error.filename)))
    # No pipes, which would be waited for.
    return lost + [file for file in found if os.path.isfile(file) or not os.path.exists(file)]


def read_text(path: Path) -> tuple[Source | None, list[Diagnostic]]:
    """Reads a file, or standard input, as text.

    Raises:
        CliError: if there is no standard input.
    """
    from dsl.syntax import MAX_BYTES, decode, read

    if path != _STANDARD_INPUT:
        return read(path)
    if sys.stdin is None:
        raise CliError("standard input: it is closed")
    return decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")


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
    from interpreter.cli import render, reports

    loaded = load_files(paths, activities.catalogue if activities is not None else None)
    render.diagnostics(loaded.diagnostics)
    if not loaded.ok:
        what = ", ".join(map(str, paths)) if len(paths) < 4 else f"{len(paths)} files"
        raise CliError(
            f"{what} cannot run: {reports.summary(loaded.diagnostics)}",
            more={"diagnostics": reports.records(loaded.diagnostics)},
        )
    return loaded


def chosen(definitions: Sequence[Definition], name: str | None, path: Path) -> Definition:
    """The definition of a file that the user means: the first, or the one that is named.

    Raises:
        CliError: if there is none of that name.
    """
    for definition in definitions:
        if name is None or definition.name == name:
            return definition
    known = ", ".join(definition.name for definition in definitions)
    raise CliError(f"{path} has no definition named {name}", hint=f"it has: {known}")
