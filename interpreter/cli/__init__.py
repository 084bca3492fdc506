"""The command line: `temporal-dsl`, or `temporal dsl`."""

from __future__ import annotations

import os
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """The console script."""
    try:
        from interpreter.cli.app import main as program
    except KeyboardInterrupt:
        os._exit(130)
    program()
