"""Definitions to parts: what the picture of each construct is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never, cast

from dsl.graph import words
from dsl.graph.parts import (
    Branch,
    Choice,
    Frame,
    Group,
    Guarded,
    Handler,
    Icon,
    Loop,
    Mark,
    Node,
    Part,
    Picture,
    Series,
    Shape,
    Split,
)
from dsl.model.common import Catch, StepBase
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
    SendSignalStep,
    SetSearchAttributesStep,
    SetStep,
    SleepStep,
    SleepUntilStep,
    Step,
    SwitchStep,
    UntilStep,
    ValueStep,
    WaitConditionStep,
    WaitSignalStep,
    WhileStep,
    WorkflowStep,
)

__all__ = ["picture"]

_AT_ONCE = "At the same time"
_WHICH = "Which case?"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where steps are, as in the paths of a run, with `[]` for iterations.

    Args:
        scope: The iterations they are in: `ship_all[].`.
        inside: What stands before ids.
        base: What stands before the place of a step without an id.
    """

    scope: str = ""
    inside: str = ""
    base: str = ""

    def of(self, step: StepBase, index: int) -> str:
        """The place of a step in its scope."""
        return f"{self.inside}{step.id}" if step.id else f"{self.base}{step.kind}[{index}]"

    def below(self, local: str, part: str = ".") -> _Place:
        """Where the steps of a part of a step are."""
        return replace(self, base=local + part)

    def iterations(self, local: str) -> _Place:
        """Where the steps of an iteration are."""
        return _Place(f"{self.scope}{local}[].")


def picture(definition: Definition) -> Picture:
    """What the picture of a definition shows.

    Args:
        definition: It, in its normal form.
    """
    place = _Place()
    body: Part = _series(definition.steps, place)
    handlers, cleanup = _edge(definition.catch, definition.finally_, place, "")
    if handlers:
        body = Group(Frame.BLOCK, Node("", Shape.LABEL, None, "All of it"), body)
    if handlers or cleanup:
        body = Guarded(body, handlers, None, cleanup)
    marks: list[Mark] = []
    if definition.timeout is not None:
        marks.append(Mark(Icon.CLOCK, f"all of it within {words.duration(definition.timeout)}"))
    if definition.compensation is not None and definition.compensation.order == "parallel":
        marks.append(Mark(Icon.UNDO, "undone all at once"))
    about = words.one_line(definition.description or "")
    result = (_result(definition.output),) if definition.has("output") else ()
    return Picture(definition.name, about, tuple(marks), body, result)


def _result(value: Any) -> Mark:
    """What an output has: the names of its parts, for how they are made says little to people."""
    if isinstance(value, dict) and value:
        text = words.listed(list(cast("dict[str, Any]", value)))
    else:
        text = words.shown(value)
    return Mark(Icon.DONE, f"gives {text}")


def _series(steps: Iterable[StepBase], place: _Place) -> Series:
    return Series(tuple(_step(step, place, index) for index, step in enumerate(steps)))


def _step(given: StepBase, place: _Place, index: int) -> Part:
    """A step with its common keys, from the inside out."""
    step = cast("Step", given)  # there are no others
    local = place.of(step, index)
    part = _kind(step, place, local)
    handlers, cleanup = _edge(step.catch, step.finally_, place, local)
    undo = _undo(step.compensate, place.scope + local)
    if isinstance(part, Split | Series) and (handlers or cleanup or undo or _is_framed(step)):
        # Only what has a border can have something at its border.
        if isinstance(part, Split):
            part = replace(part, head=_unnamed(part.head))
        part = Group(Frame.BLOCK, _head(step, place.scope + local, None, ""), part)
    if handlers or cleanup or undo:
        part = Guarded(part, handlers, undo, cleanup)
    if step.pivot:
        line = Node("", Shape.PIVOT, Icon.FLAG, "Point of no return")
        part = Series((part, line))
    if step.if_ is not None:
        # A block without a frame gives its name to the decision.
        title = f"{_name(step)}?" if isinstance(part, Series) and step.id and not step.pivot else ""
        part = Choice(place.scope + local, title, words.one_line(step.if_), part)
    return part


def _is_framed(step: Step) -> bool:
    """Whether a block says something of itself that needs a frame."""
    if isinstance(step, DoStep):
        return bool(step.description or words.marks(step))
    return bool(words.marks(step))


def _head(
    step: Step,
    key: str,
    icon: Icon | None,
    title: str,
    code: Sequence[str] = (),
    marks: tuple[Mark, ...] = (),
    shape: Shape = Shape.LABEL,
) -> Node:
    """What stands over the steps of a step, named by its author, else `title`."""
    name = _name(step) or title
    return Node(key, shape, icon, name, tuple(code), marks + words.marks(step), words.facts(step))


def _name(step: StepBase) -> str:
    if step.description:
        return words.one_line(step.description)
    return words.readable(step.id or "")


def _kind(step: Step, place: _Place, local: str) -> Part:
    """What a step is without its common keys."""
    key = place.scope + local
    match step:
        case DoStep():
            return _series(step.do, place.below(local))
        case ParallelStep():
            return _parallel(step, place, local)
        case SwitchStep():
            return _switch(step, place, local)
        case ForeachStep():
            items = words.shown(step.foreach)
            code = (f"in {items}",)
            marks = words.members(step)
            if step.join not in (None, "all"):
                marks += (Mark(Icon.DONE, words.joined(step, None)),)
            head = _head(step, key, Icon.EACH, "", code, marks)
            each = f"for each {words.readable(step.as_).lower()}"
            title = f"{head.title}: {each}" if head.title else words.readable(each)
            head = replace(head, title=title)
            return Group(Frame.EACH, head, _series(step.do, place.iterations(local)))
        case WhileStep() | UntilStep():
            before = isinstance(step, WhileStep)
            condition = words.one_line(step.while_ if before else step.until)
            most = step.max_iterations
            marks = (Mark(Icon.REPEAT, f"at most {most} times"),) if most else ()
            head = _head(step, key, Icon.REPEAT, "Repeat", (), marks)
            return Loop(head, condition, before, _series(step.do, place.iterations(local)))
        case _:
            return _leaf(step, key)


def _parallel(step: ParallelStep, place: _Place, local: str) -> Split:
    title = _name(step) or _AT_ONCE
    head = Node(place.scope + local, Shape.BAR, Icon.PARALLEL, title, (), words.members(step))
    foot = Node("", Shape.BAR, None, words.readable(words.joined(step, len(step.parallel))))
    branches = tuple(
        Branch(
            Node("", Shape.LABEL, None, words.readable(name)),
            _series(steps, place.below(local, f".{name}.")),
        )
        for name, steps in step.parallel.items()
    )
    return Split(head, branches, foot)


def _switch(step: SwitchStep, place: _Place, local: str) -> Split:
    head = Node(place.scope + local, Shape.DECISION, Icon.CHOICE, _name(step) or _WHICH)
    branches: list[Branch] = []
    for index, case in enumerate(step.switch):
        body = _series(case.do or case.else_, place.below(local, f".{index}."))
        if case.when is None:
            label = Node("", Shape.LABEL, None, "Otherwise")
        else:
            label = Node("", Shape.CASE, None, "", (words.one_line(case.when),))
        branches.append(Branch(label, body))
    if all(case.when is not None for case in step.switch):
        branches.append(Branch(Node("", Shape.LABEL, None, "Otherwise"), Series(())))
    return Split(head, tuple(branches))


def _unnamed(head: Node) -> Node:
    """The head of a split in a frame, whose title has the name."""
    title = _AT_ONCE if head.shape is Shape.BAR else _WHICH
    return replace(head, key="", title=title)


def _leaf(
    step: ActivityStep
    | WorkflowStep
    | SleepStep
    | SleepUntilStep
    | WaitSignalStep
    | WaitConditionStep
    | SendSignalStep
    | ValueStep
    | SetStep
    | SetSearchAttributesStep
    | RaiseStep
    | ReturnStep
    | RollbackStep
    | BreakStep
    | ContinueStep,
    key: str,
) -> Node:
    shape, icon, title, code = _look(step)
    if step.description:
        title = words.one_line(step.description)
    return Node(key, shape, icon, title, code, words.marks(step), words.facts(step))


def _look(
    step: ActivityStep
    | SleepStep
    | SleepUntilStep
    | WaitSignalStep
    | WaitConditionStep
    | SendSignalStep
    | ValueStep
    | SetStep
    | SetSearchAttributesStep
    | RaiseStep
    | ReturnStep
    | RollbackStep
    | BreakStep
    | ContinueStep
    | WorkflowStep,
) -> tuple[Shape, Icon, str, tuple[str, ...]]:
    """Shape and sign of a step; its title where the author gave none; its code."""
    match step:
        case ActivityStep():
            names = " or ".join(map(words.shown, step.one_of)) or words.shown(step.activity)
            return Shape.TASK, Icon.WORK, _name(step), (names,)
        case WorkflowStep():
            names = " or ".join(map(words.shown, step.one_of)) or words.shown(step.workflow)
            what = "start workflow" if step.detached else "workflow"
            return Shape.TASK, Icon.FLOW, _name(step), (f"{what} {names}",)
        case SleepStep():
            long = words.duration(step.sleep)
            return Shape.WAIT, Icon.CLOCK, _waiting(step, f"wait {long}"), _if_described(step, long)
        case SleepUntilStep():
            until = words.shown(step.sleep_until)
            return Shape.WAIT, Icon.CLOCK, _waiting(step, "wait until"), (until,)
        case WaitSignalStep():
            return _signal(step)
        case WaitConditionStep():
            condition = words.one_line(step.wait_condition)
            return Shape.WAIT, Icon.CONDITION, _waiting(step, "wait until"), (condition,)
        case ValueStep():
            title = f"Work out {words.readable(step.id or 'a value').lower()}"
            return Shape.DATA, Icon.DATA, title, (words.shown(step.value),)
        case SetStep():
            names = [words.readable(name).lower() for name in step.set]
            code = tuple(f"{name} = {words.shown(value)}" for name, value in step.set.items())
            return Shape.DATA, Icon.DATA, f"Set {words.listed(names)}", code
        case SendSignalStep():
            title = _name(step) or f"Tell: {words.readable(step.send_signal).lower()}"
            to = f"signal {words.one_line(step.send_signal)} to {words.shown(step.workflow_id)}"
            return Shape.TASK, Icon.SIGNAL, title, (to,)
        case SetSearchAttributesStep():
            names = [words.one_line(name) for name in step.set_search_attributes]
            given = step.set_search_attributes.values()
            code = tuple(
                f"{name} = {words.shown(value)}" for name, value in zip(names, given, strict=True)
            )
            return Shape.DATA, Icon.DATA, f"Mark the run: {words.listed(names)}", code
        case RaiseStep():
            if "${" in step.raise_:
                return Shape.RAISE, Icon.ERROR, "Fail with the same error", ()
            said = (words.shown(step.message),) if step.message else ()
            return Shape.RAISE, Icon.ERROR, f"Fail: {step.raise_}", said
        case ReturnStep():
            return Shape.RETURN, Icon.DONE, "Finish here", (words.shown(step.return_),)
        case RollbackStep():
            if isinstance(step.rollback, str):
                return Shape.UNDO, Icon.UNDO, "Undo all that was done", ()
            ids = [words.readable(id).lower() for id in step.rollback]
            return Shape.UNDO, Icon.UNDO, f"Undo {words.listed(ids)}", ()
        case BreakStep():
            return Shape.JUMP, Icon.LEAVE, "Leave the loop", ()
        case ContinueStep():
            return Shape.JUMP, Icon.NEXT, "On to the next", ()
        case _:
            assert_never(step)


def _waiting(step: StepBase, sentence: str) -> str:
    """A title for a wait: what it waits for, and its id where that says more."""
    name = words.readable(step.id or "")
    if name and name.lower() not in sentence.lower():
        return f"{name}: {sentence}"
    return words.readable(sentence)


def _if_described(step: StepBase, code: str) -> tuple[str, ...]:
    """What the title says, where the author's description has taken its place."""
    return (code,) if step.description else ()


def _signal(step: WaitSignalStep) -> tuple[Shape, Icon, str, tuple[str, ...]]:
    names = [step.wait_signal] if isinstance(step.wait_signal, str) else step.wait_signal
    what = words.listed([words.readable(name).lower() for name in names], "or")
    if step.count is not None and step.count > 1:
        what = f"{step.count} signals: {what}"
    code = [f"signal {words.listed(names, 'or')}"]
    if step.where is not None:
        code.append(f"where {words.one_line(step.where)}")
    return Shape.WAIT, Icon.SIGNAL, _waiting(step, f"wait for {what}"), tuple(code)


def _edge(
    catch: Sequence[Catch], cleanup: Sequence[StepBase], place: _Place, local: str
) -> tuple[tuple[Handler, ...], Group | None]:
    """What happens on the errors of a block, and at its end."""
    handlers: list[Handler] = []
    for index, clause in enumerate(catch):
        code = () if clause.when is None else (f"if {words.one_line(clause.when)}",)
        output: tuple[str, ...] = ()
        if clause.has("output"):
            result = "no result" if clause.output is None else words.shown(clause.output)
            output = (f"goes on with {result}",)
        label = Node("", Shape.ERROR, Icon.ERROR, words.errors(clause), (*code, *output))
        body = _series(clause.do, place.below(local, f"!catch[{index}]."))
        handlers.append(Handler(label, body))
    if not cleanup:
        return tuple(handlers), None
    part = f"{local}!finally."
    title = Node("", Shape.LABEL, Icon.RULE, "In any case, however it ended")
    steps = _series(cleanup, _Place(place.scope, part, part))
    return tuple(handlers), Group(Frame.FINALLY, title, steps)


def _undo(steps: Sequence[StepBase], key: str) -> Node | Group | None:
    """What undoes a step: one act is a node, more are a group of them."""
    if not steps:
        return None
    place = _Place(f"{key}!undo.")
    if len(steps) == 1 and not steps[0].catch and not steps[0].finally_:
        part = _kind(cast("Step", steps[0]), place, place.of(steps[0], 0))
        if isinstance(part, Node):
            return _as_undo(part, steps[0], f"{key}!undo")
    head = Node(f"{key}!undo", Shape.LABEL, Icon.UNDO, "Undo")
    return Group(Frame.UNDO, head, _series(steps, place))


def _as_undo(node: Node, step: StepBase, key: str) -> Node:
    title = node.title if step.description or step.id else ""
    code = node.code
    if step.if_ is not None:
        code = (*code, f"only if {words.one_line(step.if_)}")
    return replace(
        node, key=key, shape=Shape.UNDO, icon=Icon.UNDO, title=title or "Undo", code=code
    )
