"""The command line: `temporal-dsl`, or `temporal dsl`."""

from __future__ import annotations

import gc
import os
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """The console script."""
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the start
    try:
        from interpreter.cli.app import main as program
    except KeyboardInterrupt:
        os._exit(130)
    gc.enable()
    program()
