"""The progress of a run as a table, for those who look at it in Temporal's UI.

It is made when somebody looks, and at no other time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from temporalio import workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.worker import HandleQueryInput, WorkflowInboundInterceptor

from dsl.durations import format_duration

__all__ = ["DetailsInbound", "Shown", "table"]

_MOST_ROWS = 100
_LONGEST = 300
_SIGNS = {
    # Such as every font has.
    "completed": "✓",
    "caught": "✓",
    "running": "▶",
    "waiting": "…",
    "suspended": "!",
    "failed": "✗",
    "timed_out": "✗",
    "cancelled": "✗",
    "skipped": "~",
    "compensated": "↶",
    "compensation_failed": "✗",
    "compensating": "↶",
}
_SPACE = "\N{NO-BREAK SPACE}"
_ENDED = frozenset(_SIGNS) - {"running", "waiting", "suspended", "compensating"}


class Shown:
    """A workflow that tells of its progress."""

    def details(self) -> str:
        """Its progress, as Markdown."""
        raise NotImplementedError


class DetailsInbound(WorkflowInboundInterceptor):
    """Puts the progress of a run into what it tells Temporal's UI about itself."""

    async def handle_query(self, input: HandleQueryInput) -> Any:
        """Answers a query."""
        answer = await super().handle_query(input)
        if isinstance(answer, WorkflowMetadata):
            shown: Any = workflow.instance()
            if isinstance(shown, Shown):
                answer.current_details = shown.details()
        return answer


def table(state: dict[str, Any], now: float) -> str:
    """The progress of a run.

    Args:
        state: What the run answers to the query `status`.
        now: The time, in seconds since 1970.

    Returns:
        Markdown: what an operator must know, a table of steps, and what was undone.
    """
    rows = list(_rows(state["steps"], now, 0))
    leaves = [step for step in _all(state["steps"]) if not step.get("steps")]
    done = sum(step["status"] in _ENDED for step in leaves)
    head = [f"**{state['status']}**", f"{done} of {len(leaves)} steps"]
    if "revision" in state:
        head.insert(1, f"revision {state['revision']}")
    parts = [" · ".join(head)]
    error: dict[str, Any] | None = state.get("error")
    if error is not None:
        parts.append(f"✗ {_cell(error['type'])}: {_cell(error['message'])}")
    parts += [
        f"! **{_cell(one['step'] or 'the definition')}** is suspended. "
        f"{_cell(one['fault'])}: {_cell(one['message'])}"
        for one in state.get("suspended", ())
    ]
    if rows:
        cut = len(rows) - _MOST_ROWS
        shown = [f"| {_SPACE} | step | {_SPACE} |", "|---|---|---|", *rows[:_MOST_ROWS]]
        parts.append("\n".join(shown))
        if cut > 0:
            parts.append(f"and {cut} more: `temporal-dsl status` shows all of them")
    undone: list[dict[str, Any]] = state.get("compensations", [])
    if undone:
        lines = [f"| {_SPACE} | undone | {_SPACE} |", "|---|---|---|"]
        lines += [
            f"| {_sign(one['compensation'])} | {_cell(one['step'])} | {_cell(_outcome(one))} |"
            for one in undone[-_MOST_ROWS:]
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _all(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        yield from _all(step.get("steps", []))


def _rows(steps: list[dict[str, Any]], now: float, depth: int) -> Iterator[str]:
    for step in steps:
        status: str = step["status"]
        name = f"`{step['path']}`"
        if "description" in step:
            name = f"{_cell(step['description'])} {name}"
        said = [status.replace("_", " ")]
        if step.get("attempt", 1) > 1:
            said.append(f"attempt {step['attempt']}")
        reason: dict[str, Any] | None = step.get("error")
        if reason is not None and status not in ("cancelled", "completed"):
            said.append(_cell(reason["type"]))
        if "fault" in step:
            said.append(_cell(step["fault"]))
        if "workflow_id" in step:
            said.append(f"workflow {_cell(step['workflow_id'])}")
        if "started" in step and status != "skipped":
            seconds = max(0.0, step.get("ended", now) - step["started"])
            said.append(format_duration(round(seconds, 1 if seconds >= 1 else 3)))
        indent, about = _SPACE * 4 * depth, " · ".join(said)
        yield f"| {_sign(status)}{_SPACE} | {indent}{name}{_SPACE * 2} | {about} |"
        yield from _rows(step.get("steps", []), now, depth + 1)


def _sign(status: str) -> str:
    return _SIGNS.get(status, "")


def _outcome(entry: dict[str, Any]) -> str:
    error: dict[str, Any] | None = entry.get("error")
    said = str(entry["compensation"])
    return said if error is None else f"{said}: {error['type']}: {error['message']}"


def _cell(text: Any) -> str:
    """A text that cannot break out of its cell, and is no Markdown and no HTML."""
    line = " ".join(str(text).split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    for sign in "\\|`*_<>[]":
        line = line.replace(sign, f"\\{sign}" if sign not in "<>" else f"&#{ord(sign)};")
    return line
