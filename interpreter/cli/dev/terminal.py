"""What `dev` tells: lines for people, or events as lines of JSON."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from interpreter.cli import render, reports

if TYPE_CHECKING:
    from dsl.diagnostics import Diagnostic

__all__ = ["Terminal"]

_MARKS = {
    "started": ("▸", "cyan"),
    "goes on": ("▸", "dim"),
    "completed": ("✓", "green"),
    "failed": ("✗", "red"),
    "timed_out": ("✗", "red"),
    "cancelled": ("✗", "yellow"),
    "compensated": ("↶", "yellow"),
    "undone": ("↶", "yellow"),
    "compensation_failed": ("✗", "red"),
    "not undone": ("✗", "red"),
    "suspended": ("!", "magenta"),
    "attempt failed": ("↻", "yellow"),
    "log": ("·", "dim"),
}
_RUNS = "temporal_dsl"
_ACTIVITIES = "temporalio.activity"
_FAILED = "Completing activity as failed"
_OF_A_RUN = ("definition", "revision", "workflow_id", "run_id")
_SAID = ("listening on ", "stopping; ", "error: ", "  hint: ")
"""How lines begin that a worker writes for people, and that are told here otherwise."""


class Terminal:
    """One terminal with all that happens.

    Args:
        json: Whether each event is a line of JSON on standard output.
        ui: Where Temporal's web UI is.
    """

    def __init__(self, json: bool, ui: str) -> None:
        self._json = json
        self._ui = ui

    def link(self, id: str, run: str) -> str:
        """Where a run is shown."""
        return f"{self._ui}/namespaces/default/workflows/{quote(id, '')}/{run}/history"

    def _tell(
        self, event: str, parts: Sequence[tuple[str, str]], lines: Sequence[str] = (), **more: Any
    ) -> None:
        if self._json:
            now = datetime.now(UTC).isoformat()
            render.result({"time": now, "event": event} | more)
            return
        render.spans((f"{time.strftime('%H:%M:%S')} ", "dim"), *parts)
        for line in lines:
            render.spans((f"           {line}", ""))

    # What dev does.

    def server(self, address: str, db: str, elsewhere: str | None) -> None:
        """The server is up.

        Args:
            address: Where it listens.
            db: The file of its database.
            elsewhere: Where other commands go, if that is not here.
        """
        if self._json:
            self._tell("server", [], address=address, ui=self._ui, database=db)
            return
        render.spans(("web UI   ", "dim"), (self._ui, "bold"))
        render.spans(("address  ", "dim"), (address, ""))
        render.spans(("kept in  ", "dim"), (db, ""))
        if elsewhere is not None:
            said = f"for other commands: export TEMPORAL_ADDRESS={address}"
            render.spans((said, "yellow"), (f"  (they go to {elsewhere} now)", "dim"))

    def ready(self, revisions: dict[str, int], start: str | None) -> None:
        """All that was there at the start was looked at.

        Args:
            revisions: The definitions that take starts.
            start: A command that starts one.
        """
        if self._json:
            found = [{"name": name, "revision": number} for name, number in revisions.items()]
            self._tell("ready", [], definitions=found, start=start)
            return
        for name, number in revisions.items():
            render.spans((name, "bold"), (f"  revision {number}", "dim"))
        if start is not None:
            render.spans(("start it in another terminal: ", "dim"), (start, "bold"))
        else:
            render.spans(("no definition is live yet: the first one that is right is taken", "dim"))
        render.spans(("files are followed; Ctrl-C ends worker and server", "dim"))

    def deployed(self, name: str, revision: int, changes: Sequence[str]) -> None:
        """A definition was published."""
        parts = [("● ", "green"), (name, "bold"), (f"  live -> revision {revision}", "")]
        fields: dict[str, Any] = {"name": name, "revision": revision, "changes": list(changes)}
        self._tell("deployed", parts, changes, **fields)

    def retired(self, name: str) -> None:
        """The file of a definition is gone."""
        parts = [("● ", "yellow"), (name, "bold"), ("  retired: its file is gone", "yellow")]
        self._tell("retired", parts, name=name)

    def scheduled(self, name: str, line: str) -> None:
        """The schedule of a definition was made, changed or taken away."""
        parts = [("● ", "green"), (name, "bold"), (f"  {line}", "")]
        self._tell("scheduled", parts, name=name, message=line)

    def refused(self, name: str, why: str) -> None:
        """A definition could not be published."""
        parts = [("✗ ", "red"), (name, "bold"), (f"  not published: {why}", "red")]
        self._tell("refused", parts, name=name, message=why)

    def diagnostics(self, found: Sequence[Diagnostic], kept: dict[str, int]) -> None:
        """Files are wrong.

        Args:
            found: What is new of it.
            kept: The definitions that stay as they were.
        """
        if self._json:
            stay = [{"name": name, "revision": number} for name, number in kept.items()]
            self._tell("diagnostics", [], diagnostics=reports.records(found), kept=stay)
            return
        errors, _ = reports.counts(found)
        mark, style = ("✗", "red") if errors else ("!", "yellow")
        self._tell("", [(f"{mark} ", style), (reports.summary(found), style)])
        render.diagnostics(found)
        for name, number in kept.items():
            render.spans((f"{name} stays at revision {number}", "yellow"))

    def mended(self, files: Sequence[str]) -> None:
        """Files that were wrong are right again."""
        names = ", ".join(files)
        parts = [("✓ ", "green"), (f"{names}: right again", "green")]
        self._tell("mended", parts, files=list(files))

    def worker_up(self, pid: int, modules: Sequence[str], why: Sequence[str]) -> None:
        """A worker works.

        Args:
            pid: Its process.
            modules: The modules with its activities.
            why: The files that changed, where it is not the first one.
        """
        what = ", ".join(modules) or "no activities"
        said = f"worker restarted: {', '.join(why)}" if why else f"worker is up: {what}"
        fields: dict[str, Any] = {"pid": pid, "activities": list(modules), "changed": list(why)}
        self._tell("worker", [("● ", "green"), (said, "")], status="up", **fields)

    def worker_drains(self, pid: int) -> None:
        """A worker that has been replaced still runs something."""
        parts = [("· the worker before ends what it still runs", "dim")]
        self._tell("worker", parts, status="draining", pid=pid)

    def worker_ended(self, pid: int) -> None:
        """A worker that has been replaced has ended what it ran."""
        self._tell("worker", [("· the worker before has ended", "dim")], status="ended", pid=pid)

    def worker_failed(self, message: str, hint: str | None, kept: bool) -> None:
        """A new worker cannot start.

        Args:
            message: Why.
            hint: What to do.
            kept: Whether the one before goes on.
        """
        lines = [f"hint: {hint}"] if hint else []
        lines += ["the worker before goes on" if kept else "it is tried again when a file changes"]
        parts = [("✗ ", "red"), (message, "red")]
        fields: dict[str, Any] = {"message": message, "hint": hint, "kept": kept}
        self._tell("worker", parts, lines, status="failed", **fields)

    def worker_mended(self) -> None:
        """What could not start before is again what runs."""
        parts = [("✓ ", "green"), ("activities: right again", "green")]
        self._tell("worker", parts, status="mended")

    def worker_died(self, pid: int, why: str, pause: float) -> None:
        """A worker ended by itself."""
        parts = [("✗ ", "red"), (f"the worker ended: {why}; again in {pause:g} s", "red")]
        self._tell("worker", parts, status="died", pid=pid, message=why, pause=pause)

    def problem(self, message: str) -> None:
        """Something went wrong, and is tried again."""
        self._tell("problem", [("✗ ", "red"), (message, "red")], message=message)

    def stopping(self) -> None:
        """Everything ends."""
        if not self._json:
            render.spans(("stopping; a second Ctrl-C stops at once", "dim"))

    def cut_off(self) -> None:
        """What a worker still ran was not waited for."""
        said = "activities were cut off: they are tried again when `dev` is started again"
        self._tell("worker", [("! ", "yellow"), (said, "yellow")], status="cut_off")

    # What a worker writes.

    def heard(self, line: str) -> None:
        """Tells a line that a worker wrote to standard error."""
        record = _record(line)
        if record is None:
            if line.strip() and not line.startswith(_SAID):
                self._tell("output", [(line, "")], text=line)
        elif record["logger"] == _RUNS and "workflow_id" in record:
            self._run(record)
        elif record["logger"] == _ACTIVITIES:
            self._activity(record)
        elif record["level"] != "INFO" or not record["logger"].startswith("temporalio"):
            mark, style = _MARKS["log"] if record["level"] == "INFO" else ("!", "yellow")
            self._log(record, record["message"], [(f"{mark} {record['message']}", style)])

    def _run(self, record: dict[str, Any]) -> None:
        id, run, step = record["workflow_id"], record["run_id"], record["step"]
        message: str = record["message"]
        status, _, why = message.partition(": ")
        mark, style = _MARKS.get(status, ("·", ""))
        said: list[tuple[str, str]] = [(f"{mark} ", style), (id, "bold"), ("  ", "")]
        of_the_run = not step and status not in ("undone", "not undone")
        link = self.link(id, run)
        if status == "started":
            said += [(f"{record['definition']}, revision {record['revision']}, started", "")]
        else:
            said += [(f"{step} ", "")] if step else []
            said += [(status.replace("_", " ") + (f": {why}" if why else ""), style)]
        if of_the_run or status == "suspended":
            said += [(f"  {link}", "dim")]
        fields = {name: record[name] for name in _OF_A_RUN}
        more: dict[str, Any] = {"status": status, "step": step, "message": why or None}
        self._tell("run", said, **fields, **more, link=link)

    def _activity(self, record: dict[str, Any]) -> None:
        """What an activity logs, or that an attempt of it failed."""
        said, mark, rest = str(record["message"]).partition(" ({'")
        about, _, after = rest.partition("'})")
        try:
            info: Any = ast.literal_eval("{'" + about + "'}") if mark else {}
        except (ValueError, SyntaxError):
            info = {}
        id, step = info.get("workflow_id", ""), info.get("activity_id", "")
        place = [(f"{id}  ", "bold"), (f"{step}  ", "")] if id else []
        if said == _FAILED and info:
            mark, style = _MARKS["attempt failed"]
            said = f"attempt {info.get('attempt')} failed{after}"
        else:
            mark, style = _MARKS["log"]
            said += after
        parts = [(f"{mark} ", style), *place, (said, style)]
        self._log(record, said, parts, workflow_id=id, step=step, attempt=info.get("attempt"))

    def _log(
        self, record: dict[str, Any], message: str, parts: list[tuple[str, str]], **more: Any
    ) -> None:
        fields = {name: record[name] for name in ("level", "logger")}
        self._tell("log", parts, **fields, message=message, **more)


def _record(line: str) -> dict[str, Any] | None:
    """What a logger wrote; None where that is something else."""
    if not line.startswith('{"time": '):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if "logger" in found else None
