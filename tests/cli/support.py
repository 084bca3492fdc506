"""The console script as users run it: as a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["EXAMPLE", "PROGRAM", "ROOT", "Done", "cli", "environment"]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "order-fulfilment"
PROGRAM = str(Path(sys.executable).with_name("temporal-dsl"))


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Args:
        code: Its exit code.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
        seconds: How long it took.
        cpu: How many seconds it computed.
    """

    code: int
    out: str
    err: str
    seconds: float
    cpu: float

    def json(self) -> Any:
        """Its standard output, which must be one JSON document."""
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """The environment, without what would point at a server or a repository of somebody else."""
    foreign = ("TEMPORAL_", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    nowhere = {"XDG_CONFIG_HOME": "/nonexistent", "PATH": binaries, "COLUMNS": "100"}
    return kept | nowhere | more


def cli(
    *arguments: str | Path,
    cwd: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    timeout: float = 60,
) -> Done:
    """Runs `temporal-dsl` to its end."""
    began, before = time.monotonic(), _cpu()
    done = subprocess.run(
        [*prefix, PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(**(env or {})),
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    seconds = time.monotonic() - began
    cpu = _cpu() - before
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode(), seconds, cpu)


def _cpu() -> float:
    """What the children that have ended computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
