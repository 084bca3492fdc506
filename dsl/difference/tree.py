"""A definition as a tree of parts that can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dsl.difference.values import text_of
from dsl.steps import KINDS

__all__ = ["Block", "Part", "kind_of", "read_definition", "read_undo", "steps_in"]

_KINDS = frozenset(cls.kind for cls in KINDS)
_INNER = frozenset(
    ("id", "steps", "do", "else", "parallel", "switch", "compensate", "catch", "finally")
)
"""Keys of a part that are no fields of it: they hold other parts, or are its name."""


@dataclass(eq=False, slots=True)
class Block:
    """A list of steps.

    Args:
        name: What it is called, such as `branch hotel of book`.
        steps: The steps.
        outermost: Whether they are the steps of the definition itself.
    """

    name: str
    steps: list[Part]
    outermost: bool = False


@dataclass(eq=False, slots=True)
class Part:
    """A step, a clause of a `switch` or a `catch`, or a definition.

    Args:
        kind: The kind of a step, otherwise what it is.
        key: Its id, or its place as in the paths of a run: `book.hotel.sleep[1]`. Empty for
            a definition, and for the only step of a compensation.
        data: All of it.
        text: The same as JSON.
        fields: What is said of it alone.
        id: The id of a step.
        home: The list that a step stands in.
        blocks: The lists of steps directly in it: `do`, `branch hotel`, `finally`,
            `do of signal add`.
        clauses: Its clauses, by `switch` and `catch`.
    """

    kind: str
    key: str
    data: dict[str, Any]
    text: str
    fields: dict[str, Any]
    id: str | None = None
    home: Block | None = None
    blocks: dict[str, Block] = field(default_factory=dict[str, Block])
    clauses: dict[str, list[Part]] = field(default_factory=dict[str, "list[Part]"])

    @property
    def inside(self) -> str:
        """What stands before the places of the steps inside."""
        return f"{self.key}." if self.key else ""

    @property
    def name(self) -> str:
        """What it is called in the name of a block."""
        return self.key or f"the {self.kind}"

    def inner(self) -> Iterator[Block]:
        """The lists of steps in it, those of its clauses too."""
        yield from self.blocks.values()
        for clauses in self.clauses.values():
            for clause in clauses:
                yield from clause.blocks.values()


def read_definition(data: dict[str, Any]) -> Part:
    """The tree of a definition in its canonical form."""
    part = _part("definition", "", data)
    _block(part, "do", part.name, data["steps"], "")
    part.blocks["do"].outermost = True
    for kind in ("signal", "update"):
        _handlers(part, kind, data.get(f"{kind}s", {}))
    _edge(part, data)
    return part


def _handlers(part: Part, kind: str, messages: dict[str, Any]) -> None:
    """The handlers of messages: their steps are blocks, and no fields of the definition."""
    if not messages:
        return
    part.fields[f"{kind}s"] = {
        name: {key: value for key, value in message.items() if key != "do"}
        for name, message in messages.items()
    }
    for name, message in messages.items():
        if "do" in message:
            _block(part, f"do of {kind} {name}", f"{kind} {name}", message["do"], f"{name}#.")


def read_undo(steps: list[dict[str, Any]], alone: bool) -> Part:
    """The tree of a compensation.

    Args:
        steps: Its steps.
        alone: Whether it is one step without an id, which then has no name.
    """
    part = Part("compensation", "", {}, "", {})
    _block(part, "do", part.name, steps, "")
    block = part.blocks["do"]
    block.outermost = True
    if alone:
        block.steps = [_step(steps[0], "", block)]
    return part


def steps_in(part: Part) -> Iterator[Part]:
    """The steps inside a part at any depth, without compensations."""
    for block in part.inner():
        for step in block.steps:
            yield step
            yield from steps_in(step)


def _part(kind: str, key: str, data: dict[str, Any]) -> Part:
    fields = {name: value for name, value in data.items() if name not in _INNER}
    return Part(kind, key, data, text_of(data), fields)


def _block(owner: Part, label: str, name: str, steps: list[dict[str, Any]], prefix: str) -> None:
    block = owner.blocks[label] = Block(name, [])
    for index, data in enumerate(steps):
        key = data.get("id") or f"{prefix}{kind_of(data)}[{index}]"
        block.steps.append(_step(data, key, block))


def _step(data: dict[str, Any], key: str, home: Block) -> Part:
    part = _part(kind_of(data), key, data)
    part.id, part.home = data.get("id"), home
    if "do" in data:
        _block(part, "do", part.name, data["do"], part.inside)
    for name, steps in data.get("parallel", {}).items():
        prefix = f"{part.inside}{name}."
        _block(part, f"branch {name}", f"branch {name} of {part.name}", steps, prefix)
    if "switch" in data:
        _clauses(part, "switch", data["switch"], part.inside)
    _edge(part, data)
    return part


def _edge(part: Part, data: dict[str, Any]) -> None:
    if "catch" in data:
        _clauses(part, "catch", data["catch"], f"{part.key}!")
    if "finally" in data:
        name = f"finally of {part.name}"
        _block(part, "finally", name, data["finally"], f"{part.key}!finally.")


def _clauses(owner: Part, kind: str, clauses: list[dict[str, Any]], prefix: str) -> None:
    parts = owner.clauses[kind] = []
    for index, data in enumerate(clauses):
        part = _part(kind, f"{kind}[{index}]", data)
        steps: list[dict[str, Any]] = data.get("do") or data.get("else", [])
        place = f"{prefix}{index}." if kind == "switch" else f"{prefix}{part.key}."
        _block(part, "do", f"{part.key} of {owner.name}", steps, place)
        parts.append(part)


def kind_of(step: dict[str, Any]) -> str:
    """The kind of a step. `do` is a kind only where no other stands beside it."""
    return next((key for key in step if key in _KINDS and key != "do"), "do")
