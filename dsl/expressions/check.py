"""References of an expression against what is known at load."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from .errors import Problem, nearest
from .facts import Facts
from .rules import Reference
from .types import Type

__all__ = ["Scope", "check"]


_ELSEWHERE = {
    "item": "`item` is in scope inside a `foreach`",
    "index": "`index` is in scope inside a loop",
    "error": "`error` is in scope in `catch`, `finally`, `compensate` and `retry.when`",
    "attempt": "`attempt` is in scope in `retry.when` and in a body that is retried",
    "payload": "`payload` is in scope in the `where` of a wait, and in the handler of a message",
    "signal": "`signal` is in scope in the `where` of a wait",
    "step": "`step` is in scope in `compensate`",
    "result": "`result` is in scope in `output`",
    "status": "`status` is in scope in `finally`; that of a step is `steps.id.status`",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may read in one place of a definition.

    Attributes:
        names: Root names in scope, with their types.
        variables: The variables (`vars.<name>`), with their types.
        steps: Ids of the steps that may be read here.
        all_steps: Every id of the definition.
        observable: Ids of the steps whose `status` and `error` may be read from anywhere.
        outputs: The types of the outputs of steps, as far as they are known.
        doubt: Why a step may have no output, where some facts are known; None where it has one.
        hidden: Why a step cannot be read here: what is wrong, and what to do.
        facts: What is known to be there, and not null.
        nullable: What is read as an object, and may be null.
        lenient: Whether what is not there is no mistake.
        looking: Whether nothing may be changed, as `uuid()` changes the source of randomness.
    """

    names: Mapping[str, Type]
    variables: Mapping[str, Type]
    steps: AbstractSet[str]
    all_steps: AbstractSet[str]
    observable: AbstractSet[str] = frozenset()
    outputs: Mapping[str, Type] = field(default_factory=dict[str, Type])
    doubt: Callable[[str, Facts], str | None] = lambda id, known: None
    hidden: Callable[[str], tuple[str, str]] = lambda id: (
        f"the step `{id}` cannot be read here",
        "only steps before it can be read",
    )
    facts: Facts = frozenset()
    nullable: Facts = frozenset()
    lenient: bool = False
    looking: bool = False


def check(references: Iterable[Reference], scope: Scope) -> tuple[Problem, ...]:
    """The problems of references in a scope, in the order of the source."""
    problems = [problem for one in references if (problem := _check(one, scope))]
    return tuple(sorted(problems, key=lambda problem: (problem.start, problem.end)))


def _check(reference: Reference, scope: Scope) -> Problem | None:
    path, start, end = reference.path, reference.start, reference.end
    match reference.kind:
        case "misuse":
            code, message, hint = path
            return Problem(code, message, start, end, hint)
        case "bind" if path[0] in scope.names:
            message = f"the variable `{path[0]}` hides the `{path[0]}` of this place"
            return Problem("shadowed-name", message, start, end, "choose another name")
        case "name" if path[0] not in scope.names:
            return _unknown_name(path[0], start, end, scope)
        case "vars" if path[1] not in scope.variables:
            hint = nearest(path[1], sorted(scope.variables))
            message = f"there is no variable `{path[1]}` here"
            return Problem("unknown-variable", message, start, end, hint)
        case "steps" if path[2:] in (("status",), ("error",)) and path[1] in scope.observable:
            return None
        case "steps" if path[1] not in scope.steps:
            if path[1] in scope.all_steps:
                message, hint = scope.hidden(path[1])
                return Problem("step-not-visible", message, start, end, hint, path[1])
            hint = nearest(path[1], sorted(scope.steps)) or nearest(
                path[1], sorted(scope.all_steps)
            )
            message = f"there is no step `{path[1]}`"
            return Problem("unknown-step", message, start, end, hint)
        case _:
            return None


def _unknown_name(name: str, start: int, end: int, scope: Scope) -> Problem:
    if name == "secrets":
        message = "`secrets` cannot stand in an expression: its value would be seen"
        return Problem("secret", message, start, end, "let the activity read it on its worker")
    if name in _ELSEWHERE:
        hint = _ELSEWHERE[name]
    elif name in scope.variables:
        hint = f"write `vars.{name}`"
    elif name in scope.steps:
        hint = f"write `steps.{name}.output`"
    else:
        hint = nearest(name, (*sorted(scope.names), "steps", "vars"))
        if hint is None:
            hint = f'write `"{name}"` for a string' if name.isascii() else None
    return Problem("unknown-name", f"there is nothing named `{name}` here", start, end, hint)
