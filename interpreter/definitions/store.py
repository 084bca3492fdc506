"""Where definitions come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from dsl.diagnostics import did_you_mean
from dsl.model.definition import Definition, canonical, digest

__all__ = [
    "DefinitionStore",
    "MemoryStore",
    "StoredDefinition",
    "UnknownDefinitionError",
    "is_number",
]


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """A definition as it is stored and pinned.

    Args:
        definition: The model.
        text: Its normal form.
        digest: SHA-256 of the normal form, in hex.
        revision: What people call this state of it.
    """

    definition: Definition
    text: str
    digest: str
    revision: str


def is_number(revision: str) -> bool:
    """Whether a revision is one of the registry, and not the start of a digest."""
    return revision.isdecimal() and len(revision) < 10


class UnknownDefinitionError(Exception):
    """There is no definition of that name, or no such revision of it."""


class DefinitionStore(Protocol):
    """Gives definitions by name."""

    async def get(
        self, name: str, revision: str | None = None, alias: str | None = None, draw: float = 0.0
    ) -> StoredDefinition:
        """A definition.

        Args:
            name: Its name.
            revision: Which revision; the one of the alias where none is given.
            alias: Which alias; `live`, and what takes a share of it, where none is given.
            draw: A number from 0 to 1 that decides about shares.

        Raises:
            UnknownDefinitionError: if there is none.
        """
        ...


class MemoryStore:
    """Definitions that were read from files. Their revision is the start of their digest."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self._stored: dict[str, StoredDefinition] = {}
        self.add(definitions)

    def add(self, definitions: Iterable[Definition]) -> None:
        """Adds definitions; one of a name that is known takes its place."""
        for definition in definitions:
            text = canonical(definition)
            key = digest(text)
            self._stored[definition.name] = StoredDefinition(definition, text, key, key[:12])

    @property
    def names(self) -> list[str]:
        """The names of all definitions."""
        return list(self._stored)

    async def get(
        self, name: str, revision: str | None = None, alias: str | None = None, draw: float = 0.0
    ) -> StoredDefinition:
        """See `DefinitionStore.get`."""
        if alias not in (None, "live"):
            raise UnknownDefinitionError(
                f"definitions of files have no alias `{alias}`; the registry has aliases"
            )
        stored = self._stored.get(name)
        if stored is None:
            hint = did_you_mean(name, self._stored) or f"known: {', '.join(self._stored) or 'none'}"
            raise UnknownDefinitionError(f"no definition is named {name}; {hint}")
        if revision is not None and revision != stored.revision:
            raise UnknownDefinitionError(
                f"{name} has no revision {revision} here, only {stored.revision}: the worker of "
                "this task queue follows files, not the registry"
            )
        return stored
