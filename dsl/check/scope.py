"""What can be read in a place of a definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dsl.expressions import Scope

__all__ = ["Place"]

_ROOT_NAMES = {"input": "the input", "workflow": "the run: its id, type, start_time"}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a definition: what expressions see there, and what may stand there.

    Args:
        names: The names in scope.
        variables: The variables in scope.
        visible: Ids of the steps before it. Grows while a sequence is walked.
        all_steps: Every id of the definition.
        observable: Ids outside iterations: their status can be read from anywhere.
        undoing: Whether it is in a compensation.
        cleaning: Whether it is in a `finally`.
        looping: Whether it is in a loop that can be left from here.
    """

    all_steps: frozenset[str]
    observable: frozenset[str]
    names: Mapping[str, str] = field(default_factory=lambda: dict(_ROOT_NAMES))
    variables: frozenset[str] = frozenset()
    visible: set[str] = field(default_factory=set[str])
    undoing: bool = False
    cleaning: bool = False
    looping: bool = False

    def scope(self) -> Scope:
        """The scope of an expression here."""
        return Scope(self.names, self.variables, self.visible, self.all_steps, self.observable)

    def naming(self, **names: str) -> Place:
        """The same place with more names."""
        return replace(self, names={**self.names, **names})

    def declaring(self, variables: Mapping[str, object]) -> Place:
        """The same place with more variables."""
        return replace(self, variables=self.variables | variables.keys())

    def apart(self) -> Place:
        """A place whose steps are not seen from outside: an iteration, a compensation."""
        return replace(self, visible=set(self.visible))
