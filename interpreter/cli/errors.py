"""How a command ends."""

from __future__ import annotations

from enum import IntEnum

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
    """

    def __init__(
        self, message: str, code: Exit = Exit.WRONG_INPUT, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class Interrupted(Exception):
    """The user, or whoever runs the program, wants it to end."""
