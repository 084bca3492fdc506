"""The language as a small executable semantics, written from the rules of compensation.

A flow is one thread of a run. `_step` is what every step is, from the outside in: `_block` (its
variables, its own `compensate`, `pivot`), `_edge` (`catch`, `finally`), `_timed`, `_tried`, and
what its kind does. Numbers in comments are those of `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, cast

from dsl.durations import parse_duration
from dsl.expressions import ExpressionError, MissingError, parse, parse_template
from dsl.model.common import BodyStep, Catch, Compensation, Retry, StepBase
from dsl.model.definition import Definition
from dsl.model.joins import JoinStep
from dsl.steps import (
    ActivityStep,
    BreakStep,
    ContinueStep,
    DoStep,
    ForeachStep,
    ParallelStep,
    RaiseStep,
    ReturnStep,
    RollbackStep,
    SetStep,
    SleepStep,
    SwitchStep,
    UntilStep,
    ValueStep,
    WhileStep,
)
from interpreter.testing.log import Entry, Group
from interpreter.testing.observation import Observation
from interpreter.testing.rules import Unsupported, Violation
from interpreter.testing.turns import Flow, Scope, Stopped, Turns

__all__ = ["Env", "check"]

_MOST_ORDERS = 300
"""How many orders of what happened at the same time are tried."""

Inside = Callable[["Env"], Flow]


def check(definition: Definition, observation: Observation) -> list[Violation]:
    """Whether a run did what its definition asks for.

    Args:
        definition: The definition, as `dsl.loader` gives it.
        observation: What is known of the run.

    Returns:
        What was wrong in the first turn that was; nothing where all was right.

    Raises:
        Unsupported: if the model does not know something in the definition.
    """
    orders: list[tuple[int, ...]] = [()]
    best: tuple[int, list[Violation]] = (-1, [])
    for tried in range(_MOST_ORDERS):
        if tried == len(orders):
            break
        model = _Model(definition, observation, orders[tried])
        found = model.check()
        if not found:
            return []
        if model.turns.turn > best[0]:
            best = (model.turns.turn, found)
        # Those that differ in one decision more, the last decision first.
        picked = model.turns.picked
        for place in range(len(picked) - 1, len(orders[tried]) - 1, -1):
            before = tuple(chosen for chosen, _ in picked[:place])
            orders += [(*before, other) for other in range(1, picked[place][1])]
    return best[1]


class Failed(Exception):
    """An error on its way outward."""

    def __init__(self, type: str, more: dict[str, Any] | None = None, final: bool = False) -> None:
        super().__init__(type)
        self.data = {"type": type, "message": "", "details": None, "step": None, **(more or {})}
        self.final = final

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.data["type"])


class Left(Exception):
    """A jump on its way outward: `return`, `break` or `continue`."""

    def __init__(self, kind: str, value: Any = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.value = value


@dataclass(slots=True)
class Record:
    """What `steps.<id>` reads."""

    status: str = "pending"
    error: dict[str, Any] | None = None
    output: Any = None


@dataclass(frozen=True, slots=True)
class Env:
    """Where a step is, and what it sees.

    Args:
        scope: What it is stopped with.
        group: Where it is registered.
        names: What expressions see.
        variables: The variables of the blocks round it, the innermost last.
        records: The steps of the activations round it, the innermost last.
        prefix: What stands before the paths of its activation.
        ids: What stands before ids.
        place: Where it is in its activation; before the kinds of steps without an id.
        trial: Its path, and which try of it this is.
        undoing: What `compensation` of the blocks round it says.
        rule: The rule that wants its acts.
    """

    scope: Scope
    group: Group
    names: dict[str, Any]
    variables: tuple[dict[str, Any], ...] = ()
    records: tuple[dict[str, Record], ...] = ()
    prefix: str = ""
    ids: str = ""
    place: str = ""
    trial: str = ""
    undoing: Compensation = field(default_factory=Compensation.model_construct)
    rule: str = "flow"

    @property
    def path(self) -> str:
        """The path of the step."""
        return self.prefix + self.place

    # What expressions ask for.

    def lookup(self, name: str) -> Any:
        """A name."""
        return self.names[name]

    def variable(self, name: str) -> Any:
        """A variable."""
        return self.frame(name)[name]

    def frame(self, name: str) -> dict[str, Any]:
        """The variables that a variable is among."""
        for frame in reversed(self.variables):
            if name in frame:
                return frame
        raise KeyError(name)

    def step(self, id: str, field: str) -> Any:
        """A field of a step."""
        record = next((f[id] for f in reversed(self.records) if id in f), Record())
        if field == "output" and record.status not in ("completed", "caught"):
            raise LookupError(f"{id} has no output")
        return getattr(record, field)

    def now(self) -> str:
        """The time, which nobody knows."""
        raise Unsupported("now()")

    def uuid(self) -> str:
        """A random text, which nobody knows."""
        raise Unsupported("uuid()")

    def value(self, template: Any) -> Any:
        """The value of a template."""
        parsed, _ = parse_template(template)
        assert parsed is not None
        try:
            return parsed.evaluate(self)
        except ExpressionError as error:
            raise Unsupported(f"{self.path}: {error}") from None

    def holds(self, condition: str | None, *, missing: bool | None = None) -> bool:
        """Whether a condition is true. One that is not there is."""
        if condition is None:
            return True
        parsed, _ = parse(condition)
        assert parsed is not None
        try:
            value = parsed.evaluate(self)
        except ExpressionError as error:
            if isinstance(error, MissingError) and missing is not None:
                return missing
            raise Unsupported(f"{self.path}: {error}") from None
        if not isinstance(value, bool):
            raise Unsupported(f"{self.path}: {condition} is no truth value")
        return value


@dataclass(eq=False, slots=True)
class _Member:
    scope: Scope
    group: Group
    state: str = "open"  # won failed left stopped kept
    output: Any = None


@dataclass(eq=False, slots=True)
class _Race:
    """The members of a `parallel` or a `foreach`."""

    step: JoinStep
    env: Env
    group: Group
    bodies: Sequence[Inside]
    need: int
    limit: int
    members: list[_Member] = field(default_factory=list[_Member])
    closed: bool = False  # no more members begin
    cut: bool = False  # by a `break`: those that did not begin are not needed
    left: Left | None = None
    error: Failed | None = None

    def count(self, state: str) -> int:
        return sum(member.state == state for member in self.members)

    @property
    def everyone(self) -> bool:
        return self.step.join in (None, "all")

    @property
    def won(self) -> bool:
        return not self.lost and (self.cut or self.count("won") >= self.need)

    @property
    def lost(self) -> bool:
        return len(self.bodies) - self.count("failed") < self.need

    @property
    def settled(self) -> bool:
        done = self.closed or len(self.members) == len(self.bodies)
        stopped = self.env.scope.stopped() is not None
        return (done or stopped) and not self.count("open")

    @property
    def over(self) -> bool:
        """Whether the step may go on: its losers may run on."""
        return self.settled or (self.closed and self.won and self.step.losers == "finish")

    def close(self) -> None:
        self.closed = True
        for member in self.members:
            if member.state == "open":
                member.scope.stop("sibling")

    def ended(self, member: _Member, how: Failed | Left | Stopped | None) -> None:
        fast = self.step.on_error != "wait_all"
        decided = not self.everyone and self.count("won") >= self.need
        if decided and fast and self.step.losers == "finish" and not member.scope.reason:
            member.state = "kept"  # joins: what it did belongs to the block round the step
        elif member.scope.reason or isinstance(how, Stopped) or self.left is not None:
            member.state = "stopped"
        elif isinstance(how, Left):
            member.state = "left"
            self.left = how
            self.close()
        elif isinstance(how, Failed):
            member.state = "failed"
            self.error = self.error or how
            if self.lost and fast:
                self.close()
        else:
            member.state = "stopped" if decided else "won"
            if not self.everyone and fast and self.count("won") == self.need:
                self.closed = True
                if self.step.losers != "finish":
                    self.close()


@dataclass(slots=True)
class _Undoing:
    """An undoing as a whole: of which entries, why, and whether it was halted."""

    entries: list[Entry]
    error: dict[str, Any] | None
    rule: str
    halted: bool = False


class _Model:
    def __init__(
        self, definition: Definition, observation: Observation, picks: Sequence[int]
    ) -> None:
        self.definition = definition
        self.observation = observation
        self.turns = Turns(observation, picks)
        self.group = Group()
        self.saga: list[tuple[str, str, str]] = []
        self.undoings: list[_Undoing] = []
        self.behind: list[_Race] = []
        self.status = ""

    # What is right and wrong.

    def check(self) -> list[Violation]:
        self.turns.spawn(self._main())
        if found := self.turns.play(self._explain):
            return found
        if not self.status:
            open_acts = [path for path, act in self.turns.acts.items() if act.ended is None]
            rule = "8" if self.turns.root.reason else "4"
            what = f"while {', '.join(open_acts)} ran" if open_acts else "too early"
            return [Violation(rule, f"the run ended {what}")]
        found = list[Violation]()
        if self.status != self.observation.status:
            message = f"the status is {self.observation.status}, it has to be {self.status}"
            found.append(Violation("11", message))
        if sorted(self.saga) != sorted(self.observation.saga):
            message = f"the saga log is {self.observation.saga}, it has to be {self.saga}"
            found.append(Violation("11", message))
        return found

    def _explain(self, path: str) -> Violation:
        """What is wrong with an act that nobody wants."""
        if path in self.turns.acts:
            return Violation("12", f"{path} began a second time")
        act, is_undo, _ = path.rpartition("!undo")
        if not is_undo:
            undoing = any(not entry.gone for one in self.undoings for entry in one.entries)
            rule = "8" if self.turns.root.reason else "6" if undoing else "flow"
            return Violation(rule, f"{path} began, which nothing asks for")
        entries = [entry for entry in self.group.entries() if entry.path == act]
        if not entries:
            known = act in self.turns.acts
            why = "which is not registered" if known else "which never ran"
            return Violation("1" if known else "2", f"{path} began, of an act {why}")
        entry = entries[-1]
        if entry.gone:
            return Violation(entry.gone, f"{path} began, though nothing of it is left to undo")
        if not entry.settled:
            return Violation("4", f"{path} began while {act} was in flight")
        if any(entry in one.entries for one in self.undoings):
            return Violation("3", f"{path} began before its turn")
        if any(act.ended is None for act in self.turns.acts.values()):
            return Violation("4", f"{path} began before everything settled")
        return Violation("7", f"{path} began, which nothing asks for")

    # The definition.

    def _main(self) -> Flow:
        root = self.definition
        if root.on_fault == "fail":
            raise Unsupported("faults that are errors")
        names: dict[str, Any] = {"input": self.observation.input, "error": None}
        options = root.compensation or Compensation.model_construct()
        self.group.parallel = options.order == "parallel"
        env = Env(self.turns.root, self.group, names, ({},), ({},), undoing=options)
        env.variables[0].update(env.value(root.vars))

        def inside(env: Env) -> Flow:
            try:
                output = yield from self._sequence(env, root.steps, "")
            except Left:
                yield from self._finish(env)
                raise
            yield from self._finish(env)
            env.scope.check()  # 8
            return output

        record = Record()
        try:
            yield from self._edge(env, root, record, lambda env: self._timed(env, root, inside))
            status = "completed"
        except Left:
            status = "completed"
        except Stopped:
            status = "cancelled"
        except Failed:
            status = "failed"
        outcomes = [outcome for _, _, outcome in self.saga]
        if status != "completed" and "failed" in outcomes:  # 11
            status = "compensation_failed"
        elif status == "failed" and "compensated" in outcomes:
            status = "compensated"
        self.status = status

    def _finish(self, env: Env) -> Flow:
        """The definition waits for losers that run on."""

        def settled() -> bool:
            return all(race.settled for race in self.behind)

        yield lambda: settled() or env.scope.stopped() is not None
        if not settled():
            raise Stopped

    # Steps.

    def _sequence(self, env: Env, steps: Sequence[StepBase], part: str = ".") -> Flow:
        output = None
        for index, step in enumerate(steps):
            place = env.ids + step.id if step.id else f"{env.place}{part}{step.kind}[{index}]"
            output = yield from self._step(env, step, place)
        return output

    def _step(self, env: Env, step: StepBase, place: str) -> Flow:
        env.scope.check()
        record = env.records[-1][step.id or place] = Record()
        if not env.holds(step.if_):
            record.status = "skipped"
            return None
        record.status = "running"
        own = step.compensation if isinstance(step, BodyStep) else None
        env = replace(
            env,
            place=place,
            trial=env.prefix + place,
            group=env.group.open(step.id, own is not None and own.order == "parallel"),
            undoing=_merged(env.undoing, own),
        )
        try:
            record.output = yield from self._block(env, step, record)
        except Failed as error:
            if error.data["step"] is None:
                error.data["step"] = step.id
            record.status, record.error = "failed", error.data
            raise
        except Stopped:
            record.status = "cancelled"
            raise
        except Left:
            record.status = "completed"
            raise
        if record.status == "running":
            record.status = "completed"
        return record.output

    def _block(self, env: Env, step: StepBase, record: Record) -> Flow:
        if isinstance(step, BodyStep) and step.vars and not isinstance(step, ForeachStep):
            env = replace(env, variables=(*env.variables, dict(env.value(step.vars))))
        entry = None
        if step.compensate and not isinstance(step, ActivityStep):
            entry = self._entry(env, step)
        output = yield from self._edge(
            env,
            step,
            record,
            lambda env: self._timed(env, step, lambda env: self._tried(env, step, record)),
        )
        if record.status != "caught":
            if entry is not None:  # 5: it stands for its inside once it completed
                env.group.drop("5")
                entry.status, entry.output, entry.settled = "completed", output, True
                env.group.members.append(entry)
            if step.pivot:  # 10
                self.group.drop("10")
        return output

    def _edge(self, env: Env, step: StepBase | Definition, record: Record, inside: Inside) -> Flow:
        """6: the catch is chosen, the inside is undone, the catch runs, the finally runs."""
        top = isinstance(step, Definition)
        undoes = top or bool(step.finally_)
        rule = "7" if top else "6"
        pending: Failed | Stopped | Left | None = None
        output = None
        try:
            output = yield from inside(env)
        except Left as left:
            pending = left
        except Stopped as stopped:
            pending = stopped
            if undoes:
                yield from self._undo(env.group, None, "8")
        except Failed as error:
            pending = error
            seen = replace(env, names={**env.names, "error": error.data})
            index, clause = _matching(seen, step.catch, error)
            if clause is not None or undoes:
                yield from self._undo(env.group, error.data, rule)
            if clause is not None:
                pending = None
                try:
                    seen.scope.check()
                    output = yield from self._sequence(seen, clause.do, f"!catch[{index}].")
                    if clause.has("output"):
                        output = seen.value(clause.output)
                    if top:
                        yield from self._finish(seen)
                    record.status, record.error = "caught", error.data
                except (Failed, Stopped, Left) as again:
                    pending = again
                    if undoes and not isinstance(again, Left):
                        data = again.data if isinstance(again, Failed) else None
                        yield from self._undo(env.group, data, rule)
        if step.finally_:
            data = pending.data if isinstance(pending, Failed) else None
            names = {**env.names, "error": data, "status": _how(pending)}
            place = f"{env.place}!finally."
            shielded = replace(env, scope=Scope(None), names=names, ids=place)
            try:
                yield from self._sequence(shielded, step.finally_, "!finally.")
                if top:
                    yield from self._finish(shielded)
            except Failed as late:
                if pending is None or isinstance(pending, Left):
                    pending = late
                if top:
                    yield from self._undo(env.group, late.data, rule)
        if pending is not None:
            raise pending
        return output

    def _timed(self, env: Env, step: StepBase | Definition, inside: Inside) -> Flow:
        by_server = isinstance(step, ActivityStep) and not step.compensate
        if step.timeout is None or by_server:
            output = yield from inside(env)
        else:
            output = yield from self._in_time(env, inside)
        if step.has("output"):
            output = replace(env, names={**env.names, "result": output}).value(step.output)
        return output

    def _in_time(self, env: Env, inside: Inside) -> Flow:
        scope = Scope(env.scope)
        name = f"timeout of {env.path or 'definition'}"
        self.turns.deadlines[name] = scope
        ending: Failed | Stopped | None = None
        output = None
        try:
            output = yield from inside(replace(env, scope=scope))
        except (Failed, Stopped) as raised:
            ending = raised
        finally:
            del self.turns.deadlines[name]
        if scope.stopped() is scope:  # over it, it has timed out, however it ended
            kind = "step" if env.path else "definition"
            raise Failed("Timeout", {"details": {"kind": kind}})
        if ending is not None:
            raise ending
        return output

    def _tried(self, env: Env, step: StepBase, record: Record) -> Flow:
        retry = step.retry
        if retry is None or isinstance(step, ActivityStep):
            if retry is not None and retry.when is not None:
                raise Unsupported("retry.when on an activity")
            return (yield from self._kind(env, step))
        attempt = 1
        while True:
            group = env.group.open(step.id, env.group.parallel)
            inside = replace(env, group=group, names={**env.names, "attempt": attempt})
            if attempt > 1:  # another act
                trial = f"{env.path}~{attempt}"
                inside = replace(inside, prefix=f"{trial}.", trial=trial)
                if isinstance(step, BodyStep) and step.vars and env.variables:
                    env.variables[-1].update(
                        replace(env, variables=env.variables[:-1]).value(step.vars)
                    )
            try:
                return (yield from self._kind(inside, step))
            except Stopped:
                yield from self._undo(group, None, "8")
                raise
            except Failed as error:  # 6: it is an edge, whether it is tried again or not
                yield from self._undo(group, error.data, "6")
                seen = replace(env, names={**env.names, "error": error.data, "attempt": attempt})
                if not _again(seen, retry, error, attempt):
                    raise
            if _seconds(env, retry.initial_interval or "1s") > 0:
                name = f"before try {attempt + 1} of {env.path}"
                yield from self.turns.ring(name, env.scope)
            attempt += 1

    def _kind(self, env: Env, step: StepBase) -> Flow:
        match step:
            case ActivityStep():
                return (yield from self._activity(env, step))
            case DoStep():
                return (yield from self._sequence(env, step.do))
            case SwitchStep():
                for index, case in enumerate(step.switch):
                    if env.holds(case.when):
                        steps = case.do or case.else_
                        return (yield from self._sequence(env, steps, f".{index}."))
                return None
            case ParallelStep():
                return (yield from self._parallel(env, step))
            case ForeachStep():
                return (yield from self._foreach(env, step))
            case WhileStep() | UntilStep():
                return (yield from self._loop(env, step))
            case SleepStep():
                if _seconds(env, step.sleep) > 0:
                    yield from self.turns.ring(step.description or env.path, env.scope)
                return None
            case ValueStep():
                return env.value(step.value)
            case SetStep():
                values = env.value(step.set)
                for name, value in values.items():
                    env.frame(name)[name] = value
                return values
            case RaiseStep():
                return self._raise(env, step)
            case ReturnStep():
                raise Left("return", env.value(step.return_))
            case BreakStep():
                raise Left("break")
            case ContinueStep():
                raise Left("continue")
            case RollbackStep():
                return (yield from self._rollback(env, step))
            case _:
                raise Unsupported(step.kind)

    def _raise(self, env: Env, step: RaiseStep) -> None:
        error = env.value(step.raise_)
        if isinstance(error, dict):
            again = cast("dict[str, Any]", error)
            raise Failed(again["type"], again)
        raise Failed(
            error, {"message": env.value(step.message), "details": env.value(step.details)}
        )

    def _activity(self, env: Env, step: ActivityStep) -> Flow:
        if step.local or step.one_of:
            raise Unsupported("local activities and names that are expressions")
        late = env.undoing.register_ == "after"
        given = env.value(step.with_ if step.args is None else step.args)
        entry = self._entry(env, step, given) if step.compensate else None
        if entry is not None and not late:  # 1: registered before it is sent
            env.group.members.append(entry)
        settles = entry is not None  # 4
        ended = yield from self.turns.act(env.path, env.scope, env.rule, settles=settles)
        if ended is None:  # 2: it provably never ran
            if entry is not None:
                entry.gone = "2"
            raise Stopped
        stop = env.scope.stopped()
        if env.rule != "flow" and step.timeout is None and ended.outcome == "timed_out":
            if ended.error and ended.error["details"]["kind"] == "step":
                raise Unsupported("undoing that ran out of time")
        error = {**ended.error, "step": step.id} if ended.error else None
        if error is not None and str(error["type"]).startswith("dsl."):
            raise Unsupported(str(error["type"]))
        if entry is not None:
            own = step.timeout is not None and stop is env.scope
            entry.status = "timed_out" if own and ended.outcome == "cancelled" else ended.outcome
            entry.output, entry.error, entry.settled = ended.output, error, True
            if late and ended.outcome == "completed":
                env.group.members.append(entry)
        if ended.outcome == "completed":  # 2: even though it was cancelled
            return ended.output
        if stop is not None:
            raise Stopped
        raise Failed(str(error["type"]) if error else "Cancelled", error, ended.final)

    def _entry(self, env: Env, step: StepBase, input: Any = None) -> Entry:
        """What undoes a step, with what it sees frozen."""
        frozen = replace(env, variables=tuple(deepcopy(env.variables)))
        return Entry(env.path, list(step.compensate), frozen, input)

    # Loops and members.

    def _iteration(self, env: Env, index: int, names: dict[str, Any]) -> Env:
        prefix = f"{env.trial}[{index}]."
        records = (*env.records, dict[str, Record]())
        inner = replace(env, prefix=prefix, ids="", place="", records=records)
        return replace(inner, names={**env.names, **names}, group=env.group.open())

    def _loop(self, env: Env, step: WhileStep | UntilStep) -> Flow:
        output = None
        index = 0
        while not isinstance(step, WhileStep) or env.holds(step.while_):
            env.scope.check()
            if step.max_iterations is not None and index >= step.max_iterations:
                raise Failed("MaxIterations")
            inside = self._iteration(env, index, {step.index_as: index})
            try:
                output = yield from self._sequence(inside, step.do, "")
            except Left as left:
                if left.kind == "return":
                    raise
                output = None
                if left.kind == "break":
                    break
            if isinstance(step, UntilStep) and inside.holds(step.until):
                break
            index += 1
        return output

    def _foreach(self, env: Env, step: ForeachStep) -> Flow:
        items = env.value(
            f"${{ {step.foreach} }}" if isinstance(step.foreach, str) else step.foreach
        )

        def body(index: int) -> Inside:
            def run(member: Env) -> Flow:
                names = {step.as_: items[index], step.index_as: index}
                inside = self._iteration(member, index, names)
                inside = replace(inside, variables=(*env.variables, dict(inside.value(step.vars))))
                output = yield from self._sequence(inside, step.do, "")
                return inside.value(step.collect) if step.has("collect") else output

            return run

        tolerated = step.tolerated_failures or 0
        if isinstance(tolerated, str):
            tolerated = int(len(items) * float(tolerated.rstrip("%")) / 100)
        race = self._race(env, step, [body(i) for i in range(len(items))], 1, tolerated)
        yield from self._run(race)
        outputs = [m.output if m.state == "won" else None for m in race.members]
        return outputs + [None] * (len(items) - len(outputs))

    def _parallel(self, env: Env, step: ParallelStep) -> Flow:
        def body(name: str) -> Inside:
            return lambda member: self._sequence(member, step.parallel[name], f".{name}.")

        race = self._race(env, step, [body(n) for n in step.parallel], len(step.parallel), 0)
        yield from self._run(race)
        named = zip(step.parallel, race.members, strict=False)
        return {name: member.output for name, member in named if member.state == "won"}

    def _race(
        self, env: Env, step: JoinStep, bodies: list[Inside], together: int, tolerated: int
    ) -> _Race:
        need = max(0, len(bodies) - tolerated)
        if isinstance(step.join, int) or step.join == "any":
            need = 1 if step.join == "any" else int(step.join)
        group = env.group.open(step.id, parallel=True)  # 4: members are undone at the same time
        return _Race(step, env, group, bodies, need, step.concurrency or together)

    def _run(self, race: _Race) -> Flow:
        if race.need > len(race.bodies):
            raise Failed("JoinFailed")
        env, step = race.env, race.step
        own = step.compensation
        unlimited = own is not None and own.order == "parallel" and step.concurrency is None
        race.group.limit = None if unlimited else race.limit
        self._begin(race)
        yield lambda: race.over
        if not race.settled:  # joins: they belong to the run from now on
            self.behind.append(race)
            for member in race.members:
                member.scope.outer = self.turns.root
        if race.left is not None:
            yield from self._undo_members(race, "failed", "stopped")
            raise race.left
        env.scope.check()
        if not race.won:
            raise race.error or Failed("JoinFailed")
        yield from self._undo_members(race, "failed", "stopped")
        env.scope.check()

    def _begin(self, race: _Race) -> None:
        while (
            not race.closed
            and len(race.members) < len(race.bodies)
            and race.count("open") < race.limit
            and race.env.scope.stopped() is None
        ):
            member = _Member(Scope(race.env.scope), race.group.open())
            race.members.append(member)
            self.turns.spawn(self._member(race, member, race.bodies[len(race.members) - 1]))

    def _member(self, race: _Race, member: _Member, body: Inside) -> Flow:
        how: Failed | Left | Stopped | None = None
        if race.closed or member.scope.stopped() is not None:  # before it began
            member.state = "stopped"
            return
        try:
            member.output = yield from body(
                replace(race.env, scope=member.scope, group=member.group)
            )
        except Left as left:
            how = left if left.kind == "return" or not isinstance(race.step, ForeachStep) else None
            if how is None and left.kind == "break":
                race.closed = race.cut = True
        except (Failed, Stopped) as ending:
            how = ending
        race.ended(member, how)
        self._begin(race)

    def _undo_members(self, race: _Race, *states: str) -> Flow:
        """joins: what losers did is undone, after all have settled."""
        losers = Group(limit=race.group.limit, parallel=True)
        losers.members += [member.group for member in race.members if member.state in states]
        yield from self._undo(losers, None, "joins")

    # Undoing.

    def _rollback(self, env: Env, step: RollbackStep) -> Flow:
        def wanted(entry: Entry) -> bool:
            if step.rollback == "all":
                return True
            for id in step.rollback:
                home = next((f for f in reversed(env.records) if id in f), None)
                if id in entry.env.group.owners and any(f is home for f in entry.env.records):
                    return True
            return False

        yield from self._undo(self.group, None, "6", wanted)

    def _undo(
        self,
        group: Group,
        error: dict[str, Any] | None,
        rule: str,
        wanted: Callable[[Entry], bool] | None = None,
    ) -> Flow:
        """Undoes what was done in a scope, whatever comes meanwhile."""
        if wanted is None:  # losers that run on inside it are cancelled, and settle
            inside = [race for race in self.behind if group.contains(race.group)]
            for race in inside:
                race.close()
            yield lambda: all(race.settled for race in inside)
        entries = [entry for entry in group.entries() if entry.settled and not entry.gone]
        meant = [entry for entry in entries if wanted is None or wanted(entry)]
        elsewhere = [entry for entry in meant if entry.taken]
        undoing = _Undoing([entry for entry in meant if not entry.taken], error, rule)
        for entry in undoing.entries:
            entry.taken = True
        self.undoings.append(undoing)
        if elsewhere:  # others undo it already
            yield lambda: all(entry.gone for entry in elsewhere)
        yield from self._undo_member(group, undoing)
        self.undoings.remove(undoing)

    def _undo_member(self, member: Entry | Group, undoing: _Undoing) -> Flow:
        if isinstance(member, Entry):
            if member in undoing.entries and not member.gone:
                yield from self._undo_entry(member, undoing)
        elif not any(entry in undoing.entries for entry in member.entries()):
            return
        elif member.parallel:
            rest = list(reversed(member.members))
            lanes = min(member.limit or len(rest), len(rest))
            open_lanes = [lanes]

            def lane() -> Flow:
                while rest:
                    yield from self._undo_member(rest.pop(0), undoing)
                open_lanes[0] -= 1

            for _ in range(lanes):
                self.turns.spawn(lane())
            yield lambda: open_lanes[0] == 0
        else:
            for one in reversed(list(member.members)):  # 3
                yield from self._undo_member(one, undoing)

    def _undo_entry(self, entry: Entry, undoing: _Undoing) -> Flow:
        place = len(self.saga)
        self.saga.append((entry.path, entry.status, "skipped"))
        if undoing.halted:  # 9
            entry.gone = "9"
            return
        listed = len(entry.body) > 1 or entry.body[0].id is not None
        fields = ("status", "input", "output", "error")
        seen = {"step": {name: getattr(entry, name) for name in fields}, "error": undoing.error}
        records: dict[str, Record] = {}
        env = replace(
            entry.env,
            scope=Scope(None),  # 8
            group=Group(),
            names={**entry.env.names, **seen},
            records=(*entry.env.records, records),
            prefix=f"{entry.path}!undo{'.' if listed else ''}",
            ids="" if listed else ".",
            place="",
            rule=undoing.rule,
        )
        deadline = f"undoing {entry.path}"
        self.turns.deadlines[deadline] = env.scope
        outcome = "compensated"
        try:
            if listed:
                yield from self._sequence(env, entry.body, "")
            else:
                yield from self._step(env, entry.body[0], "")
        except Stopped:
            raise Unsupported("undoing that ran out of time") from None
        except Failed:
            outcome = "failed"
            if env.undoing.on_failure == "suspend":
                raise Unsupported("on_failure: suspend") from None
            undoing.halted = undoing.halted or env.undoing.on_failure == "halt"
        del self.turns.deadlines[deadline]
        if outcome == "compensated" and all(r.status == "skipped" for r in records.values()):
            outcome = "skipped"
        entry.gone = "12"
        self.saga[place] = (entry.path, entry.status, outcome)


def _merged(outer: Compensation, own: Compensation | None) -> Compensation:
    """`compensation` of a block: what it does not say but for the order, those round it do."""
    if own is None:
        return outer
    return Compensation.model_construct(
        register_=own.register_ or outer.register_, on_failure=own.on_failure or outer.on_failure
    )


def _matching(env: Env, clauses: Sequence[Catch], error: Failed) -> tuple[int, Catch | None]:
    for index, clause in enumerate(clauses):
        matches = not clause.errors or error.type in clause.errors
        if matches and env.holds(clause.when, missing=False):
            return index, clause
    return 0, None


def _again(env: Env, retry: Retry, error: Failed, attempt: int) -> bool:
    most = retry.maximum_attempts
    if isinstance(most, int) and attempt >= most:
        return False
    if error.final or error.type in retry.non_retryable_error_types:
        return False
    return env.holds(retry.when, missing=False)


def _how(pending: Failed | Stopped | Left | None) -> str:
    """`status` in a `finally`."""
    if isinstance(pending, Failed):
        return "timed_out" if pending.type == "Timeout" else "failed"
    return "cancelled" if isinstance(pending, Stopped) else "completed"


def _seconds(env: Env, duration: str) -> float:
    value = env.value(duration)
    return value if isinstance(value, int | float) else parse_duration(value) or 0.0
