"""The state of a run as data, for the `status` query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from interpreter.execution import Execution
from interpreter.handlers import HandlerNode
from interpreter.nodes import Node
from interpreter.scope import Act, Rec
from interpreter.steps.activity import ActivityNode
from interpreter.steps.batch import BatchNode, SliceNode
from interpreter.steps.blocks import DoNode, RootNode, SwitchNode
from interpreter.steps.foreach import ForeachNode
from interpreter.steps.loops import LoopNode
from interpreter.steps.parallel import ParallelNode
from interpreter.steps.workflow import WorkflowNode

__all__ = ["status"]


def status(execution: Execution) -> dict[str, Any]:
    """The state of a run: a tree of its steps, its saga log, its signals."""
    program = execution.program
    root = execution.root
    assert isinstance(root, RootNode | SliceNode)
    steps = _steps(root.body, execution.act)
    if root.edge is not None:
        for clause in root.edge.clauses:
            steps += _steps(clause.body, execution.act, begun=True)
        steps += _steps(root.edge.cleanup, execution.act, begun=True)
    if execution.handlers is not None:
        steps += [_step(*one) for one in execution.handlers.shown()]
    state: dict[str, Any] = {
        "definition": program.name,
        "revision": program.revision,
        "digest": program.digest,
        "status": execution.phase,
        "steps": steps,
        "compensations": execution.saga,
        "signals": {
            "kept": execution.mailbox.kept,
            "refused": execution.mailbox.refused,
            "reasons": execution.mailbox.reasons,
        },
    }
    if execution.suspensions:
        state["suspended"] = [
            {"step": s.rec.path, "fault": s.fault.type, "message": s.fault.message}
            for s in execution.suspensions
        ]
    if execution.answers:
        state["answers"] = execution.answers
    if execution.rec.error is not None:
        state["error"] = execution.rec.error
    return state


def _steps(nodes: Iterable[Node], act: Act, begun: bool = False) -> list[dict[str, Any]]:
    """The states of a list of steps. With `begun`, only of those that did."""
    found: list[dict[str, Any]] = []
    for node in nodes:
        rec = act.recs.get(node.key)
        if rec is not None or not begun:
            found.append(_step(node, rec, act))
    return found


def _step(node: Node, rec: Rec | None, act: Act) -> dict[str, Any]:
    state: dict[str, Any] = {
        "path": rec.path if rec is not None else act.prefix + node.path,
        "kind": node.kind,
        "status": rec.status if rec is not None else "pending",
    }
    if isinstance(node, ActivityNode):
        state["activity"] = node.activity
    if isinstance(node, WorkflowNode):
        state["workflow"] = node.workflow
    if node.description is not None:
        state["description"] = node.description
    if rec is None:
        return state
    if rec.child is not None:
        state["workflow_id"] = rec.child
    if rec.attempt > 1:
        state["attempt"] = rec.attempt
    for name in ("started", "ended", "error", "fault"):
        value = getattr(rec, name)
        if value is not None:
            state[name] = value
    inner = _inner(node, rec, act)
    if inner:
        state["steps"] = inner
    return state


def _inner(node: Node, rec: Rec, act: Act) -> list[dict[str, Any]]:
    inner: list[dict[str, Any]] = []
    if isinstance(node, ForeachNode | LoopNode | BatchNode):
        iterations = dict(rec.past or ()) | (rec.acts or {})
        for index in sorted(iterations):
            inner += _steps(node.body, iterations[index])
    elif isinstance(node, ParallelNode):
        for branch in node.branches:
            inner += _steps(branch, act)
    elif isinstance(node, SwitchNode):
        for _, body, _ in node.cases:
            if any(n.key in act.recs and act.recs[n.key].status != "skipped" for n in body):
                inner += _steps(body, act)
    elif isinstance(node, DoNode | HandlerNode) and rec.status != "skipped":
        inner += _steps(node.body, act)
    if node.edge is not None:
        for clause in node.edge.clauses:
            inner += _steps(clause.body, act, begun=True)
        inner += _steps(node.edge.cleanup, act, begun=True)
    return inner
