"""`rollback`: undo now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dsl.steps import RollbackStep
from interpreter.nodes import Node, Place
from interpreter.saga import Entry, unwind
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["RollbackNode"]


class RollbackNode(Node):
    """Undoes what was done."""

    kind: ClassVar[str] = "rollback"

    def __init__(self, step: RollbackStep, place: Place, compiler: Compiler, owner: Node) -> None:
        super().__init__(step, place, compiler, owner)
        self.targets = None if step.rollback == "all" else tuple(step.rollback)

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution

        def wanted(entry: Entry) -> bool:
            if entry.status == "registered":
                return False  # in flight in another branch: never undone before it settled
            return self.targets is None or any(_belongs(entry, id, act) for id in self.targets)

        await unwind(act, rec, self.undo_limit, None, execution.act.group, wanted)
        return None


def _belongs(entry: Entry, id: str, act: Act) -> bool:
    """Whether an entry is of a step that can be seen from `act`, or of one inside it."""
    home = act.home(id)
    if home is None:
        return False
    node: Node | None = entry.node
    while node is not None and node.id != id:
        node = node.owner
    return node is not None and entry.act.within(home)
