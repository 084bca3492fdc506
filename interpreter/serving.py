"""Where a worker's definitions come from, and what goes on beside it as long as it runs.

`temporal-dsl worker` and `DslPlugin` share it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from temporalio.client import Client

from dsl.catalogue import Catalogue
from dsl.diagnostics import Diagnostic
from dsl.loader import Loaded
from interpreter.definitions.catalogues import identity, identity_of_files, offer
from interpreter.definitions.directory import DirectoryStore, Reload
from interpreter.definitions.registry import QUEUE, Registry
from interpreter.definitions.remote import RegistryStore
from interpreter.logs import LOGGER

__all__ = ["Deployed", "Files", "Lasting", "meanwhile"]

Lasting: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Work that lasts for ever."""
_PAUSE = 10.0


class Deployed:
    """What is deployed.

    Args:
        home: A client in the namespace of the registry, with the SDK's own data converter: who
            deploys writes what this reads.
        catalogue: The activities of the worker.
    """

    def __init__(self, home: Client, catalogue: Catalogue) -> None:
        self._home = home
        self._catalogue = catalogue
        self._registry = Registry(home)
        self.store = RegistryStore(self._registry)
        self.identity = identity(catalogue)
        """What the worker is known by: who deploys finds its activities by that."""

    async def names(self) -> list[str]:
        """The names that are deployed.

        Raises:
            RPCError: if the registry cannot be read.
        """
        return [head.name for head in await self._registry.heads()]

    async def knows(self, name: str) -> bool:
        """Whether a definition of that name was ever deployed."""
        return await self._registry.head(name) is not None

    async def offer(self) -> None:
        """Offers the activities to those who deploy, for ever."""
        await offer(self._home, self._catalogue, QUEUE)


class Files:
    """The definitions of a folder or a file.

    Args:
        path: The folder or the file.
        catalogue: The activities of the worker.
    """

    def __init__(self, path: Path, catalogue: Catalogue) -> None:
        self.store = DirectoryStore([path], catalogue)
        self.identity = identity_of_files()
        """What the worker is known by."""

    def load(self) -> Loaded:
        """Reads everything, for the first time."""
        return self.store.load()

    async def knows(self, name: str) -> bool:
        """Whether a definition of that name is served."""
        return name in self.store.names

    async def follow(self, show: Callable[[Iterable[Diagnostic]], None]) -> None:
        """Takes over what changes, for ever, and logs it.

        Args:
            show: Says what is wrong with a file.
        """
        await self.store.watch(lambda reload: _report(reload, show))


def _report(reload: Reload, show: Callable[[Iterable[Diagnostic]], None]) -> None:
    for name in reload.changed:
        LOGGER.info("%s was read", name)
    for name in reload.removed:
        LOGGER.warning("%s is gone: it takes no starts", name)
    if reload.diagnostics:
        show(reload.diagnostics)
    for name in reload.kept:
        LOGGER.error("%s stays as it was: its file is wrong now", name)


@asynccontextmanager
async def meanwhile(*works: Lasting) -> AsyncGenerator[None]:
    """Does what lasts for ever as long as something else lasts; begins again where it failed."""

    async def again_and_again(work: Lasting) -> None:
        while True:
            try:
                await work()
            except Exception as error:
                LOGGER.error("it is tried again: %s", error)
                await asyncio.sleep(_PAUSE)

    tasks = [asyncio.ensure_future(again_and_again(work)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
