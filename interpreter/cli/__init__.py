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
    # What commands import later stays too: it is looked at less often.
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
    program()
