"""The store of a worker that follows the registry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from interpreter.definitions.registry import Head, Registry
from interpreter.definitions.store import StoredDefinition, UnknownDefinitionError

__all__ = ["RegistryStore"]

K = TypeVar("K")
V = TypeVar("V")

_PERIOD = 1.0
"""How old what is known of aliases may be, in seconds."""
_KEPT = 1000
_LONGEST = 9


class _Once(Generic[K, V]):
    """Values by key. Those who ask at the same time for what is not there wait for one answer."""

    def __init__(self, ask: Callable[[K], Awaitable[V]], lasts: float | None = None) -> None:
        self._ask = ask
        self._lasts = lasts
        self._known: dict[K, tuple[float, asyncio.Task[V]]] = {}

    async def get(self, key: K) -> V:
        known = self._known.get(key)
        if known is None or self._is_old(*known):
            # As old as the question, not as the answer: nothing newer than this was seen.
            known = time.monotonic(), asyncio.ensure_future(self._asked(key))
            self._known.pop(key, None)
            self._known[key] = known
            if len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]
        # One who is cancelled does not take the answer away from the others.
        return await asyncio.shield(known[1])

    async def _asked(self, key: K) -> V:
        return await self._ask(key)

    def _is_old(self, at: float, task: asyncio.Task[V]) -> bool:
        if not task.done():
            return False
        if task.cancelled() or task.exception() is not None:
            return True
        return self._lasts is not None and time.monotonic() - at > self._lasts


class RegistryStore:
    """Definitions of the registry.

    A revision never changes, and is asked for once. Where aliases point is asked again when it is
    asked for and what is known is older than a second: so a deployment is followed within that
    time, and a thousand starts at once ask once.

    Args:
        registry: The registry.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._heads: _Once[str, Head | None] = _Once(registry.head, _PERIOD)
        self._revisions: _Once[tuple[str, str, int], StoredDefinition] = _Once(self._load)
        self.loads = 0
        """How many definitions were loaded."""

    async def get(
        self, name: str, revision: str | None = None, alias: str | None = None, draw: float = 0.0
    ) -> StoredDefinition:
        """See `DefinitionStore.get`."""
        head = await self._heads.get(name)
        if head is None:
            raise UnknownDefinitionError(
                f"no definition named {name} is deployed; `temporal-dsl deploy FILE` deploys one"
            )
        if revision is None:
            return await self._revisions.get((name, head.born, head.choose(alias, draw)))
        if head.retired:
            head.choose(None, draw)  # which says so
        if not revision.isdecimal() or len(revision) > _LONGEST:
            raise UnknownDefinitionError(
                f"{name} has no revision {revision}: in the registry they are numbers"
            )
        return await self._revisions.get((name, head.born, int(revision)))

    async def _load(self, key: tuple[str, str, int]) -> StoredDefinition:
        name, _, number = key
        self.loads += 1
        return await self._registry.stored(name, number)
