"""Runs all tests: those that wait beside those that work. `python -m tests.run [ARGUMENT...]`

What is marked `waits` waits for workers that were killed, for schedules, for files that are looked
at: it needs no processor for most of its time, so it runs at the same time as the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

_PYTEST = (sys.executable, "-m", "pytest")
_NONE_CHOSEN = 5
"""pytest's exit code where no test was chosen."""


def main(arguments: list[str]) -> int:
    """Runs them; gives the exit code.

    Args:
        arguments: What pytest is told besides: which tests, for example.
    """
    workers = os.environ.get("TEST_WORKERS", "2")
    working = (*_PYTEST, "-n", workers, "--dist", "worksteal", "-m", "not waits", *arguments)
    waiting = (*_PYTEST, "-q", "-m", "waits", *arguments)
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(waiting, stdout=said, stderr=subprocess.STDOUT)
        try:
            codes = [subprocess.call(working), beside.wait()]
        finally:
            if beside.poll() is None:
                beside.terminate()
                beside.wait()
        said.seek(0)
        print("\n== the tests that wait", flush=True)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    failed = [code for code in codes if code not in (0, _NONE_CHOSEN)]
    return failed[0] if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
