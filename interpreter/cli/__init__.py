"""The command line: `temporal-dsl`, or `temporal dsl`."""

from interpreter.cli.app import main

__all__ = ["main"]
