"""The registry as its clients see it: publishing, choosing and reading revisions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from dsl.diagnostics import did_you_mean
from dsl.model.definition import Definition, canonical, digest
from interpreter.definitions.calls import called_by, in_order, pinned
from interpreter.definitions.entity import (
    LIVE,
    MEMO,
    TYPE,
    DefinitionEntity,
    DeploymentWorkflow,
    Kept,
    Pointing,
    Publication,
    Published,
    Retirement,
    Revision,
    id_of,
)
from interpreter.definitions.packed import pack, unpack
from interpreter.definitions.publishing import too_large
from interpreter.definitions.store import StoredDefinition, UnknownDefinitionError

__all__ = ["QUEUE", "Head", "RefusedError", "Registry"]

T = TypeVar("T")

QUEUE = "dsl-registry"
"""The task queue of the registry's own workflows."""
_AT_ONCE = 16
_TASK = timedelta(seconds=5)
"""How long somebody may work on a change, before somebody else gets it."""
_DEPLOYED = timedelta(minutes=5)
_FIRST_TRY = timedelta(seconds=1)
_PATIENCE = 30.0
_SILENT = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)


class RefusedError(Exception):
    """The registry refused a change, and wrote nothing."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the aliases of a name point.

    Attributes:
        name: The definition's name.
        aliases: For each alias the number of its revision.
        digests: For each alias the digest of its revision.
        weights: The share of the starts of `live` that go to an alias instead.
        retired: Whether no starts are taken.
        revisions: How many revisions were published.
        changed: When something changed last, RFC 3339.
        born: What tells this registration from one of the same name before it.
    """

    name: str
    aliases: dict[str, int]
    digests: dict[str, str]
    weights: dict[str, float]
    retired: bool
    revisions: int
    changed: str
    born: str

    def choose(self, alias: str | None, draw: float) -> int:
        """The revision that a start takes.

        Args:
            alias: The alias it follows; `live`, and what takes a share of it, where none is given.
            draw: A number from 0 to 1 that decides about shares.

        Raises:
            UnknownDefinitionError: if there is none, or starts are refused.
        """
        if self.retired:
            hint = f"`temporal-dsl definitions promote {self.name} --to N` takes it back"
            raise UnknownDefinitionError(f"{self.name} is retired and takes no starts; {hint}")
        if alias is None:
            alias = LIVE
            for name, weight in sorted(self.weights.items()):
                if draw < weight:
                    alias = name
                    break
                draw -= weight
        if alias not in self.aliases:
            known = ", ".join(sorted(self.aliases)) or "none"
            hint = did_you_mean(alias, self.aliases) or f"its aliases: {known}"
            raise UnknownDefinitionError(f"{self.name} has no alias `{alias}`; {hint}")
        return self.aliases[alias]


class Registry:
    """The registry of a namespace.

    Its methods raise `RefusedError` for what the registry refuses, `UnknownDefinitionError` for
    names that it does not have, and `RPCError` where the server does not answer. All but `head`
    and `heads` need a worker on the registry's queue: see `interpreter.definitions.host`.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    async def publish(
        self,
        definition: Definition,
        *,
        by: str,
        commit: str | None = None,
        alias: str | None = LIVE,
    ) -> Published:
        """Publishes a definition; the same content stays the same revision."""
        text = canonical(definition)
        publication = Publication(pack(text), digest(text), by, commit, alias)
        if (why := too_large(publication)) is not None:
            raise RefusedError(f"{definition.name}: {why}")
        update = str(uuid.uuid4())

        async def publish(timeout: timedelta) -> Published:
            start = WithStartWorkflowOperation(
                DefinitionEntity.run,
                Kept(definition.name),
                id=id_of(definition.name),
                task_queue=QUEUE,
                task_timeout=_TASK,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
            try:
                return await self.client.execute_update_with_start_workflow(  # pyright: ignore[reportUnknownMemberType]
                    DefinitionEntity.publish,
                    publication,
                    start_workflow_operation=start,
                    id=update,
                    rpc_timeout=timeout,
                )
            except BaseException:
                # The other half of the answer, which nobody else would look at.
                asyncio.ensure_future(start.workflow_handle()).add_done_callback(_seen)
                raise

        try:
            return await _answered(publish)
        except WorkflowUpdateFailedError as error:
            raise _refused(definition.name, error) from None

    async def publish_all(
        self,
        definitions: Sequence[Definition],
        *,
        by: str,
        commit: str | None = None,
        alias: str = LIVE,
        progress: Any = None,
    ) -> dict[str, Published]:
        """Publishes several definitions, all or none.

        All are kept first, without an alias. If none was refused, a workflow points the alias to
        all of them: it goes on although whoever started it is killed.

        Args:
            definitions: What is published.
            by: Who publishes it.
            commit: The state of the author's repository.
            alias: What points to them then.
            progress: Called after each, with how many are done.
        """
        outside = await self._revisions(definitions, alias)
        if len(definitions) == 1:
            only = pinned(definitions[0], outside)
            return {only.name: await self.publish(only, by=by, commit=commit, alias=alias)}
        before = await self._each([one.name for one in definitions], self.head)
        slots = asyncio.Semaphore(_AT_ONCE)
        begun: dict[str, asyncio.Task[Published]] = {}
        done = 0

        async def each(
            definition: Definition, runs: dict[str, asyncio.Task[Published]]
        ) -> Published:
            nonlocal done
            known = {name: (await asyncio.shield(one)).revision for name, one in runs.items()}
            definition = pinned(definition, outside | known)
            async with slots:
                head = before[definition.name]
                if head is not None and head.digests.get(alias) == digest(canonical(definition)):
                    published = Published(head.aliases[alias], new=False, moved=False)
                else:
                    published = await self.publish(definition, by=by, commit=commit, alias=None)
            done += 1
            if progress is not None:
                progress(done)
            return published

        for definition in in_order(definitions):
            runs = {name: begun[name] for name in called_by(definition) if name in begun}
            begun[definition.name] = asyncio.create_task(each(definition, runs))
        outcomes = await asyncio.gather(
            *(begun[one.name] for one in definitions), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if refused:
            if all(isinstance(error, RefusedError) for error in refused):
                raise RefusedError("\n".join(dict.fromkeys(map(str, refused))))
            raise refused[0]
        published = {
            definition.name: outcome
            for definition, outcome in zip(definitions, outcomes, strict=True)
            if isinstance(outcome, Published)
        }
        for name, one in published.items():
            head = before[name]
            back = head is not None and head.retired and alias == LIVE
            one.moved = back or head is None or head.aliases.get(alias) != one.revision
        if any(one.moved for one in published.values()):
            # All, also those that stay: another deployment may have moved them meanwhile.
            await self._deploy(alias, by, {name: one.revision for name, one in published.items()})
            # They have taken it in when they answer.
            kept = await self._each(list(published), self.kept)
            lost = [name for name in kept if self._lost(kept[name], alias, published, before)]
            if lost:
                said = f"not deployed, because it was let go meanwhile: {', '.join(lost)}"
                raise RefusedError(f"{said}; deploy again")
        return published

    async def foreseen(
        self, definitions: Sequence[Definition], alias: str = LIVE
    ) -> list[Definition]:
        """Definitions as `publish_all` would publish them now: with the revisions that they run."""
        revisions = await self._revisions(definitions, alias)
        heads = await self._each([one.name for one in definitions], self.head)
        found: dict[str, Definition] = {}
        for definition in in_order(definitions):
            name, head = definition.name, heads[definition.name]
            found[name] = pinned(definition, revisions)
            same = head is not None and head.digests.get(alias) == digest(canonical(found[name]))
            last = 0 if head is None else head.revisions
            revisions[name] = head.aliases[alias] if head is not None and same else last + 1
        return [found[one.name] for one in definitions]

    async def _revisions(self, definitions: Sequence[Definition], alias: str) -> dict[str, int]:
        """The revisions of what definitions run that are not deployed with them."""
        called = {name for one in definitions for name in called_by(one)}
        heads = await self._each(sorted(called - {one.name for one in definitions}), self.head)
        known = {name: head.aliases for name, head in heads.items() if head is not None}
        pointed = {name: it.get(alias, it.get(LIVE)) for name, it in known.items()}
        return {name: number for name, number in pointed.items() if number is not None}

    def _lost(
        self,
        kept: Kept,
        alias: str,
        published: dict[str, Published],
        before: dict[str, Head | None],
    ) -> bool:
        """Whether an alias still points where it did, though it should point elsewhere."""
        head, target = before[kept.name], kept.aliases.get(alias)
        old = head.aliases.get(alias) if head is not None else None
        now = target.revision if target is not None else None
        return now == old != published[kept.name].revision

    async def _deploy(self, alias: str, by: str, revisions: dict[str, int]) -> None:
        """Points an alias of several. One deployment after the other, so that they do not mix."""
        id = f"dsl.deployment/{alias}"
        while True:
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await self.client.execute_workflow(
                    DeploymentWorkflow.run,
                    args=[alias, by, revisions],
                    id=id,
                    task_queue=QUEUE,
                    # Later it would surprise those who have gone on since.
                    execution_timeout=_DEPLOYED,
                )
                return
            with contextlib.suppress(WorkflowFailureError):
                await self.client.get_workflow_handle(id).result()

    async def _each(self, names: Sequence[str], what: Any) -> dict[str, Any]:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> Any:
            async with slots:
                return await what(name)

        return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))

    async def point(
        self, name: str, alias: str, revision: int, *, by: str, weight: float | None = None
    ) -> bool:
        """Points an alias to a revision; says whether that changed anything."""
        return await self._changed(
            name, DefinitionEntity.point, Pointing(alias, revision, by, weight)
        )

    async def retire(self, name: str, *, by: str, alias: str | None = None) -> bool:
        """Takes no starts any more, or an alias away; says whether that changed anything."""
        return await self._changed(name, DefinitionEntity.retire, Retirement(by, alias))

    async def _changed(self, name: str, change: Any, wanted: Any) -> bool:
        """Sends an update; says whether that changed anything."""
        entity = self._entity(name)
        update = str(uuid.uuid4())
        try:
            return await _answered(
                lambda timeout: entity.execute_update(  # pyright: ignore[reportUnknownMemberType]
                    change, wanted, id=update, rpc_timeout=timeout
                )
            )
        except WorkflowUpdateFailedError as error:
            raise _refused(name, error) from None
        except RPCError as error:
            raise _unknown(name, error) from None

    def _entity(self, name: str) -> WorkflowHandle[DefinitionEntity, None]:
        return self.client.get_workflow_handle_for(DefinitionEntity.run, id_of(name))

    async def heads(self) -> list[Head]:
        """All definitions, by name. Read from Temporal's visibility: a moment old."""
        query = f"WorkflowType = '{TYPE}' AND ExecutionStatus = 'Running'"
        found = [await _head(one) async for one in self.client.list_workflows(query)]
        return sorted((head for head in found if head is not None), key=lambda head: head.name)

    async def head(self, name: str) -> Head | None:
        """Where the aliases of a name point; None where nothing was published under it."""
        try:
            described = await self.client.get_workflow_handle(id_of(name)).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise
        if described.status != WorkflowExecutionStatus.RUNNING:
            return None
        return await _head(described)

    async def kept(self, name: str) -> Kept:
        """All that is known of a name, without the bodies."""
        entity = self._entity(name)
        try:
            found = await _answered(
                lambda timeout: entity.query(DefinitionEntity.kept, rpc_timeout=timeout)
            )
        except RPCError as error:
            raise _unknown(name, error) from None
        if found.upcoming == 1:
            raise UnknownDefinitionError(f"no definition named {name} is deployed")
        return found

    async def revision(self, name: str, number: int) -> Revision:
        """A revision with its body."""
        entity = self._entity(name)
        try:
            found = await _answered(
                lambda timeout: entity.query(DefinitionEntity.revision, number, rpc_timeout=timeout)
            )
        except RPCError as error:
            raise _unknown(name, error) from None
        if found is None:
            raise UnknownDefinitionError(f"{name} has no revision {number}")
        if found.body is None:
            raise UnknownDefinitionError(f"revision {number} of {name} is no longer kept")
        return found

    async def stored(self, name: str, number: int) -> StoredDefinition:
        """A revision as a definition.

        Raises:
            ValueError: if it is of another version of the language's model.
        """
        found = await self.revision(name, number)
        assert found.body is not None
        text = unpack(found.body)
        definition = Definition.model_validate(json.loads(text))
        return StoredDefinition(definition, text, found.digest, str(number))


async def _head(execution: WorkflowExecution) -> Head | None:
    memo = await execution.memo()
    said = memo.get(MEMO)
    if said is None:
        return None  # a name whose first publication was refused, or is on its way
    aliases: dict[str, dict[str, Any]] = said["aliases"]
    return Head(
        said["name"],
        {name: target["revision"] for name, target in aliases.items()},
        {name: target["digest"] for name, target in aliases.items()},
        {name: target["weight"] for name, target in aliases.items() if target["weight"]},
        said["retired"],
        said["revisions"],
        said["changed"],
        said["born"],
    )


def _refused(name: str, error: WorkflowUpdateFailedError) -> RefusedError:
    cause = error.cause
    said = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return RefusedError(said if said.startswith(name) else f"{name}: {said}")


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _answered(ask: Callable[[timedelta], Awaitable[T]]) -> T:
    """Asks until there is an answer.

    Who runs the registry may be a command that ends, with our question in its hands.

    Args:
        ask: Asks, for so long. An update must have the same id each time, which makes it one.
    """
    end = time.monotonic() + _PATIENCE
    patience = _FIRST_TRY
    while True:
        try:
            return await ask(patience)
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            # The SDK makes a timeout of it where we are cancelled.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            gone = not isinstance(error, RPCError) or error.status in _SILENT
            if not gone or time.monotonic() > end:
                raise
            patience *= 2


def _unknown(name: str, error: RPCError) -> Exception:
    if error.status == RPCStatusCode.NOT_FOUND:
        return UnknownDefinitionError(f"no definition named {name} is deployed")
    return error
