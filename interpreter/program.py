"""A definition, compiled: made once a process for each digest, shared by all its runs."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dsl.expressions import Expression, Template, parse, parse_template
from dsl.model.common import BodyStep, Catch, Compensation, StepBase
from dsl.model.definition import Definition
from interpreter.evaluation import Duration
from interpreter.handlers import message_nodes
from interpreter.messages import SignalType
from interpreter.nodes import Clause, Edge, Node, Place, sequence
from interpreter.payloads import INLINE, Budget
from interpreter.saga import Undo
from interpreter.scope import Act
from interpreter.steps import RootNode, node_for

__all__ = ["Compiler", "Program", "Reads", "Undoing"]


_INPUT = re.compile(r"\binput\b(?:\s*\.\s*([^\W\d]\w*))?")


@dataclass(frozen=True, slots=True)
class Undoing:
    """How the steps of a block are undone: what it says, and what those round it say.

    Args:
        parallel: Whether its own steps are undone at the same time. Not inherited.
        late: Whether steps are registered only once they completed.
        on_failure: What follows a compensation that failed.
        timeout: How long the undoing at its edge may take.
        among_parallel: Whether it is itself one of the steps that are undone at the same time.
    """

    parallel: bool = False
    late: bool = False
    on_failure: str = "continue"
    timeout: Duration | None = None
    among_parallel: bool = False


class Reads:
    """What a part of a definition reads.

    Attributes:
        paths: `("input",)`, `("vars", "x")`, `("steps", "charge", "output")`, and so on.
        input_keys: The keys of the input; None where it is read as a whole.
    """

    def __init__(self) -> None:
        self.paths: set[tuple[str, ...]] = set()
        self.input_keys: set[str] | None = set()

    def note(self, expression: Expression) -> None:
        """Adds what an expression reads."""
        self.paths |= expression.reads
        if ("input",) not in expression.reads or self.input_keys is None:
            return
        keys = [match[1] for match in _INPUT.finditer(expression.source)]
        # A word in a text may look like it: then the whole input is taken.
        self.input_keys = None if None in keys else self.input_keys | set(keys)


class Compiler:
    """Compiles the parts of a definition.

    Attributes:
        nodes: Every compiled step that has an id.
        all: Every compiled step; what is inside one stands before it.
        activations: How many activations there are.
        lists: Every list of steps that run one after the other.
        compensating: Whether what is compiled is part of a compensation.
        undoing: How what is compiled is undone.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.all: list[Node] = []
        self.lists: list[tuple[Node, ...]] = []
        self.read_steps: set[str] = set()
        self.compensating = False
        self.undoing = Undoing()
        self._activation = 0
        self.activations = 0
        self._reads: list[Reads] = []

    def expression(self, source: str | None) -> Expression | None:
        """Compiles a bare expression, if there is one."""
        return None if source is None else self.known_expression(source)

    def known_expression(self, source: str) -> Expression:
        """Compiles a bare expression."""
        expression, problems = parse(source)
        assert expression is not None, problems  # a stored definition was checked
        self._note(expression)
        return expression

    def template(self, value: Any) -> Template:
        """Compiles a template."""
        template, problems = parse_template(value)
        assert template is not None, problems
        for _, _, expression in template.expressions:
            self._note(expression)
        return template

    def duration(self, text: str | None) -> Duration | None:
        """Compiles a duration, if there is one."""
        return None if text is None else self.known_duration(text)

    def known_duration(self, text: str) -> Duration:
        """Compiles a duration."""
        return Duration(text, self.template(text) if "${" in text else None)

    @contextmanager
    def block(self, given: Compensation | None) -> Generator[None]:
        """While the inside of a block is compiled: how its steps are undone."""
        outer = self.undoing
        options = given or Compensation.model_construct()
        self.undoing = Undoing(
            options.order == "parallel",
            options.register_ == "after" if options.register_ else outer.late,
            options.on_failure or outer.on_failure,
            self.duration(options.timeout) or outer.timeout,
            outer.parallel,
        )
        try:
            yield
        finally:
            self.undoing = outer

    def steps(
        self,
        steps: Sequence[StepBase],
        owner: Node,
        part: str = ".",
        *,
        fresh: bool = False,
        prefix: str | None = None,
    ) -> tuple[Node, ...]:
        """Compiles a list of steps.

        Args:
            steps: The steps.
            owner: The block they are in.
            part: The part of the block, as it stands in the places of steps without an id.
            fresh: Whether they run in an activation of their own, whose paths begin anew.
            prefix: What stands before the paths of all steps inside; that of the owner by default.
        """
        inside = owner.inside if prefix is None else prefix
        key, path = ("", "") if fresh else (owner.key + part, owner.path + part)
        outer = self._activation
        if fresh:
            self.activations += 1
            self._activation = self.activations
        nodes: list[Node] = []
        for index, step in enumerate(steps):
            place = f"{step.kind}[{index}]"
            where = (step.id, inside + step.id) if step.id else (key + place, path + place)
            nodes.append(self._step(step, owner, Place(*where, inside, self._activation, part)))
        self._activation = outer
        if nodes:
            nodes[-1].is_read = True  # the output of a block is that of its last step
        compiled = tuple(nodes)
        self.lists.append(compiled)
        return compiled

    def _step(self, step: StepBase, owner: Node, place: Place) -> Node:
        first = len(self.all)
        with self.block(step.compensation if isinstance(step, BodyStep) else None):
            node = node_for(step, place, self, owner)
        node.within = tuple(self.all[first:])
        self.all.append(node)
        if step.id:
            self.nodes[step.id] = node
        return node

    def edge(
        self, owner: Node, catch: Sequence[Catch], cleanup: Sequence[StepBase], always: bool = False
    ) -> Edge | None:
        """Compiles what a block does at its edge; None where it does nothing."""
        if not (catch or cleanup or always):
            return None
        clauses = tuple(
            Clause(
                tuple(clause.errors),
                self.expression(clause.when),
                self.steps(clause.do, owner, f"!catch[{index}]."),
                self.template(clause.output) if clause.has("output") else None,
            )
            for index, clause in enumerate(catch)
        )
        # What `finally` does is another act than the same in the body would be.
        place = "!finally."
        steps = self.steps(cleanup, owner, place, prefix=owner.path + place)
        return Edge(clauses, steps, always)

    def undo(self, owner: Node, steps: Sequence[StepBase]) -> Undo | None:
        """Compiles a compensation."""
        if not steps:
            return None
        outer, self.compensating = self.compensating, True
        first = len(self.all)
        dotted = len(steps) > 1 or steps[0].id is not None
        with self.reading() as reads:
            if dotted:
                nodes = self.steps(steps, owner, fresh=True, prefix="")
            else:
                nodes = (self.apart(steps[0], owner, "undo", "", "."),)
        self.compensating = outer
        names = {read[0] for read in reads.paths} - {"vars", "steps", "step", "error"}
        variables = {read[1] for read in reads.paths if read[0] == "vars"}

        async def body(act: Act) -> Any:
            return await sequence(nodes, act)

        return Undo(
            body,
            tuple(sorted(names)),
            tuple(sorted(variables)),
            dotted,
            any(node.waits or node.tries_here() for node in self.all[first:]),
            self.undoing.late,
            self.undoing.on_failure,
        )

    def apart(self, step: StepBase, owner: Node, key: str, path: str, inside: str) -> Node:
        """Compiles a step that runs in an activation of its own."""
        self.activations += 1
        return self._step(step, owner, Place(key, path, inside, self.activations))

    @contextmanager
    def reading(self) -> Generator[Reads]:
        """Notes what is read by what is compiled meanwhile."""
        reads = Reads()
        self._reads.append(reads)
        try:
            yield reads
        finally:
            self._reads.remove(reads)

    def _note(self, expression: Expression) -> None:
        reads = expression.reads
        self.read_steps.update(read[1] for read in reads if read[0] == "steps" and len(read) > 1)
        for one in self._reads:
            one.note(expression)


class Program:
    """A compiled definition.

    Args:
        definition: The definition in its normal form.
        digest: What identifies it.
        revision: What people call it.
        continue_after: After how many events its runs go on as new; where not given when the
            server suggests it.
        budget: How large values may be.
    """

    def __init__(
        self,
        definition: Definition,
        digest: str,
        revision: str,
        continue_after: int | None = None,
        budget: Budget = INLINE,
    ) -> None:
        self.name = definition.name
        self.digest = digest
        self.revision = revision
        self.continue_after = continue_after
        self.budget = budget
        self.suspends = definition.on_fault != "fail"
        self.definition = definition
        self.signals = {
            name: SignalType(name, signal.payload, bool(signal.do))
            for name, signal in definition.signals.items()
        }
        compiler = Compiler()
        with compiler.block(definition.compensation):
            self.root = RootNode(definition, compiler)
            self.handlers, self.updates = message_nodes(definition, compiler, self.root)
        self.queries = {name: compiler.template(q) for name, q in definition.queries.items()}
        self.nodes = compiler.nodes
        self.lists = tuple(compiler.lists)
        self.places = {node.address: node for node in (self.root, *compiler.all)}
        for handler in (*self.handlers.values(), *self.updates.values()):
            self.places[handler.address] = handler
        for id in compiler.read_steps & compiler.nodes.keys():
            compiler.nodes[id].is_read = True
