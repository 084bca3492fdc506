"""Runs a program that ends when whoever started it is gone: `python guard.py PROGRAM ...`.

Its standard input is a pipe that nobody writes to. It closes when the process at the other end
ends, however that came. It runs without site packages, so that it is there at once.
"""

import os
import signal
import subprocess
import sys
import threading

_PATIENCE = 10.0


def main() -> int:
    """Runs the program; gives its exit code."""
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def end(*_: object) -> None:
        program.terminate()

    signal.signal(signal.SIGTERM, end)

    def watch() -> None:
        while os.read(0, 1):
            pass
        program.terminate()
        try:
            program.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            program.kill()

    threading.Thread(target=watch, daemon=True).start()
    return program.wait()


if __name__ == "__main__":
    sys.exit(main())
