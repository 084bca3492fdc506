"""Reading what the user gives: JSON, definitions, activities."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsl.loader import Loaded, load_files
from interpreter.activities import ActivityModuleError, ActivityRegistry
from interpreter.cli import render
from interpreter.cli.errors import CliError, Exit

__all__ = ["activities_beside", "load_or_exit", "read_json", "registry"]

_MAX_JSON = 4 * 1024 * 1024


def read_json(given: str | None, option: str) -> Any:
    """The value of `JSON`, `@FILE` or `@-` (standard input); None where nothing was given.

    Raises:
        CliError: with the place of the mistake.
    """
    if given is None:
        return None
    name, text = option, given
    if given.startswith("@"):
        name = given[1:]
        try:
            text = sys.stdin.read(_MAX_JSON + 1) if name == "-" else _read(Path(name))
        except OSError as error:
            raise CliError(f"{name}: {error.strerror}", hint=f"{option} takes JSON or @FILE") from None
        except UnicodeDecodeError:
            raise CliError(f"{name}: this is no text in UTF-8") from None
    if len(text) > _MAX_JSON:
        raise CliError(f"{name}: over {_MAX_JSON:,} characters of JSON")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise CliError(
            f"{name}:{error.lineno}:{error.colno}: this is no JSON: {error.msg.lower()}",
            hint=None if given.startswith("@") else f"put it in single quotes: {option} '{{...}}'",
        ) from None
    except (ValueError, RecursionError) as error:
        raise CliError(f"{name}: this is no JSON: {error}") from None


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_MAX_JSON + 1)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number in JSON")


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
    try:
        return ActivityRegistry.load(modules)
    except ActivityModuleError as error:
        raise CliError(str(error)) from None


def load_or_exit(paths: Sequence[Path], activities: ActivityRegistry | None) -> Loaded:
    """Reads definitions, prints what is wrong with them.

    Raises:
        CliError: if there are errors.
    """
    loaded = load_files(paths, activities.catalogue if activities is not None else None)
    render.diagnostics(loaded.diagnostics)
    if not loaded.ok:
        raise CliError(render.summary(loaded.diagnostics), Exit.WRONG_INPUT)
    return loaded
