"""A run that goes on under another revision of its definition, or again after it failed.

Both take the state of `interpreter.checkpoint`. `reopened` writes that of a run that failed: what
ended well stands, what failed or was cancelled begins anew. `adopt` looks whether a state fits
another revision: what was done must be found again, step by step, where it was; what has not
begun may be anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dsl.model.definition import Definition
from interpreter.checkpoint import Data, Writer, packed
from interpreter.definitions.resolver import ENGINE
from interpreter.errors import Leaving
from interpreter.execution import Execution
from interpreter.nodes import Ending, Node
from interpreter.program import Program
from interpreter.scope import Act, Rec
from interpreter.steps.activity import ActivityNode
from interpreter.steps.batch import BatchNode, CallNode
from interpreter.steps.foreach import ForeachNode
from interpreter.steps.join import Join, JoinState
from interpreter.steps.loops import LoopNode
from interpreter.steps.workflow import WorkflowNode

__all__ = ["STATE", "Conflict", "NotRedrivable", "adopt", "program_of", "reopened", "revised"]

STATE = "dsl.state"
"""The query for the state of a run that failed: `{root, pinned, input, state}`."""
_STANDS = frozenset(("completed", "caught", "skipped"))
_KEPT = (
    *("vars", "items", "outputs", "index", "left", "case", "returning"),
    *("slice", "first", "tolerated", "failed_items", "failed_run", "child"),
)
"""What an open step keeps when it is gone through again."""


class NotRedrivable(Exception):
    """Why a run cannot be started again from where it failed."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a revision does not fit what a run has done.

    Args:
        step: The path of the step.
        why: What is in the way.
    """

    step: str
    why: str

    def __str__(self) -> str:
        return f"{self.step or 'the definition'}: {self.why}"


def program_of(pinned: bytes | str) -> Program:
    """The compiled definition of a marker.

    Raises:
        NotRedrivable: It needs a newer interpreter.
    """
    content = json.loads(pinned)
    if content["engine"] > ENGINE:
        raise NotRedrivable(f"it needs engine {content['engine']}, this is engine {ENGINE}")
    definition = Definition.model_validate(content["definition"])
    return Program(definition, content["digest"], content["revision"])


def reopened(execution: Execution, *, part: bool = False) -> str:
    """The state of a run that failed, as if it stood before what made it fail; packed.

    Args:
        execution: The run.
        part: Whether it is asked for by the run that it is a slice of.

    Raises:
        NotRedrivable: What has to be redone is unknown, or was undone.
    """
    if execution.origin.part is not None and not part:
        raise NotRedrivable("it is a slice of a `batch`: redrive the run it is a part of")
    if execution.status != "failed" and not (part and execution.status == "cancelled"):
        raise NotRedrivable(_why_not(execution))
    if execution.saga:
        raise NotRedrivable("what it had done was to be undone: start anew")
    broken = None if execution.handlers is None else execution.handlers.broken
    if broken is not None:
        raise NotRedrivable(f"the message of {broken} would be lost: start anew")
    state = packed(_Reopening(execution, whole=True, shows=False).data())
    state = state or packed(_Reopening(execution, shows=False).data())
    if state is None:
        raise NotRedrivable("its state is larger than a run can be started with")
    return state


def _why_not(execution: Execution) -> str:
    match execution.status:
        case "running":
            return "it has not ended"
        case "completed":
            return "it completed"
        case "cancelled":
            return "it was cancelled: start anew"
        case _:
            return "what it had done was undone: start anew"


class _Reopening(Writer):
    """Writes a run that failed. Nothing of it will be undone: there are no entries, no groups."""

    def new_act(self, act: Act) -> Data:
        data: Data = {
            "recs": self.once("recs", act.recs, lambda: self.records(act.recs)),
            "prefix": act.prefix,
        }
        if act.parent is not None and act.names is not None:
            data["names"] = act.names
        if act.variables is not None:
            data["vars"] = self.variables(act.variables)
        return data

    def records(self, recs: dict[str, Rec]) -> Data:
        dropped: set[str] = set()  # begins anew
        past: set[str] = set()  # stays as it was, for a `catch` that goes on
        whole = [self.execution.rec] if recs is self.execution.act.recs else []
        for rec in (*whole, *recs.values()):
            if rec.status in _STANDS or rec.node.key in dropped | past:
                continue
            drops, keeps = self._around(rec)
            dropped |= drops
            past |= keeps
        return {
            key: self._past(rec) if key in past else self.rec(rec)
            for key, rec in recs.items()
            if key not in dropped
        }

    def _around(self, rec: Rec) -> tuple[set[str], set[str]]:
        """What of the steps inside an open one begins anew, and what stays as it was."""
        node, edge = rec.node, rec.node.edge
        inside = set(node.beside())
        if node.owner is None:
            inside = {one.key for one in self.program.places.values() if not one.activation}
        again = isinstance(node, CallNode | WorkflowNode) and (
            rec.keeps("failed_run") or rec.keeps("child")
        )
        if not inside and not again and not isinstance(node, ForeachNode | LoopNode | BatchNode):
            return {node.key}, set()
        dropped: set[str] = set()
        past: set[str] = set()
        if edge is not None:
            cleanup = _keys(edge.cleanup)
            if not self._cleaning(rec):
                dropped |= cleanup
            if rec.keeps("caught"):
                caught: tuple[object, int] = rec.kept("caught")
                past = inside - cleanup - _keys(edge.clauses[caught[1]].body)
        return dropped, past

    @staticmethod
    def _cleaning(rec: Rec) -> bool:
        """Whether it failed in its `finally`, and not before."""
        if not rec.keeps("ending"):
            return False
        pending: Ending | None = rec.kept("ending")[0]
        return pending is None or isinstance(pending, Leaving)

    def _past(self, rec: Rec) -> Data:
        row = super().rec(rec)
        row.pop("held", None)
        return row

    def rec(self, rec: Rec) -> Data:
        row = super().rec(rec)
        if rec.status in _STANDS:
            return row
        again = ("attempt",) if isinstance(rec.node, ActivityNode) else ()
        for name in ("error", "fault", "ended", "held", *again):
            row.pop(name, None)
        row["status"] = "running"
        held = {name: rec.kept(name) for name in _KEPT if rec.keeps(name)}
        if self._cleaning(rec):
            held["ending"] = rec.kept("ending")
        if rec.keeps("caught"):
            held["caught"] = rec.kept("caught")
        join: Join | JoinState | None = rec.kept("join")
        if join is not None:
            held["join"] = _reopened_join(join.state() if isinstance(join, Join) else join)
        if held:
            row["held"] = self.held(held)
        return row


def _keys(nodes: tuple[Node, ...]) -> set[str]:
    return {one.key for node in nodes for one in (node, *node.within)}


def _reopened_join(state: JoinState) -> JoinState:
    """A join whose members run again that did not win."""
    members = tuple((index, won, won, won, None) for index, _, won, _, _ in state["members"])
    # After a `break` no others begin.
    again = {"members": members, "failed": 0, "error": None, "closed": state["cut"]}
    return JoinState(state | again | {"group": None, "decided": False})


def adopt(data: Data, old: Program, new: Program) -> list[Conflict]:
    """Makes a state one of another revision.

    Args:
        data: The state. What has not done anything yet is taken out of it where the other
            revision has something else there.
        old: The definition it was written under.
        new: The other revision.

    Returns:
        Why it does not fit; none where it does.
    """
    return list(_Adoption(data, old, new).conflicts())


def revised(
    execution: Execution, program: Program, room: tuple[int, int]
) -> tuple[str | None, list[Conflict]]:
    """The state of a run at rest, packed, to go on under another revision.

    Args:
        execution: The run.
        program: The other revision.
        room: How large the state may be, packed and as it is.

    Returns:
        The state, None where there is none; and why the revision does not fit.
    """
    for whole in (True, False):
        data = Writer(execution, whole=whole, shows=False).data()
        conflicts = adopt(data, execution.program, program)
        state = None if conflicts else packed(data, *room)
        if conflicts or state is not None:
            return state, conflicts
    return None, []


def _compensates(node: Node) -> bool:
    """Whether a step says itself how it is undone."""
    return node.compensates if isinstance(node, WorkflowNode) else node.undo is not None


class _Adoption:
    def __init__(self, data: Data, old: Program, new: Program) -> None:
        self.data = data
        self.old = old
        self.new = new
        self.registered = {row["path"] for row in data["entries"]}

    def conflicts(self) -> Iterator[Conflict]:
        yield from self.step(self.data["rec"])
        for rows in self.data["recs"]:
            for key in list(rows):
                row = rows.get(key)  # what is inside one that begins anew is gone
                if row is None:
                    continue
                found = list(self.step(row))
                # What met a fault before it did anything begins anew, as what others may follow.
                if (found or row["status"] == "suspended") and self.untouched(row, rows):
                    self.take_out(row, rows)
                else:
                    yield from found
            yield from self.order(rows)
        for row in self.data["entries"]:
            yield from self.undoing(row)
        for row in self.data["behind"]:
            yield from self.step(row["rec"])
        for name in sorted({name for _, name, *_ in self.data["mailbox"]["kept"]}):
            signal = self.new.signals.get(name)
            if signal is None or signal.handled:
                yield Conflict("", f"a signal `{name}` is kept, for which {self.there} never waits")

    @property
    def there(self) -> str:
        return f"revision {self.new.revision}"

    def step(self, row: Data) -> Iterator[Conflict]:
        """What is wrong with a step that began."""
        row.pop("fault", None)  # it is tried again
        for name in ("suspended", "given"):
            row.get("held", {}).pop(name, None)
        old, new = self.old.places[row["node"]], self.new.places.get(row["node"])
        path = row["path"]
        done = "ended" in row
        is_done = "is done" if done else "has begun"
        if new is None:
            if done or "started" in row:
                yield Conflict(path, f"it {is_done}, and {self.there} has no such step")
            return
        if _place(new) != _place(old):
            yield Conflict(path, f"it {is_done}, and stands elsewhere in {self.there}")
        elif new.kind != old.kind:
            yield Conflict(path, f"it {is_done}, and is {_a(new)} in {self.there}, not {_a(old)}")
        elif not done:
            if new.shape() != old.shape():
                what = "its `catch`, `finally`, `retry`, `compensate` or branches differ"
                yield Conflict(path, f"it has begun, and {what} in {self.there}")
        elif row["status"] != "skipped":
            yield from self.done(path, row, old, new)

    def done(self, path: str, row: Data, old: Node, new: Node) -> Iterator[Conflict]:
        """What is wrong with a step that is done."""
        names = [_runs(old), _runs(new)]
        if names[0] != names[1]:
            has = f"`{names[1]}` in {self.there}, not `{names[0]}`"
            yield Conflict(path, f"it is done, and its {old.kind} is {has}")
        if _compensates(old) != _compensates(new):
            which = "has a `compensate` only" if _compensates(new) else "has no `compensate`"
            yield Conflict(path, f"it is done, and {which} in {self.there}")
        if new.is_read and not old.is_read and "output" not in row:
            yield Conflict(path, f"{self.there} reads its output, which was not kept")

    def order(self, rows: Data) -> Iterator[Conflict]:
        """What would run after something that stands behind it."""
        for nodes in self.new.lists:
            begun = [
                index for index, node in enumerate(nodes) if self.began(rows.get(node.key), node)
            ]
            if not begun:
                continue
            for index in range(begun[-1]):
                if index not in begun:
                    after = nodes[begun[-1]].path
                    yield Conflict(
                        nodes[index].path, f"it is new and stands before {after}, which has begun"
                    )

    def began(self, row: Data | None, node: Node) -> bool:
        return row is not None and row["node"] == node.address and _began(row)

    def undoing(self, row: Data) -> Iterator[Conflict]:
        """What is wrong with an act that may have to be undone."""
        old, new = self.old.places[row["node"]], self.new.places.get(row["node"])
        assert old.undo is not None
        if new is None or new.undo is None:
            yield Conflict(
                row["path"], f"it may have to be undone, and {self.there} does not say how"
            )
            return
        ways = [one.compensates for one in (old, new) if isinstance(one, WorkflowNode)]
        if len(set(ways)) > 1 and isinstance(new, WorkflowNode):
            how = "by its `compensate`" if new.compensates else "by the child itself"
            yield Conflict(row["path"], f"it may have to be undone, in {self.there} {how}")
        names = set(new.undo.names) - set(old.undo.names) - {"input", "workflow"}
        missing = [
            *sorted(names),
            *(f"vars.{v}" for v in new.undo.variables if v not in row["vars"]),
        ]
        if missing:
            what = f"`{missing[0]}`, which was not noted when it was done"
            yield Conflict(row["path"], f"its `compensate` in {self.there} reads {what}")

    def untouched(self, row: Data, rows: Data) -> bool:
        """Whether an open step has done nothing: it may as well begin anew."""
        inner = [rows[key] for key in self.inside(row) if key in rows]
        return all(map(self.idle, (row, *inner)))

    def idle(self, row: Data) -> bool:
        """Whether a step itself has done nothing that has to be kept."""
        held = row.get("held", {})
        return not (
            ("started" in row and "ended" in row)
            or row.get("acts")
            or row["path"] in self.registered
            or any(name in held for name in ("index", "case"))
            or held.get("outputs", {}).get("data")
            or held.get("taken", {}).get("list")
            or ("items" in held and "join" in held)
        )

    def take_out(self, row: Data, rows: Data) -> None:
        """Lets a step begin anew."""
        for key in (self.old.places[row["node"]].key, *self.inside(row)):
            rows.pop(key, None)

    def inside(self, row: Data) -> list[str]:
        return list(self.old.places[row["node"]].beside())


def _began(row: Data) -> bool:
    return "started" in row or "ended" in row


def _place(node: Node) -> tuple[Any, ...]:
    return (node.path, node.key, node.part, node.owner.address if node.owner else None)


def _runs(node: Node) -> str | None:
    """What a step runs that is not a part of the definition."""
    if isinstance(node, ActivityNode):
        return node.activity
    return node.workflow if isinstance(node, WorkflowNode) else None


def _a(node: Node) -> str:
    return f"{'an' if node.kind[0] in 'aeiou' else 'a'} `{node.kind}`"
