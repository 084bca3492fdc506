"""Scopes of a run: cancellation tokens, journal records, and activations.

Cancellation is a token of ours, never asyncio's. `Token.cancel` marks a whole subtree at once
and wakes what waits in it; a leaf that was stopped raises `Stopped`, which travels outward to
the scope the stop was aimed at. So cancelling is synchronous and deterministic, and a task
never dies with an act of which nobody knows how it ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio import workflow

from interpreter.errors import StepError, timeout

if TYPE_CHECKING:
    from interpreter.execution import Execution
    from interpreter.nodes import Node
    from interpreter.saga import Group

__all__ = ["NOTHING", "Act", "Rec", "Stop", "Stopped", "Token", "has_result"]


T = TypeVar("T")

NOTHING: Any = object()
"""The output of a step that has none."""
_SHOWN = 10
"""How many iterations of a loop that ended are kept to be shown."""


class Stop:
    """Why a scope was stopped.

    Args:
        kind: `cancel` of the run, `timeout` of a step or of the definition, `sibling` failed.
        target: The scope it was aimed at: everything inside is stopped.
        what: For a timeout, what was too slow: `step` or `definition`.
    """

    __slots__ = ("kind", "target", "what")

    def __init__(self, kind: str, target: Token, what: str = "") -> None:
        self.kind = kind
        self.target = target
        self.what = what

    def error(self) -> StepError:
        """It as an error, for those who ask how a step ended."""
        if self.kind == "timeout":
            return timeout(self.what, f"the {self.what} did not end in time")
        return StepError("Cancelled", "the step was cancelled")


class Stopped(Exception):
    """A stop on its way to its target."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.kind)
        self.stop = stop


class Token:
    """A scope that can be cancelled as a whole.

    At any moment at most one leaf waits directly in a scope, for what runs at the same time
    runs in scopes of its own: so one place for a waker is enough.

    Args:
        parent: The scope round it; None for a run, and for what is shielded.
        deadline: When undoing has to be over, in seconds since 1970. Inherited.
    """

    __slots__ = ("children", "deadline", "parent", "stop", "wake")

    def __init__(self, parent: Token | None, deadline: float | None = None) -> None:
        self.parent = parent
        self.deadline = parent.deadline if deadline is None and parent is not None else deadline
        self.children: dict[Token, None] = {}
        self.stop: Stop | None = None
        self.wake: Callable[[], object] | None = None
        if parent is not None:
            parent.children[self] = None
            self.stop = parent.stop

    def cancel(self, kind: str, what: str = "") -> None:
        """Stops the scope, unless it was stopped already, by itself or from outside."""
        if self.stop is None:
            self._mark(Stop(kind, self, what))

    def _mark(self, stop: Stop) -> None:
        self.stop = stop  # an outer stop overrides an inner one
        if self.wake is not None:
            self.wake()
        for child in tuple(self.children):
            child._mark(stop)

    def stopping(self) -> bool:
        """Whether it or anything in it was stopped and has not ended."""
        return self.stop is not None or any(child.stopping() for child in self.children)

    def check(self) -> None:
        """The gate before whatever starts anew.

        Raises:
            Stopped: if the scope was stopped.
        """
        if self.stop is not None:
            raise Stopped(self.stop)

    def close(self) -> None:
        """Takes an ended scope out of the one round it."""
        if self.parent is not None:
            self.parent.children.pop(self, None)


class Rec:
    """The journal's record of a step.

    An open step keeps in `held` what it cannot work out again: when it rings, which iteration it
    is at, its groups of the saga log. It is all that a checkpoint needs to go on from there.
    """

    # Where they begin is the same for all; a step changes few of them.
    status = "pending"
    output: Any = NOTHING
    error: dict[str, Any] | None = None
    fault: str | None = None
    started: float | None = None
    ended: float | None = None
    acts: dict[int, Act] | None = None  # a loop's iterations that are open
    past: deque[tuple[int, Act]] | None = None  # its last ones that ended, to be shown
    attempt = 1
    held: dict[str, Any] | None = None
    child: str | None = None  # the id of the workflow that it started
    resumed = False  # it comes from a checkpoint, and the walk has not come to it yet

    def __init__(self, node: Node, path: str) -> None:
        self.node = node
        self.path = path

    @property
    def tried(self) -> str:
        """The path of its current try: what stands before those of its iterations."""
        return f"{self.path}~{self.attempt}" if self.attempt > 1 else self.path

    def complete(self, output: Any) -> None:
        """Notes that the step ended well, by itself or by a `catch`."""
        if self.status != "caught":
            self.status = "completed"
        self.output = output
        if self.held is not None:
            self.held = None

    # What an open step keeps. See interpreter.checkpoint for what may be kept.

    def keep(self, name: str, value: T) -> T:
        """Keeps something under a name."""
        if self.held is None:
            self.held = {}
        self.held[name] = value
        return value

    def kept(self, name: str, default: Any = None) -> Any:
        """What is kept under a name."""
        return default if self.held is None else self.held.get(name, default)

    def keeps(self, name: str) -> bool:
        """Whether anything is kept under a name."""
        return self.held is not None and name in self.held

    def release(self, *names: str) -> None:
        """Keeps something no longer."""
        if self.held is not None:
            for name in names:
                self.held.pop(name, None)

    def group(self, name: str, outside: Group, parallel: bool = False, limit: int = 0) -> Group:
        """The step's group in the saga log, opened where it has none of that name yet."""
        group: Group | None = self.kept(name)
        if group is None:
            group = self.keep(name, outside.open(parallel, limit))
        return group

    def close(self, index: int) -> None:
        """Notes that an iteration ended."""
        if self.acts is None:
            return
        self.show([(index, self.acts.pop(index))])

    def show(self, iterations: Iterable[tuple[int, Act]]) -> None:
        """Keeps iterations that ended to be shown: the last ones."""
        if self.past is None:
            self.past = deque(maxlen=_SHOWN)
        self.past.extend(iterations)


class Act:
    """An activation: what a step sees, and where its records, acts and stops belong.

    A block that needs something of its own (names, variables, a scope to cancel, a place in
    the saga log) opens an act inside the one round it; the rest is shared.

    Args:
        execution: The run.
        parent: The act round it.
        recs: Records by the steps' keys.
        prefix: What stands before the paths of its steps: `ship_all[3].`.
        token: The scope its steps run in.
        group: Where its acts are registered for undoing.
        names: Names of its own, such as `item` and `error`.
        variables: Variables of its own.
    """

    __slots__ = ("execution", "group", "names", "parent", "prefix", "recs", "token", "variables")

    def __init__(
        self,
        execution: Execution,
        parent: Act | None,
        recs: dict[str, Rec],
        prefix: str,
        token: Token,
        group: Group,
        names: dict[str, Any] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        self.execution = execution
        self.parent = parent
        self.recs = recs
        self.prefix = prefix
        self.token = token
        self.group = group
        self.names = names
        self.variables = variables

    def inner(
        self,
        *,
        token: Token | None = None,
        group: Group | None = None,
        names: dict[str, Any] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> Act:
        """An act for a block: the same steps are seen, the same prefix stands before paths."""
        return Act(
            self.execution,
            self,
            self.recs,
            self.prefix,
            token or self.token,
            group or self.group,
            names,
            variables,
        )

    def iteration(
        self,
        rec: Rec,
        index: int,
        names: dict[str, Any],
        variables: dict[str, Any] | None = None,
    ) -> Act:
        """An act for an iteration: what is done in it is seen only there."""
        if rec.acts is not None and index in rec.acts:  # it was open when the run went on as new
            act = rec.acts[index]
            act.parent, act.token = self, self.token
            # A redrive brings no groups.
            if not self.group.parallel or act.group not in self.group.members:
                act.group = self._for_iteration()
            return act
        act = Act(
            self.execution,
            self,
            {},
            f"{rec.tried}[{index}].",
            self.token,
            self._for_iteration(),
            names,
            variables,
        )
        if rec.acts is None:
            rec.acts = {}
        rec.acts[index] = act
        return act

    def _for_iteration(self) -> Group:
        # Where the steps of the loop are undone at the same time, an iteration is one of them.
        return self.group.open() if self.group.parallel else self.group

    def home(self, id: str) -> dict[str, Rec] | None:
        """The records among which that of a step is, as seen from here."""
        act: Act | None = self
        while act is not None:
            if id in act.recs:
                return act.recs
            act = act.parent
        return None

    def within(self, recs: dict[str, Rec]) -> bool:
        """Whether this act is where `recs` are, or inside it."""
        act: Act | None = self
        while act is not None:
            if act.recs is recs:
                return True
            act = act.parent
        return False

    # What expressions read. See dsl.expressions.Context.

    def lookup(self, name: str) -> Any:
        """A name in scope."""
        act: Act | None = self
        while act is not None:
            if act.names is not None and name in act.names:
                return act.names[name]
            act = act.parent
        raise KeyError(name)

    def variable(self, name: str) -> Any:
        """The value of a variable."""
        return self.variables_of(name)[name]

    def variables_of(self, name: str) -> dict[str, Any]:
        """The variables among which `name` was declared."""
        act: Act | None = self
        while act is not None:
            if act.variables is not None and name in act.variables:
                return act.variables
            act = act.parent
        raise KeyError(name)

    def step(self, id: str, field: str) -> Any:
        """`output`, `status` or `error` of a step.

        Raises:
            LookupError: if it has no output.
        """
        rec = self.record(id)
        if field == "output":
            if rec is not None and rec.output is not NOTHING:
                return rec.output
            raise LookupError(f"step `{id}` has no output: it is {self._status(id, rec)}")
        if field == "status":
            return self._status(id, rec)
        return None if rec is None else rec.error

    def record(self, id: str) -> Rec | None:
        """The record of a step, if it began."""
        act: Act | None = self
        recs: dict[str, Rec] | None = None
        while act is not None:
            if act.recs is not recs:
                recs = act.recs
                rec = recs.get(id)
                if rec is not None:
                    return rec
            act = act.parent
        return None

    def _status(self, id: str, rec: Rec | None) -> str:
        if rec is not None:
            return rec.status
        # It never began: skipped if a block round it ended or was skipped, else still to come.
        node = self.execution.program.nodes[id].owner
        while node is not None:
            owner = self.record(node.key)
            if owner is not None:
                return "pending" if owner.status in ("pending", "running") else "skipped"
            node = node.owner
        return "pending"

    def now(self) -> str:
        """The workflow's time, RFC 3339."""
        return workflow.now().isoformat().replace("+00:00", "Z")

    def uuid(self) -> str:
        """From the workflow's random source."""
        return str(workflow.uuid4())


def has_result(
    handle: workflow.ActivityHandle[Any] | workflow.ChildWorkflowHandle[Any, Any],
) -> bool:
    """Whether the result of what runs is here, although nobody has seen it yet."""
    # The SDK has no public way to ask; tests/interpreter/test_runs.py pins this one.
    return handle.done() or handle._result_fut.done()  # pyright: ignore
