"""What people see: diagnostics, the tree of a run. The only module that draws on terminals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dsl.diagnostics import Diagnostic, Severity
from dsl.source import Span

__all__ = ["RunView", "diagnostics", "note", "outcome", "result", "status", "summary"]

_ERR = Console(stderr=True, highlight=False, soft_wrap=True)

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


def result(value: Any) -> None:
    """The result of a command, as JSON on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def diagnostics(found: Sequence[Diagnostic]) -> None:
    """Diagnostics with their excerpts, on standard error."""
    for diagnostic in found:
        _ERR.print(_diagnostic(diagnostic))


def summary(found: Sequence[Diagnostic]) -> str:
    """How many errors and warnings."""
    errors = sum(1 for d in found if d.severity is Severity.ERROR)
    warnings = len(found) - errors
    parts = [_plural(errors, "error")] if errors else []
    parts += [_plural(warnings, "warning")] if warnings else []
    return ", ".join(parts) or "no problems"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _diagnostic(diagnostic: Diagnostic) -> Text:
    style = "bold red" if diagnostic.severity is Severity.ERROR else "bold yellow"
    text = Text()
    text.append(diagnostic.place, style="bold")
    text.append(": ")
    text.append(f"{diagnostic.severity} {diagnostic.code}", style=style)
    text.append(f": {diagnostic.message}\n")
    _excerpt(text, diagnostic, diagnostic.span, "^", style)
    for words, span in diagnostic.related:
        position = diagnostic.source.position(span.start)
        text.append(f"  {words}: {diagnostic.source.name}:{position.line}:{position.column}\n")
        _excerpt(text, diagnostic, span, "-", "blue")
    if diagnostic.hint:
        text.append("  hint: ", style="bold cyan")
        text.append(f"{diagnostic.hint}\n")
    return text


def _excerpt(text: Text, diagnostic: Diagnostic, span: Span, mark: str, style: str) -> None:
    if not diagnostic.source.text:
        return
    position = diagnostic.source.position(span.start)
    line = diagnostic.source.line(position.line)
    first = max(0, position.column - 1 - 60)
    shown = line[first : first + 100]
    start = position.column - 1 - first
    length = max(1, min(span.end - span.start, len(shown) - start))
    number = str(position.line)
    text.append(f"  {number} | ", style="dim")
    text.append(shown + "\n")
    text.append(f"  {' ' * len(number)} | ", style="dim")
    pad = "".join("\t" if char == "\t" else " " for char in shown[:start])
    text.append(pad + mark * length + "\n", style=style)


class RunView:
    """The tree of a run's steps, as it goes on.

    On a terminal the tree is drawn again and again; elsewhere each step is a line when it ends
    or begins to wait.
    """

    def __init__(self) -> None:
        self._live = Live(console=_ERR, auto_refresh=False) if _ERR.is_terminal else None
        self._said: set[tuple[str, str]] = set()

    def __enter__(self) -> RunView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, state: dict[str, Any]) -> None:
        """Shows the state that a `status` query gave."""
        if self._live is not None:
            lines = [_line(step, depth) for step, depth in _walk(state.get("steps", []))]
            self._live.update(Text("\n").join(lines), refresh=True)
            return
        for step, depth in _walk(state.get("steps", [])):
            said = (step["path"], step["status"])
            if step["status"] not in ("pending", "running") and said not in self._said:
                self._said.add(said)
                _ERR.print(_line(step, depth))


def _walk(steps: list[dict[str, Any]], depth: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    for step in steps:
        yield step, depth
        yield from _walk(step.get("steps", []), depth + 1)


def _line(step: dict[str, Any], depth: int) -> Text:
    status = step["status"]
    mark, style = _MARKS.get(status, ("?", ""))
    line = Text("  " * depth + "  ")
    line.append(f"{mark} ", style=style)
    line.append(step["path"])
    if "activity" in step:
        line.append(f"  {step['activity']}", style="dim")
    if status not in ("completed", "pending", "running"):
        line.append(f"  {status}", style=style)
    if status in ("failed", "timed_out", "compensated", "caught") and "error" in step:
        line.append(f"  {step['error']['type']}", style="red" if status != "caught" else "dim")
    if "started" in step and "ended" in step and status not in ("skipped", "pending"):
        line.append(f"  {_seconds(step['ended'] - step['started'])}", style="dim")
    if "fault" in step:
        line.append(f"  {step['fault']}", style="magenta")
    return line


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def outcome(
    name: str, state: dict[str, Any], seconds: float, failure: tuple[str, str] | None
) -> None:
    """The last lines of a run: how it ended, and what was undone.

    Args:
        name: The definition's name.
        state: What the last `status` query gave, if any did.
        seconds: How long it took.
        failure: The type and message of the error it ended with, as Temporal has them.
    """
    if failure is None:
        note(f"{name} completed in {_seconds(seconds)}", "green")
        return
    status = state.get("status")
    # One that Temporal ended (terminated, timed out) did not come to an end of its own.
    ended = status if status in ("compensated", "compensation_failed", "cancelled") else "failed"
    error = state.get("error") or {"type": failure[0], "message": failure[1]}
    at = f" at {error['step']}" if error.get("step") else ""
    note(f"{name} {ended.replace('_', ' ')}{at}: {error['type']}: {error['message']}", "red")
    saga = state.get("compensations", [])
    undone = [entry["step"] for entry in saga if entry["compensation"] == "compensated"]
    failed = [entry["step"] for entry in saga if entry["compensation"] == "failed"]
    if undone:
        note(f"undone, the last first: {', '.join(undone)}", "yellow")
    elif status == "failed":
        note("nothing had to be undone")
    if failed:
        note(f"could not be undone: {', '.join(failed)}", "red")


def status(state: dict[str, Any]) -> None:
    """The state of a run on standard output."""
    out = Console(highlight=False, soft_wrap=True)
    out.print(
        Text(f"{state['definition']}  {state['status']}  revision {state.get('revision', '?')}")
    )
    for step, depth in _walk(state.get("steps", [])):
        out.print(_line(step, depth))
    for entry in state.get("compensations", []):
        out.print(Text(f"  ↶ {entry['step']}  {entry['compensation']}"))
    kept = state.get("signals", {}).get("kept", {})
    refused = state.get("signals", {}).get("refused", {})
    for words, counted in (("kept", kept), ("refused", refused)):
        for name, count in counted.items():
            out.print(Text(f"  signal {name}: {count} {words}"))
    for fault in state.get("suspended", []):
        out.print(Text(f"  suspended at {fault['step']}: {fault['fault']}: {fault['message']}"))
    error = state.get("error")
    if error:
        out.print(Text(f"  {error['type']}: {error['message']}"))
