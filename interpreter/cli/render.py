"""What people see: diagnostics, the tree of a run. The only module that draws on terminals."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dsl.diagnostics import Diagnostic, Related, Severity
from interpreter.cli import reports, results
from interpreter.cli.places import excerpt, visible, visible_lines

if TYPE_CHECKING:
    from rich.status import Status

    from interpreter.cli.retries import Retried

__all__ = [
    "RunView",
    "diagnostics",
    "faults",
    "line",
    "note",
    "outcome",
    "progress",
    "result",
    "spans",
    "status",
    "table",
]


class _Messages(Console):
    """Standard error. That nobody reads it does not change how a command ends."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


_ERR = _Messages(stderr=True, highlight=False, soft_wrap=True)

_MARKS = {
    "pending": ("·", "dim"),
    "running": ("▸", "cyan"),
    "waiting": ("⏳", "yellow"),
    "completed": ("✓", "green"),
    "caught": ("✓", "yellow"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "red"),
    "timed_out": ("✗", "red"),
    "cancelled": ("✗", "yellow"),
    "suspended": ("!", "magenta"),
    "compensated": ("↶", "yellow"),
    "compensation_failed": ("✗", "red"),
}


def note(text: str, style: str = "") -> None:
    """A line for people, on standard error."""
    _ERR.print(Text(text, style=style))


def spans(*parts: tuple[str, str]) -> None:
    """A line of parts, each with its style, on standard error."""
    _ERR.print(Text.assemble(*parts))


def result(value: Any) -> None:
    """The result of a command, as JSON on standard output."""
    text = results.document(value)
    # Names of files may have halves of characters, for bytes that are none in UTF-8.
    results.write(text.encode(errors="backslashreplace").decode())


def line(text: str) -> None:
    """A line of a result for people, on standard output."""
    results.write(text + "\n")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  ".join(cells).rstrip())


@contextmanager
def progress(word: str, total: int) -> Generator[Callable[[int], None]]:
    """Shows how far something got, where it takes longer than a second.

    Yields:
        What to call with how many are done.
    """
    shown = time.monotonic()
    bar: Status | None = None
    with ExitStack() as stack:

        def step(done: int) -> None:
            nonlocal shown, bar
            if time.monotonic() - shown < 1:
                return
            text = f"{word} {done} of {total}"
            if not _ERR.is_terminal:
                shown = time.monotonic()
                note(text)
            elif bar is None:
                bar = stack.enter_context(_ERR.status(text))
            else:
                bar.update(text)

        yield step


def diagnostics(found: Iterable[Diagnostic], strict: bool = False) -> None:
    """Diagnostics with the lines that they are about, on standard error."""
    for diagnostic in found:
        _ERR.print(_diagnostic(diagnostic, reports.severity(diagnostic, strict)))


def _diagnostic(diagnostic: Diagnostic, severity: Severity) -> Text:
    style = "bold red" if severity is Severity.ERROR else "bold yellow"
    text = Text()
    text.append(f"{visible(diagnostic.place)}: ", style="bold")
    text.append(f"{severity} {diagnostic.code}", style=style)
    text.append(f": {visible(diagnostic.message)}\n")
    _excerpt(text, diagnostic, "^", style)
    for other in diagnostic.related:
        text.append(f"  {visible(other.message)}: {visible(other.place)}\n")
        _excerpt(text, other, "-", "blue")
    if diagnostic.hint:
        text.append("  hint: ", style="bold cyan")
        text.append(visible_lines(diagnostic.hint).replace("\n", "\n        ") + "\n")
    return text


def _excerpt(text: Text, where: Diagnostic | Related, mark: str, style: str) -> None:
    """Adds the line of a place, and marks the place below it."""
    found = excerpt(where.source, where.span)
    if found is None:
        return
    number = str(found.number)
    text.append(f"  {number} | ", style="dim")
    text.append(f"{found.before}{found.marked}{found.after}\n")
    text.append(f"  {' ' * len(number)} | ", style="dim")
    text.append(" " * cell_len(found.before))
    text.append(mark * max(1, cell_len(found.marked)), style=style)
    text.append(f" to line {found.last}\n" if found.last > found.number else "\n", style="dim")


class RunView:
    """The tree of a run's steps, as it goes on.

    On a terminal the tree is drawn again and again; elsewhere each step is a line when it ends
    or begins to wait.
    """

    def __init__(self) -> None:
        self._live = Live(console=_ERR, auto_refresh=False) if _ERR.is_terminal else None
        self._said: set[tuple[str, str | int]] = set()

    def __enter__(self) -> RunView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, state: dict[str, Any], again: Sequence[Retried] = ()) -> None:
        """Shows the state that a `status` query gave, and the activities that are tried again."""
        if self._live is not None:
            self._live.update(Text("\n").join(_tree(state, again)), refresh=True)
            return
        for step, depth in _in_time(state):
            if step["status"] not in ("pending", "running"):
                self._say((step["path"], step["status"]), _line(step, depth))
        for one in again:
            self._say((one.step, one.attempt), _retry(one))

    def _say(self, what: tuple[str, str | int], line: Text) -> None:
        """Prints a line once."""
        if what not in self._said:
            self._said.add(what)
            _ERR.print(line)


def _walk(steps: list[dict[str, Any]], depth: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    for step in steps:
        yield step, depth
        yield from _walk(step.get("steps", []), depth + 1)


def _in_time(state: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """The steps of a run as they ended, those inside others before them; then as they were undone.

    What has not ended comes last.
    """
    undone = {entry["step"]: n for n, entry in enumerate(state.get("compensations", []))}

    def key(item: tuple[dict[str, Any], int]) -> tuple[bool, float]:
        step, _ = item
        if step["status"] in ("compensated", "compensation_failed"):
            return True, undone.get(step["path"], math.inf)
        late = step["status"] in ("waiting", "suspended")
        return False, math.inf if late else step.get("ended", 0.0)

    return sorted(_inside_first(state.get("steps", [])), key=key)


def _inside_first(
    steps: list[dict[str, Any]], depth: int = 0
) -> Iterator[tuple[dict[str, Any], int]]:
    for step in steps:
        yield from _inside_first(step.get("steps", []), depth + 1)
        yield step, depth


def _tree(state: dict[str, Any], again: Sequence[Retried]) -> list[Text]:
    """The steps of a run in their order, with the activities that are tried again."""
    waiting = {one.step: one for one in again}
    lines: list[Text] = []
    for step, depth in _walk(state.get("steps", [])):
        one = waiting.pop(step["path"], None)
        lines.append(_line(step, depth) if one is None else _retry(one, depth))
    return lines + [_retry(one) for one in waiting.values()]


def _retry(one: Retried, depth: int = 0) -> Text:
    line = Text("  " * depth + "  ")
    line.append("↻ ", style="yellow")
    line.append(one.step)
    line.append(f"  {one.activity}", style="dim")
    line.append(f"  attempt {one.attempt} after {one.after}", style="yellow")
    if one.wait >= 1:
        line.append(f"  in {_seconds(one.wait)}", style="dim")
    return line


def _line(step: dict[str, Any], depth: int) -> Text:
    status = step["status"]
    mark, style = _MARKS.get(status, ("?", ""))
    line = Text("  " * depth + "  ")
    line.append(f"{mark} ", style=style)
    line.append(step["path"])
    runs = step.get("activity") or step.get("workflow")
    if runs is not None:
        line.append(f"  {runs}", style="dim")
    if status in ("running", "suspended") and "workflow_id" in step:
        line.append(f"  {step['workflow_id']}", style="dim")
    if status not in ("completed", "pending", "running"):
        line.append(f"  {status}", style=style)
    if status in ("failed", "timed_out", "compensated", "caught") and "error" in step:
        line.append(f"  {step['error']['type']}", style="red" if status != "caught" else "dim")
    if step.get("attempts", 1) > 1:
        line.append(f"  {step['attempts']} attempts", style="yellow")
    if "started" in step and "ended" in step and status not in ("skipped", "pending"):
        line.append(f"  {_seconds(step['ended'] - step['started'])}", style="dim")
    if "fault" in step:
        line.append(f"  {step['fault']}", style="magenta")
    return line


def _undone(entry: dict[str, Any]) -> Text:
    """An act that was undone: how it had ended, what came of undoing it, how often, how long."""
    outcome = entry["compensation"]
    line = Text(f"  ↶ {entry['step']}")
    line.append(f"  {entry['status']}", style="dim")
    line.append(f"  {outcome}", style="red" if outcome == "failed" else "")
    if entry.get("attempts", 1) > 1:
        line.append(f"  {entry['attempts']} attempts", style="yellow")
    if "ended" in entry:
        line.append(f"  {_seconds(entry['ended'] - entry['started'])}", style="dim")
    if "error" in entry:
        line.append(f"  {entry['error']['type']}: {entry['error']['message']}", style="red")
    return line


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def faults(state: dict[str, Any], id: str | None = None) -> None:
    """What suspends a run, on standard error; where its id is given, what may be answered."""
    for fault in state.get("suspended", []):
        where = fault["step"] or "the definition"
        note(f"suspended at {where}: {fault['fault']}: {fault['message']}", "magenta")
    if id is not None and state.get("suspended"):
        note(_answers(state, id))


def _answers(state: dict[str, Any], id: str) -> str:
    """The commands that answer to what is suspended."""
    resumed = f", resume {id}"
    if any("!undo" in fault["step"] or "#" in fault["step"] for fault in state["suspended"]):
        resumed = ""  # what is undone and what handles a message ends as it began
    return f"answer with: retry {id}, fail {id}, skip {id} STEP, resolve {id} STEP{resumed}"


def _can_be_redriven(state: dict[str, Any]) -> bool:
    """Whether a run began, failed, and nothing of it was undone."""
    began = "revision" in state
    return began and state.get("status") == "failed" and not state.get("compensations")


def outcome(
    name: str,
    state: dict[str, Any],
    seconds: float,
    failure: tuple[str, str] | None,
    id: str | None = None,
) -> None:
    """The last lines of a run: how it ended, and what was undone.

    Args:
        name: The definition's name.
        state: What the last `status` query gave, if any did.
        seconds: How long it took.
        failure: The type and message of the error it ended with, as Temporal has them.
        id: Its id, where it may be taken up again.
    """
    if failure is None:
        note(f"{name} completed in {_seconds(seconds)}", "green")
        return
    status = state.get("status")
    # One that Temporal ended (terminated, timed out) did not come to an end of its own.
    ended = status if status in ("compensated", "compensation_failed", "cancelled") else "failed"
    error = state.get("error") or {"type": failure[0], "message": failure[1]}
    place = error.get("step") or _place(state.get("steps", []), error)
    at = f" at {place}" if place else ""
    note(f"{name} {ended.replace('_', ' ')}{at}: {error['type']}: {error['message']}", "red")
    saga = state.get("compensations", [])
    undone = [entry["step"] for entry in saga if entry["compensation"] == "compensated"]
    failed = [entry["step"] for entry in saga if entry["compensation"] == "failed"]
    if undone:
        note(f"undone: {', '.join(undone)}", "yellow")
    elif status == "failed":
        children = any(_undid_itself(step) for step, _ in _inside_first(state.get("steps", [])))
        what = "what its children had done they undid themselves" if children else None
        note(what or "nothing had to be undone")
    if failed:
        note(f"could not be undone: {', '.join(failed)}", "red")
    if id is not None and _can_be_redriven(state):
        note(f"  hint: `temporal-dsl redrive {id}` goes on where it failed")


def _undid_itself(step: dict[str, Any]) -> bool:
    """Whether a step is a child workflow that may have undone what it did."""
    return "workflow" in step and step["status"] in ("failed", "cancelled", "timed_out", "caught")


def _place(steps: list[dict[str, Any]], error: dict[str, Any]) -> str | None:
    """The path of the innermost step that ended with an error."""
    found = [step for step, _ in _inside_first(steps) if _raised(step, error)]
    return found[0]["path"] if found else None


def _raised(step: dict[str, Any], error: dict[str, Any]) -> bool:
    own = step.get("error")
    same = own is not None and all(own[name] == error[name] for name in ("type", "message"))
    return same and step["status"] != "caught"


def status(state: dict[str, Any], again: Sequence[Retried] = (), id: str = "ID") -> None:
    """The state of a run on standard output, with the activities that are tried again."""
    out = Console(file=results.stream(), highlight=False, soft_wrap=True)
    with out.capture() as capture:
        for line in _status(state, again, id):
            out.print(line)
    results.write(capture.get())


def _status(state: dict[str, Any], again: Sequence[Retried], id: str) -> Iterator[Text]:
    revision = state.get("revision", "?")
    yield Text(f"{state['definition']}  {state['status']}  revision {revision}")
    yield from _tree(state, again)
    for entry in state.get("compensations", []):
        yield _undone(entry)
    for answer in state.get("answers", []):
        by = answer["by"] or "an operator"
        why = f": {answer['reason']}" if answer["reason"] else ""
        yield Text(f"  ✎ {answer['action']} of {answer['step'] or 'the definition'} by {by}{why}")
    kept = state.get("signals", {}).get("kept", {})
    refused = state.get("signals", {}).get("refused", {})
    for words, counted in (("kept", kept), ("refused", refused)):
        for name, count in counted.items():
            yield Text(f"  signal {name}: {count} {words}")
    for fault in state.get("suspended", []):
        where = fault["step"] or "the definition"
        yield Text(f"  suspended at {where}: {fault['fault']}: {fault['message']}")
    if state.get("suspended"):
        yield Text(f"  {_answers(state, id)}")
    error = state.get("error")
    if error:
        yield Text(f"  {error['type']}: {error['message']}")
    if _can_be_redriven(state):
        yield Text(f"  go on where it failed with: redrive {id}")
