"""What a command logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from interpreter.logs import FIELDS, LOGGER

__all__ = ["by_default", "lines", "quiet"]

_chosen = False


class _OneLine(logging.Formatter):
    """A line for each record: no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        record = logging.makeLogRecord(record.__dict__)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            record.msg, record.args = f"{record.getMessage()}: {error}", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return super().format(record)


class _Run(_OneLine):
    """What runs log, with where it belongs."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == LOGGER.name and "workflow_id" in record.__dict__:
            record = logging.makeLogRecord(record.__dict__)
            place = f"{record.__dict__['workflow_id']} ({record.__dict__['definition']})"
            step = record.__dict__["step"]
            record.msg = f"{place}{' ' + step if step else ''}: {record.getMessage()}"
            record.args = ()
        return super().format(record)


class _Json(_OneLine):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {record.exc_info[1]}"
        content = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        content |= {name: record.__dict__[name] for name in FIELDS if name in record.__dict__}
        return json.dumps(content, ensure_ascii=False)


def by_default(debug: bool) -> None:
    """What a command logs that did not say so itself: never on standard output."""
    if not _chosen:
        quiet(debug)


def quiet(debug: bool) -> None:
    """For a command that shows a run itself: only what is not shown otherwise."""
    lines(debug, logging.ERROR)
    if not debug:
        # An activity that failed is in the tree.
        logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)
        LOGGER.setLevel(logging.CRITICAL)


def lines(debug: bool, level: int = logging.WARNING, form: str = "text") -> None:
    """Logs to standard error, a line a record (`form` text or json).

    With `debug` everything, and tracebacks.

    To be called before anything is connected: it sets the SDK's runtime.
    """
    from temporalio.runtime import (
        LogForwardingConfig,
        LoggingConfig,
        Runtime,
        TelemetryConfig,
        TelemetryFilter,
    )

    global _chosen
    _chosen = True
    handler = logging.StreamHandler()
    text = "%(asctime)s %(levelname)s %(name)s %(message)s"
    if form == "json":
        handler.setFormatter(_Json())
    else:
        handler.setFormatter(logging.Formatter(text) if debug else _Run(text))
    level = logging.INFO if debug else level
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The SDK's core would write lines of another form, past Python's logging.
    core = "INFO" if debug else "WARN" if level <= logging.WARNING else "ERROR"
    logging_config = LoggingConfig(
        filter=TelemetryFilter(core_level=core, other_level="ERROR"),
        forwarding=LogForwardingConfig(logging.getLogger("temporalio.core")),
    )
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logging_config)))
