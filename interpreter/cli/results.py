"""Standard output, which is for results: nothing else gets there."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, TextIO

from interpreter.cli.errors import CliError, Exit

__all__ = ["document", "in_lines", "keep_apart", "lost", "stream", "write"]

_kept: TextIO | None = None
_indent: int | None = 2


def in_lines() -> None:
    """For a command that goes on: each document is a line from now on."""
    global _indent
    _indent = None


def document(value: Any) -> str:
    """A document of JSON, with the end of its line."""
    return json.dumps(value, ensure_ascii=False, indent=_indent) + "\n"


def stream() -> TextIO | None:
    """Where results go; None if the program was started without."""
    return sys.stdout if _kept is None else _kept


def keep_apart() -> None:
    """Sends what is printed from now on, by authors' code and its children, to standard error."""
    global _kept
    if _kept is None and sys.stdout is not None:
        sys.stdout.flush()
        with contextlib.suppress(OSError):
            _kept = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
            os.dup2(2, 1)
        sys.stdout = sys.stderr


def write(text: str) -> None:
    """Writes a result.

    Raises:
        BrokenPipeError: if nobody reads it any more.
        CliError: if it cannot be written.
    """
    out = stream()
    if out is None:
        raise _unwritable("it is closed")
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error.strerror or str(error)) from None


def lost() -> CliError | None:
    """Why what was written did not get out, if it did not."""
    try:
        if stream() is not None:
            write("")
    except CliError as error:
        return error
    return None


def _unwritable(why: str) -> CliError:
    return CliError(f"standard output: {why}", Exit.FAILED)
