"""What a step is. Rules 1, 2, 5, 6 and 10, and the flow from step to step.

From the outside in: `_block` (its variables, its own `compensate`, `pivot`), `edge` (`catch`,
`finally`), `timed`, `_tried`, and what its kind does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from dsl.model.common import BodyStep, Catch, Compensation, Retry, StepBase
from dsl.model.definition import Definition
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
from interpreter.testing.env import Ending, Env, Failed, Left, Record
from interpreter.testing.log import Entry
from interpreter.testing.members import Inside, Members
from interpreter.testing.rules import Unsupported
from interpreter.testing.turns import Flow, Scope, Stopped

__all__ = ["Steps"]


class Steps(Members):
    """Runs steps."""

    def sequence(self, env: Env, steps: Sequence[StepBase], part: str) -> Flow:
        """Runs steps one after the other; gives the last one's output.

        Args:
            env: Where they are.
            steps: The steps.
            part: The part of the block that they are, as it stands in paths without ids.
        """
        output = None
        for index, step in enumerate(steps):
            place = env.ids + step.id if step.id else f"{env.place}{part}{step.kind}[{index}]"
            output = yield from self.step(env, step, place)
        return output

    def step(self, env: Env, step: StepBase, place: str) -> Flow:
        """Runs a step; gives its output."""
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
            error.data["step"] = error.data["step"] or step.id
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
            entry = self.entry(env, step)

        def tried(env: Env) -> Flow:
            return self._tried(env, step)

        output = yield from self.edge(env, step, record, lambda env: self.timed(env, step, tried))
        if record.status != "caught":
            if entry is not None:  # 5: it stands for its inside once it completed
                env.group.drop("5")
                entry.status, entry.output, entry.settled = "completed", output, True
                env.group.members.append(entry)
            if step.pivot:
                self.group.drop("10")
        return output

    def edge(self, env: Env, step: StepBase | Definition, record: Record, inside: Inside) -> Flow:
        """6: the catch is chosen, the inside is undone, the catch runs, the finally runs."""
        top = isinstance(step, Definition)
        undoes = top or bool(step.finally_)
        rule = "7" if top else "6"
        pending: Ending | None = None
        output = None
        try:
            output = yield from inside(env)
        except Left as left:
            pending = left
        except Stopped as stopped:
            pending = stopped
            if undoes:
                yield from self.undo(env.group, None, "8")
        except Failed as error:
            pending = error
            seen = replace(env, names={**env.names, "error": error.data})
            chosen = _matching(seen, step.catch, error)
            if chosen is not None or undoes:
                yield from self.undo(env.group, error.data, rule)
            if chosen is None and top and env.scope.stopped():  # 8: while it was undone
                pending = Stopped()
            if chosen is not None:
                try:
                    output = yield from self._caught(seen, *chosen, top)
                    pending = None
                    record.status, record.error = "caught", error.data
                except (Failed, Stopped, Left) as again:
                    pending = again
                    if undoes and not isinstance(again, Left):
                        yield from self.undo(env.group, _data(again), rule)
        if step.finally_:
            try:
                yield from self._cleaned_up(env, step.finally_, pending, top)
            except Failed as late:
                if pending is None or isinstance(pending, Left):
                    pending = late
                if top:
                    yield from self.undo(env.group, late.data, rule)
        if pending is not None:
            raise pending
        return output

    def _caught(self, env: Env, index: int, clause: Catch, top: bool) -> Flow:
        env.scope.check()
        output = yield from self.sequence(env, clause.do, f"!catch[{index}].")
        if top:
            yield from self.finish(env)
        return env.value(clause.output) if clause.has("output") else output

    def _cleaned_up(
        self, env: Env, steps: Sequence[StepBase], pending: Ending | None, top: bool
    ) -> Flow:
        names = {**env.names, "error": _data(pending), "status": _status(pending)}
        shielded = replace(env, scope=Scope(None), names=names, ids=f"{env.place}!finally.")
        yield from self.sequence(shielded, steps, "!finally.")
        if top:
            yield from self.finish(shielded)

    def timed(self, env: Env, step: StepBase | Definition, inside: Inside) -> Flow:
        """What is inside a `timeout`, and the `output` that replaces its own."""
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
        ending: Ending | None = None
        output = None
        try:
            output = yield from inside(replace(env, scope=scope))
        except (Failed, Stopped) as raised:
            ending = raised
        finally:
            del self.turns.deadlines[name]
        if scope.stopped() is scope:  # over its time it has timed out, however it ended
            kind = "step" if env.path else "definition"
            raise Failed("Timeout", {"details": {"kind": kind}})
        if ending is not None:
            raise ending
        return output

    def _tried(self, env: Env, step: StepBase) -> Flow:
        retry = step.retry
        if isinstance(step, ActivityStep) and retry is not None and retry.when is not None:
            raise Unsupported("retry.when on an activity")
        if isinstance(step, ActivityStep) or retry is None:
            return (yield from self._kind(env, step))
        attempt = 1
        while True:
            group = env.group.open(step.id, env.group.parallel)
            inside = replace(env, group=group, names={**env.names, "attempt": attempt})
            if attempt > 1:  # 12: it is another act
                trial = f"{env.path}~{attempt}"
                inside = replace(inside, prefix=f"{trial}.", trial=trial)
                if isinstance(step, BodyStep) and step.vars and not isinstance(step, ForeachStep):
                    outside = replace(env, variables=env.variables[:-1])
                    env.variables[-1].update(outside.value(step.vars))
            try:
                return (yield from self._kind(inside, step))
            except Stopped:
                yield from self.undo(group, None, "8")
                raise
            except Failed as error:  # 6: it is an edge, whether it is tried again or not
                yield from self.undo(group, error.data, "6")
                seen = replace(env, names={**env.names, "error": error.data, "attempt": attempt})
                if not _again(seen, retry, error, attempt):
                    raise
            if env.seconds(retry.initial_interval or "1s") > 0:
                yield from self.turns.ring(f"before try {attempt + 1} of {env.path}", env.scope)
            attempt += 1

    def _kind(self, env: Env, step: StepBase) -> Flow:
        match step:
            case ActivityStep():
                return (yield from self._activity(env, step))
            case DoStep():
                return (yield from self.sequence(env, step.do, "."))
            case SwitchStep():
                for index, case in enumerate(step.switch):
                    if env.holds(case.when):
                        steps = case.do or case.else_
                        return (yield from self.sequence(env, steps, f".{index}."))
                return None
            case ParallelStep():
                return (yield from self._parallel(env, step))
            case ForeachStep() if step.batch is not None:
                raise Unsupported("batch")
            case ForeachStep():
                return (yield from self._foreach(env, step))
            case WhileStep() | UntilStep():
                return (yield from self._loop(env, step))
            case SleepStep():
                if env.seconds(step.sleep) > 0:
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
                raise _raised(env, step)
            case ReturnStep():
                raise Left("return")
            case BreakStep():
                raise Left("break")
            case ContinueStep():
                raise Left("continue")
            case RollbackStep():
                return (yield from self._rollback(env, step))
            case _:
                raise Unsupported(step.kind)

    def _activity(self, env: Env, step: ActivityStep) -> Flow:
        if step.local or step.one_of:
            raise Unsupported("local activities, and names that are expressions")
        late = env.undoing.register_ == "after"
        given = env.value(step.with_ if step.args is None else step.args)
        entry = self.entry(env, step, given) if step.compensate else None
        if entry is not None and not late:  # 1: registered before it is sent
            env.group.members.append(entry)
        settles = entry is not None  # 4
        ended = yield from self.turns.act(env.path, env.scope, env.rule, settles=settles)
        if ended is None:  # 2: it never ran
            if entry is not None and not late:
                env.group.members.remove(entry)
            raise Stopped
        error = {**ended.error, "step": step.id} if ended.error else None
        if error is not None and str(error["type"]).startswith("dsl."):
            raise Unsupported(str(error["type"]))
        over = error is not None and error["details"] == {"kind": "step"}
        if over and env.rule != "flow" and step.timeout is None:
            raise Unsupported("undoing that ran out of time")
        stop = env.scope.stopped()
        if entry is not None:
            in_time = step.timeout is None or stop is not env.scope
            timed_out = ended.outcome == "cancelled" and not in_time
            entry.status = "timed_out" if timed_out else ended.outcome
            entry.output, entry.error, entry.settled = ended.output, error, True
            if late and ended.outcome == "completed":
                env.group.members.append(entry)
        if ended.outcome == "completed":  # 2: although it was cancelled
            return ended.output
        if stop is not None:
            raise Stopped
        raise Failed(str(error["type"]) if error else "Cancelled", error, ended.final)

    def _iteration(self, env: Env, index: int, names: dict[str, Any]) -> Env:
        return replace(
            env,
            prefix=f"{env.trial}[{index}].",
            ids="",
            place="",
            records=(*env.records, dict[str, Record]()),
            names={**env.names, **names},
            group=env.group.open(),
        )

    def _loop(self, env: Env, step: WhileStep | UntilStep) -> Flow:
        output = None
        index = 0
        while not isinstance(step, WhileStep) or env.holds(step.while_):
            env.scope.check()
            if step.max_iterations is not None and index >= step.max_iterations:
                raise Failed("MaxIterations")
            inside = self._iteration(env, index, {step.index_as: index})
            try:
                output = yield from self.sequence(inside, step.do, "")
            except Left as left:
                if left.args[0] == "return":
                    raise
                output = None
                if left.args[0] == "break":
                    break
            if isinstance(step, UntilStep) and inside.holds(step.until):
                break
            index += 1
        return output

    def _foreach(self, env: Env, step: ForeachStep) -> Flow:
        bare = isinstance(step.foreach, str)
        items = env.value(f"${{ {step.foreach} }}" if bare else step.foreach)

        def body(index: int) -> Inside:
            def run(member: Env) -> Flow:
                names = {step.as_: items[index], step.index_as: index}
                inside = self._iteration(member, index, names)
                variables = dict(inside.value(step.vars))
                inside = replace(inside, variables=(*env.variables, variables))
                output = yield from self.sequence(inside, step.do, "")
                return inside.value(step.collect) if step.has("collect") else output

            return run

        tolerated = step.tolerated_failures or 0
        if isinstance(tolerated, str):
            tolerated = int(len(items) * float(tolerated.rstrip("%")) / 100)
        bodies = [body(index) for index in range(len(items))]
        members = yield from self.run_members(env, step, bodies, 1, tolerated)
        outputs = [member.output if member.state == "won" else None for member in members]
        return outputs + [None] * (len(items) - len(outputs))

    def _parallel(self, env: Env, step: ParallelStep) -> Flow:
        def body(name: str) -> Inside:
            return lambda member: self.sequence(member, step.parallel[name], f".{name}.")

        bodies = [body(name) for name in step.parallel]
        members = yield from self.run_members(env, step, bodies, len(bodies))
        named = zip(step.parallel, members, strict=False)
        return {name: member.output for name, member in named if member.state == "won"}

    def _rollback(self, env: Env, step: RollbackStep) -> Flow:
        def wanted(entry: Entry) -> bool:
            if step.rollback == "all":
                return True
            for id in step.rollback:
                home = next((frame for frame in reversed(env.records) if id in frame), None)
                seen = any(frame is home for frame in entry.env.records)
                if seen and id in entry.env.group.owners:
                    return True
            return False

        yield from self.undo(self.group, None, "6", wanted)


def _merged(outer: Compensation, own: Compensation | None) -> Compensation:
    """`compensation` of a block: what it does not say but for the order, those round it do."""
    if own is None:
        return outer
    return Compensation.model_construct(
        register_=own.register_ or outer.register_, on_failure=own.on_failure or outer.on_failure
    )


def _matching(env: Env, clauses: Sequence[Catch], error: Failed) -> tuple[int, Catch] | None:
    """The `catch` that is for an error: the first that matches."""
    for index, clause in enumerate(clauses):
        matches = not clause.errors or error.type in clause.errors
        if matches and env.holds(clause.when, lenient=True):
            return index, clause
    return None


def _again(env: Env, retry: Retry, error: Failed, attempt: int) -> bool:
    """Whether a step is tried again."""
    most = retry.maximum_attempts
    if isinstance(most, int) and attempt >= most:
        return False
    if error.final or error.type in retry.non_retryable_error_types:
        return False
    return env.holds(retry.when, lenient=True)


def _raised(env: Env, step: RaiseStep) -> Failed:
    error = env.value(step.raise_)
    if isinstance(error, dict):
        again = cast("dict[str, Any]", error)
        return Failed(again["type"], again)
    return Failed(error, {"message": env.value(step.message), "details": env.value(step.details)})


def _data(pending: Ending | None) -> dict[str, Any] | None:
    return pending.data if isinstance(pending, Failed) else None


def _status(pending: Ending | None) -> str:
    """`status` in a `finally`."""
    if isinstance(pending, Failed):
        return "timed_out" if pending.type == "Timeout" else "failed"
    return "cancelled" if isinstance(pending, Stopped) else "completed"
