"""What a command logs."""

from __future__ import annotations

import logging

__all__ = ["lines", "quiet"]


class _OneLine(logging.Formatter):
    """A line for each record: no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        record = logging.makeLogRecord(record.__dict__)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            record.msg, record.args = f"{record.getMessage()}: {error}", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return super().format(record)


def quiet(debug: bool) -> None:
    """For a command that shows a run itself: only what is not shown otherwise."""
    lines(debug)
    if not debug:
        # An activity that failed is in the tree.
        logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)


def lines(debug: bool, level: int = logging.WARNING) -> None:
    """Logs to standard error, a line a record; with `debug` everything and tracebacks."""
    handler = logging.StreamHandler()
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(logging.Formatter(form) if debug else _OneLine(form))
    logging.basicConfig(level=logging.INFO if debug else level, handlers=[handler], force=True)
