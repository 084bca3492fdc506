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
    lines(debug, logging.ERROR)
    if not debug:
        # An activity that failed is in the tree.
        logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)


def lines(debug: bool, level: int = logging.WARNING) -> None:
    """Logs to standard error, a line a record; with `debug` everything and tracebacks.

    To be called before anything is connected: it sets the SDK's runtime.
    """
    from temporalio.runtime import (
        LogForwardingConfig,
        LoggingConfig,
        Runtime,
        TelemetryConfig,
        TelemetryFilter,
    )

    handler = logging.StreamHandler()
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(logging.Formatter(form) if debug else _OneLine(form))
    level = logging.INFO if debug else level
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The SDK's core would write lines of another form, past Python's logging.
    core = "INFO" if debug else "WARN" if level <= logging.WARNING else "ERROR"
    logging_config = LoggingConfig(
        filter=TelemetryFilter(core_level=core, other_level="ERROR"),
        forwarding=LogForwardingConfig(logging.getLogger("temporalio.core")),
    )
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logging_config)))
