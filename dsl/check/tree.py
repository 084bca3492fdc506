"""The steps of a definition beside their nodes, for the rules that look at several at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from dsl.model.bind import Bound
from dsl.model.common import Catch, StepBase
from dsl.model.definition import Definition
from dsl.source import Span
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
from dsl.syntax import Entry, Mapping, Node, locate

__all__ = ["Block", "Item", "Tree", "block_of", "catches_of", "tree_of"]


@dataclass(frozen=True, slots=True)
class Block:
    """A list of steps.

    Args:
        role: What it is: `steps`, `do`, `branch`, `case`, `else`, `catch`, `finally`,
            `compensate`, or of a handler `signal` or `update`.
        items: Its steps.
    """

    role: str
    items: tuple[Item, ...]

    def walk(self) -> Iterator[Item]:
        """Its steps, and those inside them, in the order of the text."""
        for item in self.items:
            yield from item.walk()


@dataclass(frozen=True, slots=True)
class Item:
    """A step.

    Args:
        step: The step.
        node: Its nodes.
        blocks: The lists of steps directly in it.
    """

    step: Step
    node: Mapping
    blocks: tuple[Block, ...]

    @property
    def place(self) -> Span:
        """Where its kind stands."""
        entry = self.node.get(self.step.kind)
        return entry.key.span if entry is not None else Span(*[self.node.span.start] * 2)

    def entry(self, key: str) -> Entry | None:
        """A key of it."""
        return self.node.get(key)

    def body(self) -> Iterator[Block]:
        """The blocks that it runs itself: no `catch`, `finally` or `compensate`."""
        return (block for block in self.blocks if block.role in _BODY)

    def walk(self) -> Iterator[Item]:
        """The step itself, and those inside it."""
        yield self
        for block in self.blocks:
            yield from block.walk()


_BODY = frozenset(("do", "branch", "case", "else"))


@dataclass(frozen=True, slots=True)
class Tree:
    """A definition.

    Args:
        definition: The definition.
        document: Its nodes.
        blocks: Its `steps`, the bodies of its `catch`, its `finally`, its handlers.
        whole: Whether nothing of it was left out because it could not be read.
    """

    definition: Definition
    document: Mapping
    blocks: tuple[Block, ...]
    whole: bool

    def walk(self) -> Iterator[Item]:
        """Every step, in the order of the text."""
        for block in self.blocks:
            yield from block.walk()


def tree_of(bound: Bound) -> Tree:
    """The steps of what was read."""
    definition, document = bound.definition, bound.document
    assert definition is not None and document is not None
    blocks = [block_of("steps", definition.steps, _child(document, "steps"))]
    blocks += catches_of(definition.catch, document)
    if definition.finally_:
        blocks.append(block_of("finally", definition.finally_, _child(document, "finally")))
    for role, key, messages in (
        ("signal", "signals", definition.signals),
        ("update", "updates", definition.updates),
    ):
        for name, message in messages.items():
            if message.do:
                steps = _child(_child(_child(document, key), name), "do")
                blocks.append(block_of(role, message.do, steps))
    whole = not any(d.code.startswith("DSL1") for d in bound.diagnostics)
    return Tree(definition, document, tuple(blocks), whole)


def _child(node: Node, key: str | int) -> Node:
    return locate(node, (key,))[0]


def block_of(role: str, steps: Sequence[StepBase], node: Node) -> Block:
    """A list of steps, beside its nodes."""
    items = (_item(step, _child(node, index)) for index, step in enumerate(steps))
    return Block(role, tuple(items))


def catches_of(clauses: Sequence[Catch], owner: Mapping) -> list[Block]:
    """The steps of each clause."""
    node = _child(owner, "catch")
    return [
        block_of("catch", clause.do, _child(_child(node, index), "do"))
        for index, clause in enumerate(clauses)
    ]


def _item(given: StepBase, node: Node) -> Item:
    step, owner = cast("Step", given), cast("Mapping", node)
    blocks: list[Block] = []
    match step:
        case DoStep() | ForeachStep() | WhileStep() | UntilStep():
            blocks.append(block_of("do", step.do, _child(owner, "do")))
        case ParallelStep():
            branches = _child(owner, "parallel")
            blocks += [
                block_of("branch", steps, _child(branches, name))
                for name, steps in step.parallel.items()
            ]
        case SwitchStep():
            cases = _child(owner, "switch")
            for index, case in enumerate(step.switch):
                key = "else" if case.else_ else "do"
                steps = case.else_ or case.do
                role = "else" if case.else_ else "case"
                blocks.append(block_of(role, steps, _child(_child(cases, index), key)))
        case (
            WorkflowStep()
            | ActivityStep()
            | ValueStep()
            | SetStep()
            | RaiseStep()
            | ReturnStep()
            | RollbackStep()
        ):
            pass
        case BreakStep() | ContinueStep() | SleepStep() | SleepUntilStep():
            pass
        case WaitSignalStep() | WaitConditionStep():
            pass
        case SendSignalStep() | SetSearchAttributesStep():
            pass
    blocks += catches_of(step.catch, owner)
    if step.finally_:
        blocks.append(block_of("finally", step.finally_, _child(owner, "finally")))
    if step.compensate:
        blocks.append(block_of("compensate", step.compensate, _child(owner, "compensate")))
    return Item(step, owner, tuple(blocks))
