"""How a command ends."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

__all__ = ["CliError", "Exit", "Interrupted"]


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    FAILED = 1
    """The workflow failed, compensated or not, or a test failed."""
    WRONG_INPUT = 2
    """A bad definition, bad flags, bad data."""
    SUSPENDED = 3
    UNREACHABLE = 4
    """The server or a worker cannot be reached."""
    INTERRUPTED = 130


class CliError(Exception):
    """What the user must know, in one message.

    Args:
        message: What was wrong, and where.
        code: The exit code.
        hint: What to do next.
        more: What programs get beside the error.
    """

    def __init__(
        self,
        message: str,
        code: Exit = Exit.WRONG_INPUT,
        hint: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.more = more


class Interrupted(Exception):
    """The user, or whoever runs the program, wants it to end."""
