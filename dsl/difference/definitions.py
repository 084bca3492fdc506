"""What changed between two definitions, in terms of their steps."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from typing import Any

from dsl.difference.align import Gone, align, merged
from dsl.difference.schemas import schema_changes
from dsl.difference.tree import Block, Part, kind_of, read_definition, read_undo, steps_in
from dsl.difference.values import MISSING, changes, text_of
from dsl.model.definition import Definition, canonical
from dsl.steps import KINDS

__all__ = ["differences"]

_FIELDS = {
    cls.kind: frozenset(field.alias or name for name, field in cls.model_fields.items())
    for cls in KINDS
}
"""The keys of each kind."""


def differences(old: Definition, new: Definition) -> list[str]:
    """What changed between two definitions in their normal form, a line each.

    Steps with an id are the same wherever they stand. Those without are found again by their
    content, and by their place among others of their kind. They are named by their place in
    the new definition, a removed one by that in the old.

    Returns:
        The lines in the order of the new definition; nothing if both are the same.
    """
    before, after = canonical(old), canonical(new)
    if before == after:
        return []
    lines = list(_definition(json.loads(before), json.loads(after)))
    return lines or ["definition: the same, written differently"]


def _definition(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    before, after = read_definition(old), read_definition(new)
    schema, was_schema = after.fields.get("input"), before.fields.get("input")
    if schema is not None and was_schema is not None:
        yield from schema_changes("input: ", was_schema, schema)
        del after.fields["input"], before.fields["input"]
    for kind in ("signal", "update"):
        messages, were = _messages(after, f"{kind}s"), _messages(before, f"{kind}s")
        for name in messages:
            if name in were:
                yield from _message(f"{kind} {name}: ", were[name], messages[name])
                del after.fields[f"{kind}s"][name], before.fields[f"{kind}s"][name]
    yield from _Activation(before, after).part("definition: ", before, after)


def _messages(part: Part, key: str) -> dict[str, Any]:
    """A copy of the signals or updates of a definition, of which there may be none."""
    return dict(part.fields.setdefault(key, {}))


def _message(at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if "payload" in old and "payload" in new:
        yield from schema_changes(at, old["payload"], new["payload"])
        old, new = ({k: v for k, v in one.items() if k != "payload"} for one in (old, new))
    for name in new | old:
        yield from changes(at, name, old.get(name, MISSING), new.get(name, MISSING))


class _Activation:
    """Compares the steps of a definition, or those of a compensation, which has its own ids.

    Args:
        old: What the old steps are in.
        new: What the new steps are in.
        prefix: What stands before the names of the steps.
    """

    def __init__(self, old: Part, new: Part, prefix: str = "") -> None:
        self.old = {step.id: step for step in steps_in(old) if step.id}
        self.new = {step.id for step in steps_in(new) if step.id}
        self.prefix = prefix

    def block(self, old: Block | None, new: Block | None, quiet: bool = False) -> Iterator[str]:
        """What changed in a list of steps.

        Args:
            old: The list as it was, if there was any.
            new: The list as it is, if there is any.
            quiet: Whether new steps go without saying, for the list is in something new.
        """
        before, after = old.steps if old else [], new.steps if new else []
        was = align(before, after, _content, _ids_inside, _kind)
        was |= {step: self.old[step.id] for step in after if step.id in self.old}
        for row in merged(before, after, was):
            step, called = row.part, f"step {self.prefix}{row.part.key}"
            if isinstance(row, Gone):
                if step.id not in self.new:
                    yield f"{called} removed"
            elif row.was is None:
                if not quiet:
                    yield f"{called} added{row.near or _within(step)}"
                yield from self.inside(step)
            else:
                if not row.stays:
                    yield f"{called} moved{_way(row.was, step, row.was.home is old)}{row.near}"
                yield from self.part(f"{called}: ", row.was, step)

    def inside(self, part: Part) -> Iterator[str]:
        """What is in something new, and stood elsewhere before."""
        for block in part.inner():
            yield from self.block(None, block, quiet=True)

    def part(self, at: str, old: Part, new: Part) -> Iterator[str]:
        """What changed in a step, a clause or the definition.

        Args:
            at: What stands before the names of its fields.
            old: The part as it was.
            new: The part as it is.
        """
        if old.text == new.text:
            return
        if old.kind != new.kind:
            whole = at.rstrip(" ").removesuffix(".")
            yield f"{whole} is {_what(new)} now, was {_what(old)}"
        yield from _fields(at, old, new)
        yield from self.bodies(at, old, new)
        yield from self.clauses(at, "switch", old, new)
        yield from self.undo(at, old, new)
        yield from self.clauses(at, "catch", old, new)
        yield from self.block(old.blocks.get("finally"), new.blocks.get("finally"))

    def bodies(self, at: str, old: Part, new: Part) -> Iterator[str]:
        """What changed in the body of a step, or its branches."""
        for label in new.blocks | old.blocks:
            before, after = old.blocks.get(label), new.blocks.get(label)
            if label == "finally":
                continue
            if old.kind != new.kind or (before and after):
                yield from self.block(before, after)
            elif after:
                yield f"{at}{label} added"
                yield from self.block(None, after, quiet=True)
            else:
                yield f"{at}{label} removed"
        if [b for b in old.blocks if b in new.blocks] != [b for b in new.blocks if b in old.blocks]:
            yield f"{at}branches are in another order"

    def clauses(self, at: str, kind: str, old: Part, new: Part) -> Iterator[str]:
        """What changed in the clauses of a `switch` or a `catch`."""
        before, after = old.clauses.get(kind, []), new.clauses.get(kind, [])
        other = kind == "switch" and old.kind != new.kind  # which is said already
        was = align(before, after, _content, _condition, _kind)
        for row in merged(before, after, was):
            clause = row.part
            if isinstance(row, Gone):
                if other:
                    yield from self.block(clause.blocks["do"], None)
                else:
                    yield from changes(at, clause.key, clause.data, MISSING)
            elif row.was is None:
                if not other:
                    yield from changes(at, clause.key, MISSING, clause.data)
                yield from self.block(None, clause.blocks["do"], quiet=not other)
            else:
                if not row.stays:
                    yield f"{at}{clause.key} moved{row.near}"
                yield from self.part(f"{at}{clause.key}.", row.was, clause)

    def undo(self, at: str, old: Part, new: Part) -> Iterator[str]:
        """What changed in the compensation of a step."""
        before, after = old.data.get("compensate", []), new.data.get("compensate", [])
        if not (before and after):
            yield from changes(at, "compensate", _written(before), _written(after))
            return
        alone = all(len(steps) == 1 and "id" not in steps[0] for steps in (before, after))
        was, now = read_undo(before, alone), read_undo(after, alone)
        at = f"{at}compensate."
        inner = _Activation(was, now, at.removeprefix("step "))
        if alone:
            yield from inner.part(at, was.blocks["do"].steps[0], now.blocks["do"].steps[0])
        else:
            yield from inner.block(was.blocks["do"], now.blocks["do"])


def _written(steps: list[dict[str, Any]]) -> Any:
    """A compensation as its author may write it: the kinds first, one step without a list."""
    if not steps:
        return MISSING
    shown = [{kind: step[kind], **step} for step in steps for kind in (kind_of(step),)]
    return shown[0] if len(shown) == 1 else shown


def _fields(at: str, old: Part, new: Part) -> Iterator[str]:
    """What changed in the fields of a part: those that mean the same, if it has another kind."""
    same: Container[str] = new.fields | old.fields
    if old.kind != new.kind:
        same = _FIELDS[old.kind] & _FIELDS[new.kind]
        if "activity" in (old.kind, new.kind):
            same -= {"retry"}
    for name in new.fields | old.fields:
        if name not in same:
            continue
        absent: Any = {} if name in ("vars", "queries") else MISSING
        yield from changes(at, name, old.fields.get(name, absent), new.fields.get(name, absent))


def _what(step: Part) -> str:
    return f"activity {step.fields['activity']}" if step.kind == "activity" else step.kind


def _within(step: Part) -> str:
    home = step.home
    return f" in {home.name}" if home and not home.outermost else ""


def _way(old: Part, new: Part, same: bool) -> str:
    """From which list into which a step moved."""
    if same or not (old.home and new.home):
        return ""
    return f" out of {old.home.name}" if new.home.outermost else f" into {new.home.name}"


# What makes two parts alike.


def _content(part: Part) -> str:
    return f"#{part.id}" if part.id else part.text


def _ids_inside(step: Part) -> str:
    ids = [inner.id for inner in steps_in(step) if inner.id]
    return f"{step.kind} {ids}" if ids and not step.id else _content(step)


def _condition(clause: Part) -> str:
    return text_of([clause.fields.get("errors"), clause.fields.get("when")])


def _kind(part: Part) -> str:
    return f"#{part.id}" if part.id else part.kind
