"""What a run has done, in the order of time, for the `journal` query."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from interpreter.execution import Execution
from interpreter.handlers import HandlerNode
from interpreter.nodes import Node
from interpreter.payloads import json_size
from interpreter.scope import NOTHING, Act, Rec
from interpreter.steps.activity import ActivityNode
from interpreter.steps.workflow import WorkflowNode

__all__ = ["journal"]

_MOST = 500
"""How many entries there are: the last ones."""
_LARGEST = 2048
"""The largest value that stands in an entry, in bytes."""

Entry = dict[str, Any]


def journal(execution: Execution) -> dict[str, Any]:
    """What a run has done: steps that ended, messages, compensations, what operators answered.

    Returns:
        `{definition, revision, status, entries}`, and `earlier` where there are more than shown.
        An entry has the `time` it ended (RFC 3339, UTC), its `kind`, and by that `path`,
        `status`, `activity`, `seconds`, `output`, `payload`, `error`, `by`, `reason`. What
        iterations did that ended long ago is not kept.
    """
    found = [*_steps(execution), *_compensations(execution), *_answers(execution)]
    found.sort(key=_order)
    entries = [{"time": _written(time), **entry} for time, entry in found[-_MOST:]]
    program = execution.program
    about = {"definition": program.name, "revision": program.revision, "status": execution.phase}
    earlier = {"earlier": len(found) - _MOST} if len(found) > _MOST else {}
    return {**about, **earlier, "entries": entries}


def _order(one: tuple[float, Entry]) -> tuple[float, bool]:
    # A message stands before what it made go on at the same time.
    return one[0], "payload" not in one[1]


def _written(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _steps(execution: Execution) -> Iterator[tuple[float, Entry]]:
    seen: set[int] = set()
    yield from _of_act(execution.act, seen)
    if execution.handlers is not None:
        for _, _, act in execution.handlers.shown():
            yield from _of_act(act, seen)


def _of_act(act: Act, seen: set[int]) -> Iterator[tuple[float, Entry]]:
    if id(act.recs) in seen:
        return
    seen.add(id(act.recs))
    for rec in tuple(act.recs.values()):
        if rec.ended is not None and rec.started is not None:
            yield rec.ended, _step(rec.node, rec, act)
        iterations = dict(rec.past or ()) | (rec.acts or {})
        for index in sorted(iterations):
            yield from _of_act(iterations[index], seen)


def _step(node: Node, rec: Rec, act: Act) -> Entry:
    assert rec.started is not None and rec.ended is not None
    entry: Entry = {"kind": node.kind, "path": rec.path, "status": rec.status}
    if isinstance(node, ActivityNode):
        entry["activity"] = node.activity
    if isinstance(node, WorkflowNode):
        entry |= {"workflow": node.workflow, "workflow_id": rec.child}
    entry["seconds"] = round(rec.ended - rec.started, 3)
    if isinstance(node, HandlerNode):
        _put(entry, "payload", (act.names or {}).get("payload"))
    if rec.output is not NOTHING and rec.output is not None:
        _put(entry, "output", rec.output)
    if rec.error is not None:
        entry["error"] = {name: rec.error[name] for name in ("type", "message")}
    return entry


def _put(entry: Entry, name: str, value: Any) -> None:
    """Puts a value into an entry; its size where it is too large."""
    size = json_size(value)
    if size <= _LARGEST:
        entry[name] = value
    else:
        entry[f"{name}_bytes"] = size


def _compensations(execution: Execution) -> Iterator[tuple[float, Entry]]:
    for report in execution.saga:
        if "ended" in report:
            entry = {"kind": "compensation", "path": report["step"]}
            entry |= {"status": report["compensation"], "attempts": report["attempts"]}
            error = {"error": report["error"]} if "error" in report else {}
            yield report["ended"], entry | error


def _answers(execution: Execution) -> Iterator[tuple[float, Entry]]:
    for answer in execution.answers:
        entry = {"kind": "answer", "path": answer["step"], "status": answer["action"]}
        yield answer["time"], entry | {name: answer[name] for name in ("fault", "by", "reason")}
