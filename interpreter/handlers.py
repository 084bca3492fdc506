"""Handlers: the steps that run when a signal or an update arrives, and what queries are asked.

A run whose definition has none knows nothing of this module. The others run their main flow
inside `Handlers.around`. Each message that is taken runs in a lane of its own, beside the main
flow: it sees the steps and variables of the definition, and what it does is registered where the
main flow's acts are. `#` and a number tell the runs of a handler apart: `add_item#7.record`.

A signal's handler that fails ends the run, as a branch of a `parallel` would; an update's fails
the update alone. The main flow has ended when nothing of all that runs any more.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from temporalio.exceptions import ApplicationError

from dsl.diagnostics import did_you_mean
from dsl.expressions import ExpressionError
from dsl.model.definition import Definition, Signal, Update
from dsl.model.inputs import check_part
from dsl.steps import DoStep
from interpreter.errors import Fault, Leaving, StepError, legible
from interpreter.messages import Early, PayloadType
from interpreter.nodes import Node, Place, sequence
from interpreter.payloads import payload
from interpreter.saga import unwind
from interpreter.scope import Act, Rec, Stop, Stopped, Token

if TYPE_CHECKING:
    from interpreter.execution import Execution
    from interpreter.program import Compiler
    from interpreter.steps import RootNode

__all__ = [
    "REFUSALS",
    "HandlerNode",
    "Handlers",
    "SignalNode",
    "UpdateNode",
    "message_nodes",
    "refusal",
    "unknown_update",
]

REFUSALS = ("UnknownUpdate", "InvalidPayload", "Rejected", "ExpressionFailed", "Ending")
"""The types of errors of updates that are not taken."""
_SHOWN = 10
"""How many runs of handlers that ended are kept to be shown."""
_KEY = "#"
_ENDING = "the run is ending"


class HandlerNode(Node):
    """A handler: a block that runs anew for each message.

    Args:
        name: The name of the message.
        model: What the definition says of it.
        compiler: Compiles what is inside.
        root: The definition.
    """

    what: ClassVar[str] = "handler"

    def __init__(
        self, name: str, model: Signal | Update, compiler: Compiler, root: RootNode
    ) -> None:
        own = {"output"} & model.model_fields_set
        block = DoStep.model_construct(own, do=[], **{one: getattr(model, one) for one in own})
        super().__init__(block, Place(_KEY, "", ".", 0), compiler, root)
        self.name = name
        self.address = f"/{self.kind}/{name}"
        self.description = model.description
        first = len(compiler.all)
        self.body = compiler.steps(model.do, self)
        self.within = tuple(compiler.all[first:])

    async def run(self, act: Act, rec: Rec) -> Any:
        return await sequence(self.body, act)


class SignalNode(HandlerNode):
    """The handler of a signal."""

    kind: ClassVar[str] = "signal"


class UpdateNode(HandlerNode):
    """The handler of an update, and what the update must keep to."""

    kind: ClassVar[str] = "update"

    def __init__(self, name: str, model: Update, compiler: Compiler, root: RootNode) -> None:
        super().__init__(name, model, compiler, root)
        self.schema = model.payload
        self.type = PayloadType(model.payload)
        self.rules = tuple(
            (compiler.known_expression(rule.check), compiler.template(rule.message))
            for rule in model.validate_
        )
        self.plain = False  # its answer is looked at

    async def _timed(self, act: Act, rec: Rec) -> Any:
        output = await super()._timed(act, rec)
        while True:
            try:
                budget = act.execution.program.budget
                sent = payload(output, "the answer", budget.largest)
                await act.execution.carry(act, rec, budget.sent([sent]))
                return output
            except Fault as fault:
                await act.execution.suspend(act, rec, fault)

    def check(self, act: Act) -> None:
        """Whether an update may come in. Changes nothing.

        Args:
            act: What its rules see, `payload` among it.

        Raises:
            ApplicationError: It may not.
        """
        given = act.lookup("payload")
        if not self.type.fits(given):
            raise refusal(_misfit(self.schema or {}, given), "InvalidPayload")
        for rule, message in self.rules:
            try:
                kept = rule.evaluate(act)
                said = None if kept is True else message.evaluate(act)
            except ExpressionError as error:
                text = f"a rule of `{self.name}` cannot be evaluated: {error}"
                raise refusal(text, "ExpressionFailed") from None
            if kept is not True and kept is not False:
                text = f"`{rule.source}` must be true or false, is {kept!r:.60}"
                raise refusal(text, "ExpressionFailed")
            if kept is False:
                raise refusal(said if isinstance(said, str) else json.dumps(said), "Rejected")


def message_nodes(
    definition: Definition, compiler: Compiler, root: RootNode
) -> tuple[dict[str, SignalNode], dict[str, UpdateNode]]:
    """The handlers of a definition, by the names of their signals and updates."""
    signals: dict[str, SignalNode] = {}
    updates: dict[str, UpdateNode] = {}
    for name, signal in definition.signals.items():
        if signal.do:
            with compiler.block(None):
                signals[name] = SignalNode(name, signal, compiler, root)
    for name, update in definition.updates.items():
        with compiler.block(None):
            updates[name] = UpdateNode(name, update, compiler, root)
    return signals, updates


def refusal(message: str, type: str) -> ApplicationError:
    """Why an update is not taken."""
    return ApplicationError(legible(message), type=type, non_retryable=True)


def unknown_update(name: str, known: dict[str, UpdateNode]) -> ApplicationError:
    """That there is no such update."""
    there = ", ".join(f"`{one}`" for one in known)
    hint = did_you_mean(name, known) or (f"there are {there}" if known else "there are none")
    return refusal(f"there is no update `{name[:100]}`; {hint}", "UnknownUpdate")


def _misfit(schema: dict[str, Any], given: Any) -> str:
    try:
        lines = check_part(schema, schema, given, "payload")
    except RecursionError:
        lines = []
    return "; ".join(lines) or "the payload is not what was declared"


class Handlers:
    """The messages of a run that have handlers, and what queries see.

    Args:
        execution: The run.
        early: Messages that came before the definition was known, in the order of arrival.
    """

    def __init__(self, execution: Execution, early: list[Early]) -> None:
        self._execution = execution
        self._early = early
        self._act: Act | None = None
        self._main: Token | None = None
        self.count = 0  # how many messages have been handled
        self._running: dict[Act, HandlerNode] = {}
        self.past: deque[tuple[Act, HandlerNode]] = deque(maxlen=_SHOWN)
        """The last ones that ended."""
        self._error: StepError | None = None
        self._closed = False
        self.broken: str | None = None
        """The first run of a signal's handler that did not end well: its path."""

    @property
    def opened(self) -> bool:
        """Whether the main flow has begun: what comes before that waits for it."""
        return self._act is not None or self._closed

    @property
    def ending(self) -> bool:
        """Whether no more handlers are begun."""
        stopped = self._act is not None and self._act.token.stop is not None
        return self._closed or stopped or self._error is not None

    @property
    def busy(self) -> bool:
        """Whether a handler runs, or is about to."""
        return bool(self._running or self._early)

    def shown(self) -> Iterator[tuple[HandlerNode, Rec, Act]]:
        """The handlers that run, and the last ones that ended."""
        for act, node in (*self.past, *self._running.items()):
            rec = act.recs.get(_KEY)
            if rec is not None:
                yield node, rec, act

    def seen(self, names: dict[str, Any] | None = None) -> Act | None:
        """What a query sees, or the rule of an update; None before the main flow began."""
        return None if self._act is None else self._act.inner(names=names)

    async def around(self, act: Act, rec: Rec, body: Callable[[Act, Rec], Awaitable[Any]]) -> Any:
        """Runs the main flow, and handlers beside it, until all of them have ended.

        Raises:
            StepError: the first error in time, of the main flow or of a signal's handler.
            Stopped: if the run was cancelled, or its time is over.
            Leaving: if the main flow was left by a `return`.
        """
        self._act, self._main = act, Token(act.token)
        if self._early:
            early, self._early = self._early, []
            for one in early:
                self._begin(one)
            await asyncio.sleep(0)  # what came first begins first
        output: Any = None
        ending: StepError | Stopped | Leaving | None = None
        try:
            output = await body(act.inner(token=self._main), rec)
        except (StepError, Stopped, Leaving) as raised:
            ending = raised
        if ending is None or isinstance(ending, Leaving):
            try:
                await self._all_ended(act, rec)
            except Stopped as stopped:
                ending = stopped
        self._closed = True
        self._main.close()
        if self._running:
            await self._settled(act, rec)
        if self._error is not None:
            act.token.check()
            raise self._error
        if ending is not None:
            raise ending
        return output

    def _begin(self, early: Early) -> None:
        """Lets a message go on that had to wait for the main flow."""
        if early.waiter is not None:
            early.waiter.set_result(None)
        else:
            self._execution.spawn(lambda: self._signal(early.name, early.payload))

    async def _all_ended(self, act: Act, rec: Rec) -> None:
        """Waits for the handlers that run; others may begin meanwhile."""
        execution = self._execution
        while self._running and self._error is None:
            await execution.woken(act, rec, [("handlers",)], rec.status)
            if not self._running:
                await execution.all_ended(act, rec)

    async def _settled(self, act: Act, rec: Rec) -> None:
        """Stops the handlers that run, and waits until they settled."""
        for one in self._running:
            one.token.cancel("sibling")
        while self._running:
            shielded = act.inner(token=Token(None))
            await self._execution.woken(shielded, rec, [("handlers",)], rec.status)

    def end(self) -> None:
        """Turns away what still waits for the main flow: the run has ended without it."""
        self._closed = True
        early, self._early = self._early, []
        for one in early:
            if one.waiter is not None:
                one.waiter.set_exception(refusal(_ENDING, "Ending"))
            else:
                self._execution.mailbox.refuse(one.name, _ENDING)

    # Messages.

    async def signalled(self, name: str, payload: Any) -> None:
        """Runs the handler of a signal."""
        if not self.opened:
            self._early.append(Early(name, payload))
            return
        await self._execution.guarded(lambda: self._signal(name, payload))

    async def _signal(self, name: str, payload: Any) -> None:
        if self.ending:
            self._execution.mailbox.refuse(name, _ENDING)
            return
        ending, _ = await self._run(self._execution.program.handlers[name], payload)
        if isinstance(ending, StepError) and not self.ending:
            assert self._main is not None
            self._error = ending
            for token in (self._main, *(act.token for act in self._running)):
                token.cancel("sibling")
        self._execution.wake(("handlers",))

    def waiter(self) -> asyncio.Future[None]:
        """What an update waits for that came before the main flow began."""
        early = Early("", None, self._execution.future())
        self._early.append(early)
        assert early.waiter is not None
        return early.waiter

    def check(self, name: str, payload: Any) -> None:
        """Whether an update may come in. Changes nothing.

        Raises:
            ApplicationError: It may not.
        """
        node = self._execution.program.updates.get(name)
        if node is None:
            raise unknown_update(name, self._execution.program.updates)
        act = self.seen({"payload": payload})
        if act is None or self.ending:
            raise refusal(_ENDING, "Ending")
        node.check(act)

    async def update(self, name: str, payload: Any) -> Any:
        """Runs the handler of an update; gives its answer.

        Raises:
            ApplicationError: of the type of the error that left the handler.
        """
        ending, output = await self._run(self._execution.program.updates[name], payload)
        self._execution.wake(("handlers",))
        if ending is None:
            return output
        error = _stopped(ending.stop) if isinstance(ending, Stopped) else ending
        details = () if error.details is None else (error.details,)
        raise ApplicationError(error.message, *details, type=error.type, non_retryable=True)

    async def _run(self, node: HandlerNode, given: Any) -> tuple[StepError | Stopped | None, Any]:
        """Runs a handler; gives how it ended, and its output."""
        outside = self._act
        assert outside is not None
        self.count += 1
        self._execution.reached()
        path = f"{node.name}#{self.count}"
        token = Token(outside.token)
        alone = isinstance(node, UpdateNode)
        # What an update did is undone by itself where it fails.
        group = outside.group.open() if alone else outside.group
        act = Act(self._execution, outside, {}, path, token, group, {"payload": given})
        self._running[act] = node
        output: Any = None
        ending: StepError | Stopped | None = None
        try:
            output = await node.execute(act)
            token.check()  # the last act may have completed although the run was stopped
        except (StepError, Stopped) as raised:
            ending = raised
            if not alone and self.broken is None:
                self.broken = path
        if alone and isinstance(ending, StepError) and token.stop is None:
            await unwind(act, act.recs[_KEY], node.undo_limit, ending.data())
        if alone and not group.members:
            outside.group.remove(group)
        if alone and isinstance(ending, StepError) and ending.details is not None:
            size = len(payload(ending.details, "the details").payload.data)
            shielded = outside.inner(token=Token(None))
            await self._execution.carry(shielded, self._execution.rec, size)
        token.close()
        del self._running[act]
        self.past.append((act, node))
        self._execution.took()
        return ending, output


def _stopped(stop: Stop) -> StepError:
    """What the caller of an update is told that was stopped with its run."""
    match stop.kind:
        case "timeout":
            return stop.error()
        case "cancel":
            return StepError("Cancelled", "the run was cancelled")
        case _:
            return StepError("Cancelled", "the run failed")
