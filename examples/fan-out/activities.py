"""What the steps of workflow.yaml do: read the files of a folder, and write a report.

Reading a file twice does no harm, so the summaries need no idempotency key. The report is written
beside its place and then put there as a whole: whoever looks sees the old one or the new one, and
a repetition puts the same report in the same place. It holds the key of the act that wrote it.

FAN_OUT_DELAY makes each row of a table take that many seconds: time to kill a worker.
"""

import json
import os
import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import heartbeat, idempotency_key, last_progress


class Progress(BaseModel):
    """How far a table was read, and what came of it so far."""

    rows: int = 0
    cents: int = 0


def broken(file: str, line: int, what: str) -> ApplicationError:
    """An error that another attempt would not mend."""
    return ApplicationError(f"{file}:{line}: {what}", type="Broken", non_retryable=True)


@activity.defn(name="inbox.list")
def list_files(folder: str) -> list[str]:
    """The names of the files in a folder, sorted."""
    if not Path(folder).is_dir():
        raise ApplicationError(f"there is no folder {folder}", type="NoFolder", non_retryable=True)
    return sorted(file.name for file in Path(folder).iterdir() if not file.name.startswith("."))


@activity.defn(name="table.summarise")
def summarise_table(folder: str, file: str) -> dict[str, Any]:
    """Add up a table of `date,article,amount`, from where the attempt before came to."""
    progress = last_progress(Progress())
    resumed_at = progress.rows
    delay = float(os.environ.get("FAN_OUT_DELAY") or 0)
    with (Path(folder) / file).open("rb") as lines:
        next(lines, None)  # the heads
        for number, raw in enumerate(lines):
            if number < resumed_at:
                continue  # counted already
            progress.cents += _cents(raw, file, number + 2)
            progress.rows = number + 1
            heartbeat(progress)
            time.sleep(delay)
    return {
        "file": file,
        "rows": progress.rows,
        "cents": progress.cents,
        "resumed_at": resumed_at,
    }


def _cents(raw: bytes, file: str, line: int) -> int:
    try:
        cells = raw.decode().strip().split(",")
    except UnicodeDecodeError:
        raise broken(file, line, "this is not UTF-8") from None
    if len(cells) != 3:
        raise broken(file, line, f"a row has 3 cells, this one has {len(cells)}")
    try:
        return int((Decimal(cells[2]) * 100).to_integral_exact())
    except InvalidOperation:
        raise broken(file, line, f"{cells[2]} is no amount") from None


@activity.defn(name="text.summarise")
def summarise_text(folder: str, file: str) -> dict[str, Any]:
    """Count the lines and words of a text."""
    try:
        text = (Path(folder) / file).read_text("utf-8")
    except UnicodeDecodeError:
        raise broken(file, 1, "this is not UTF-8") from None
    return {"file": file, "lines": len(text.splitlines()), "words": len(text.split())}


@activity.defn(name="report.write")
def write(
    file: str, summaries: list[dict[str, Any]], broken: list[dict[str, str]]
) -> dict[str, str]:
    """Write the report, as a whole."""
    total = f"{Decimal(sum(each.get('cents', 0) for each in summaries)) / 100:.2f}"
    report = {
        "written_by": idempotency_key(),
        "total": total,
        "summaries": summaries,
        "broken": broken,
    }
    beside = Path(f"{file}.{activity.info().attempt}.part")
    beside.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    beside.replace(file)
    return {"file": file, "total": total}
