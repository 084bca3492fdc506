"""Members that run at the same time, and how their ends become one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from interpreter.errors import Returning, StepError
from interpreter.lanes import in_lanes
from interpreter.saga import Group, unwind
from interpreter.scope import Act, Stopped, Token

__all__ = ["Join"]


class Join:
    """The members of a `parallel` or of a concurrent `foreach`.

    The first failure stops the others. All settle before the step ends: what they did is
    undone by the edge outside only after that, so that no act in flight is ever undone.

    Args:
        act: The act of the step.
        count: How many members.
        limit: How many run at the same time.
        body: Runs a member in an act of its own; gives its output.
    """

    def __init__(
        self, act: Act, count: int, limit: int, body: Callable[[int, Act], Awaitable[Any]]
    ) -> None:
        self.act = act
        self.limit = limit
        self.body = body
        self.outputs: list[Any] = [None] * count
        self.ending: StepError | Returning | None = None
        self.open: dict[int, tuple[Token, Group]] = {}
        self.group = act.group.open(parallel=True, limit=limit)
        self.losers = Group(parallel=True, limit=limit)

    async def run(self) -> list[Any]:
        """Runs the members; gives their outputs in order.

        Raises:
            StepError: the first failure in time.
            Stopped: if the step was stopped from outside.
            Returning: if a member returned.
        """
        await in_lanes(self.act.execution, len(self.outputs), self.limit, self._member)
        await unwind(self.act.execution, self.losers, None)
        if not self.group.members:
            self.act.group.remove(self.group)
        ending = self._ending()
        if isinstance(ending, Returning):
            raise ending
        self.act.token.check()
        if ending is not None:
            raise ending
        return self.outputs

    def _ending(self) -> StepError | Returning | None:
        return self.ending

    async def _member(self, index: int) -> None:
        if self.ending is not None or self.act.token.stop is not None:
            return
        token = Token(self.act.token)
        group = self.group.open()
        self.open[index] = (token, group)
        member = self.act.inner(token=token, group=group)
        try:
            self.outputs[index] = await self.body(index, member)
        except (StepError, Returning) as ending:
            if self.ending is None:
                self.ending = ending
                for other, (running, _) in self.open.items():
                    if other != index:
                        running.cancel("sibling")
        except Stopped:
            pass
        token.close()
        del self.open[index]
        lost = token.stop is not None and token.stop.target is token
        if lost and isinstance(self._ending(), Returning):
            # A `return` makes the others lose: they are undone, while what completed stays done.
            self.group.remove(group)
            self.losers.members.append(group)
        elif not group.members:
            self.group.remove(group)
