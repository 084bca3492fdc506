"""The worker of `dev`: `temporal-dsl worker` in a process that is ready before it is needed.

It imports what every worker needs, which takes most of a worker's start, and waits. A line on its
standard input tells it to work: `{"arguments": [...], "sources": [...]}`. When that pipe closes,
whoever started it is gone, and it ends.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from typing import NoReturn

_SLOW = (
    "interpreter.cli.app",
    "interpreter.cli.connection",
    "interpreter.cli.inputs",
    "interpreter.cli.render",
    "interpreter.cli.work",
    "interpreter.activities.registry",
    "interpreter.definitions.host",
    "interpreter.definitions.remote",
    "interpreter.worker",
)
_PATIENCE = 5.0
"""Seconds that activities have to end where nobody waits for them any more."""


def main() -> NoReturn:
    """Waits for its line, and works."""
    for name in _SLOW:
        importlib.import_module(name)

    pipe = os.fdopen(os.dup(0), "rb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    line = pipe.readline()
    if not line:
        os._exit(0)
    told = json.loads(line)
    _read_sources(told["sources"])

    def watch() -> None:
        while pipe.read(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    sys.argv = ["temporal-dsl", *told["arguments"]]
    from interpreter.cli.app import main as program

    program()


def _read_sources(folders: Sequence[str]) -> None:
    """Has modules of folders compiled from what their files say now.

    Python takes what it compiled before for right where a file has the same size and was changed
    in the same second: a person may be as quick as that.
    """
    stats = SourceFileLoader.path_stats
    inside = tuple(os.path.join(folder, "") for folder in folders)

    def path_stats(self: SourceFileLoader, path: str) -> object:
        real = os.path.realpath(path)
        if real.startswith(inside) and "site-packages" not in real.split(os.sep):
            raise OSError  # which is how a loader says that nothing is kept of this file
        return stats(self, path)

    SourceFileLoader.path_stats = path_stats  # pyright: ignore[reportAttributeAccessIssue]


if __name__ == "__main__":
    main()
