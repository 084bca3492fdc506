"""Steps that act in the world, and register themselves for undoing when they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.model.common import StepBase
from interpreter.errors import Fault, StepError
from interpreter.nodes import Node, Place
from interpreter.saga import Entry
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ActingNode"]


class ActingNode(Node):
    """An act: it stands in the saga log from before it is sent."""

    registers: ClassVar[bool] = True

    def __init__(
        self, step: StepBase, place: Place, compiler: Compiler, owner: Node | None
    ) -> None:
        super().__init__(step, place, compiler, owner)
        self.compensates = self.undo is not None
        """Whether the step says itself how it is undone."""

    def registered(self, act: Act, rec: Rec, arguments: Any, entry: Entry | None) -> Entry | None:
        """The act's entry in the saga log; the one that is there, where it is tried again."""
        if self.undo is None or not self.compensates:
            return None
        if entry is None:
            entry = rec.keep("entry", Entry(self, self.undo, act, rec.path, arguments))
            if not self.undo.late:
                act.group.members.append(entry)
        entry.status = "registered"
        return entry

    @staticmethod
    def refused(entry: Entry | None, fault: Fault) -> Entry | None:
        """What becomes of the entry where a worker refused the act: mostly it never ran."""
        if entry is None or fault.ran:
            if entry is not None:
                entry.status = "failed"
                entry.error = StepError(fault.type, fault.message).data()
            return entry
        entry.group.remove(entry)
        return None

    @staticmethod
    def completed(act: Act, entry: Entry | None, output: Any) -> None:
        """Notes in the saga log that the act completed."""
        if entry is not None:
            entry.status = "completed"
            entry.output = output
            if entry.undo.late:
                act.group.members.append(entry)
