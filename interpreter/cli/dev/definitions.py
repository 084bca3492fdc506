"""The definitions of a folder, published as they change."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from interpreter.cli.dev.terminal import Terminal

if TYPE_CHECKING:
    from dsl.catalogue import Catalogue
    from dsl.diagnostics import Diagnostic
    from dsl.model.definition import Definition
    from interpreter.definitions.directory import DirectoryStore, Reload
    from interpreter.definitions.registry import Head, Registry

__all__ = ["Definitions", "command_to_start"]

_PERIOD = 0.25
_PAUSE = 2.0
_MOST_CHANGES = 8


class Definitions:
    """Follows files, and keeps the registry as they are.

    Args:
        folder: Where the files are.
        registry: The registry.
        terminal: Is told.
    """

    def __init__(self, folder: Path, registry: Registry, terminal: Terminal) -> None:
        self.folder = folder
        self.registry = registry
        self.terminal = terminal
        self.live: dict[str, int] = {}
        """The revisions of what takes starts, of those that stand in files."""
        self.newest: dict[str, Definition] = {}
        self._digests: dict[str, str] = {}
        self._checked: str | None = None
        self._store: DirectoryStore | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reloads: list[Reload] = []
        self._again: float | None = None
        self._problem = ""
        self._shown: set[Diagnostic] = set()
        self._wrong: set[str] = set()
        self._owned = False
        self._ours = f" (dev in {folder.resolve()})"  # for whom another `dev` published is not ours

    @property
    def pending(self) -> bool:
        """Whether files changed."""
        again = self._again is not None and time.monotonic() > self._again
        return again or bool(self._reloads)

    async def follow(self, catalogue: Catalogue, digest: str) -> None:
        """Looks at all files, from now on with these activities.

        Args:
            catalogue: The activities of the worker.
            digest: What tells it from others.
        """
        from interpreter.definitions.directory import DirectoryStore

        if digest == self._checked:
            return
        await self.stop()
        self._reloads.clear()
        self._store = DirectoryStore([self.folder], catalogue)
        await asyncio.to_thread(self._store.load)
        self._checked = digest
        self._watching = asyncio.ensure_future(self._store.watch(self._reloads.append, _PERIOD))
        await self.take()

    async def stop(self) -> None:
        """Looks no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
            self._watching = None

    async def take(self) -> None:
        """Publishes what changed, and tells what is wrong."""
        from temporalio.client import (
            WorkflowFailureError,
            WorkflowQueryFailedError,
            WorkflowUpdateRPCTimeoutOrCancelledError,
        )
        from temporalio.service import RPCError

        from interpreter.definitions.host import hosted

        if self._watching is not None and self._watching.done():
            self._watching.result()
        if self._store is None:
            return
        gone = {name for reload in self._reloads for name in reload.removed}
        kept = {name for reload in self._reloads for name in reload.kept}
        self._reloads.clear()
        self._again = None
        loaded = self._store.load()  # at once, so that nothing is reported between
        self._tell(loaded.diagnostics, {d.name for d in loaded.definitions} - kept)
        try:
            async with hosted(self.registry.client):
                there = {d.name for d in loaded.definitions}
                moved = await self._publish_all(loaded.definitions)
                moved += await self._retire_all(gone, there, loaded.ok)
                await self._schedule(moved)
            self._problem = ""
        except (
            RPCError,
            WorkflowFailureError,
            WorkflowQueryFailedError,
            WorkflowUpdateRPCTimeoutOrCancelledError,
        ) as error:
            problem = f"the registry does not answer: {error}; it is tried again"
            if problem != self._problem:
                self.terminal.problem(problem)
            self._problem = problem
            self._again = time.monotonic() + _PAUSE

    def _tell(self, diagnostics: list[Diagnostic], good: set[str]) -> None:
        from dsl.diagnostics import Severity

        new = [one for one in diagnostics if one not in self._shown]
        self._shown = set(diagnostics)
        wrong = {d.source.name for d in diagnostics if d.severity is Severity.ERROR}
        if new:
            stay = {name: number for name, number in self.live.items() if name not in good}
            self.terminal.diagnostics(new, stay if wrong else {})
        if mended := sorted(self._wrong - wrong):
            self.terminal.mended(mended)
        self._wrong = wrong

    async def _schedule(self, moved: Sequence[str]) -> None:
        """Makes the schedules of definitions what is live says."""
        from interpreter.cli.deploy import schedule_line, settled
        from interpreter.worker import TASK_QUEUE

        done, errors = await settled(self.registry.client, self.registry, moved, TASK_QUEUE)
        for name, one in done.items():
            line = schedule_line(one)
            if line is not None:
                self.terminal.scheduled(name, line)
        for name, error in errors.items():
            self.terminal.problem(f"the schedule of {name} does not follow: {error}")

    async def _publish_all(self, definitions: Sequence[Definition]) -> list[str]:
        """Publishes what is not live as the files say, with what runs what changed.

        Returns:
            The names of what it published.
        """
        from dsl.model.definition import canonical, digest
        from interpreter.cli.registered import commit_of

        contents = {one.name: digest(canonical(one)) for one in definitions}
        if all(self._digests.get(name) == content for name, content in contents.items()):
            return []
        planned = await self.registry.foreseen(definitions)
        heads = await asyncio.gather(*(self.registry.head(name) for name in contents))
        together: list[Definition] = []
        alone: list[Definition] = []
        changes: dict[str, list[str]] = {}
        for own, plan, head in zip(definitions, planned, heads, strict=True):
            self.newest[own.name] = own
            retired = head is not None and head.retired
            same = head is not None and head.digests.get("live") == digest(canonical(plan))
            if head is not None and same and not retired:
                self.live[own.name] = head.aliases["live"]
                continue
            changes[own.name] = await self._changes(head, plan)
            (alone if retired else together).append(own)
        if changes:
            commit = await asyncio.to_thread(commit_of, [self.folder])
            for group in (together, *([one] for one in alone)):
                await self._publish(group, commit, changes)
        self._digests |= contents
        return [name for name in changes if name in self.live]

    async def _publish(
        self, group: Sequence[Definition], commit: str | None, changes: dict[str, list[str]]
    ) -> None:
        """Publishes definitions, as `deploy` does; each for itself where one is refused.

        Args:
            group: The definitions.
            commit: The state of the author's repository.
            changes: What is different from what was live, by the names.
        """
        from interpreter.cli.registered import author
        from interpreter.definitions.registry import RefusedError

        if not group:
            return
        try:
            by = author() + self._ours
            published = await self.registry.publish_all(group, by=by, commit=commit)
        except RefusedError as error:
            if len(group) == 1:
                self.terminal.refused(group[0].name, str(error))
                return
            for one in group:
                await self._publish([one], commit, changes)
            return
        for name, one in published.items():
            self.live[name] = one.revision
            self.terminal.deployed(name, one.revision, changes[name])

    async def _changes(self, head: Head | None, new: Definition) -> list[str]:
        """What is different from what is live; nothing where that cannot be told."""
        from dsl.difference import differences
        from interpreter.definitions.store import UnknownDefinitionError

        if head is None or "live" not in head.aliases:
            return []
        try:
            old = await self.registry.stored(new.name, head.aliases["live"])
        except (ValueError, UnknownDefinitionError):
            return []
        lines = differences(old.definition, new)
        more = len(lines) - _MOST_CHANGES
        return lines if more <= 0 else [*lines[:_MOST_CHANGES], f"... and {more} more"]

    async def _retire_all(self, gone: set[str], there: set[str], sure: bool) -> list[str]:
        """Retires what has no file any more.

        Args:
            gone: Names whose file was seen to go.
            there: Names that files have.
            sure: Whether all files could be read: a name that none has is gone then.

        Returns:
            The names of what it retired.
        """
        from interpreter.cli.registered import author
        from interpreter.definitions.registry import RefusedError
        from interpreter.definitions.store import UnknownDefinitionError

        if sure:
            gone = gone | self.live.keys()
            gone |= set() if self._owned else await self._published_before()
            self._owned = True
        retired: list[str] = []
        for name in sorted(gone - there):
            try:
                await self.registry.retire(name, by=author() + self._ours)
            except (RefusedError, UnknownDefinitionError):
                continue  # it is gone in every way
            self.live.pop(name, None)
            self.newest.pop(name, None)
            self._digests.pop(name, None)
            self.terminal.retired(name)
            retired.append(name)
        return retired

    async def _published_before(self) -> set[str]:
        """What a `dev` before this one made live. What others deployed is left to them."""
        found: set[str] = set()
        for head in await self.registry.heads():
            if head.retired or head.name in self.live:
                continue
            deeds = (await self.registry.kept(head.name)).deeds
            made = [deed.by for deed in deeds if deed.what.startswith("live -> ")]
            if made and made[-1].endswith(self._ours):
                found.add(head.name)
        return found


def command_to_start(definition: Definition) -> str:
    """A command that starts a definition, with an input that fits where one can be made up."""
    from dsl.model.inputs import check_input, with_defaults

    command = f"temporal-dsl start {definition.name}"
    schema = definition.input
    if schema is None or not check_input(schema, with_defaults(schema, {})):
        return f"{command} --follow"
    example = _example(schema, "", 0)
    if check_input(schema, with_defaults(schema, example)):
        return f"{command} --input @FILE --follow"
    return f"{command} --input {shlex.quote(json.dumps(example, ensure_ascii=False))} --follow"


def _example(schema: Any, name: str, depth: int) -> Any:
    """A small value for a schema, which may not fit.

    Args:
        schema: The schema.
        name: What a text says.
        depth: How deep it is inside others.
    """
    if not isinstance(schema, dict) or depth > 5:
        return None
    known = cast("dict[str, Any]", schema)
    for key in ("default", "const"):
        if key in known:
            return known[key]
    for key in ("examples", "enum"):
        if known.get(key):
            return known[key][0]
    kind = known.get("type", "object" if "properties" in known else None)
    properties: dict[str, Any] = known.get("properties", {})
    match kind:
        case "object":
            required: list[str] = known.get("required", [])
            return {one: _example(properties.get(one, True), one, depth + 1) for one in required}
        case "array":
            least: int = known.get("minItems", 0)
            return [_example(known.get("items", True), name, depth + 1)] * least
        case "integer" | "number":
            return known.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return name.ljust(known.get("minLength", 0), "x")
        case _:
            return None
