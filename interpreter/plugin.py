"""`DslPlugin`: the interpreter in a Temporal worker of one's own.

::

    worker = Worker(
        client,
        task_queue="dsl",
        workflows=[NightlyReport],
        activities=[write_report],
        activity_executor=ThreadPoolExecutor(100),
        plugins=[DslPlugin(activities=["shop.activities"], definitions="definitions/")],
    )
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    ReplayerConfig,
    Worker,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from dsl.diagnostics import Diagnostic
from interpreter.activities import ActivityModuleError, ActivityRegistry
from interpreter.activities.loading import find_activities, load_module
from interpreter.definitions.catalogues import CatalogueWorkflow
from interpreter.definitions.entity import DefinitionEntity, DeploymentWorkflow
from interpreter.definitions.host import registry_worker
from interpreter.definitions.registry import QUEUE
from interpreter.headers import HeaderInterceptor
from interpreter.logs import LOGGER
from interpreter.serving import Deployed, Files, meanwhile
from interpreter.worker import Parts, parts_of
from interpreter.workflow import DslWorkflow

__all__ = ["DslPlugin", "DslPluginError"]

Source: TypeAlias = Callable[..., Any] | ModuleType | str | Path
"""Activities: a function, or a module, its dotted name or its file."""

_NAME = "temporal-dsl"
_THREADS = 100
_OF_THE_REGISTRY = (DefinitionEntity, DeploymentWorkflow, CatalogueWorkflow)
_PASSING = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
)


class DslPluginError(Exception):
    """The plugin cannot do what it is asked to; the message says what to change."""


class DslPlugin(SimplePlugin):
    """Runs definitions in a worker, beside the workflows and activities that it has.

    It belongs into the `plugins` of a worker, or of a client: then all workers of that client
    have it. A `Replayer` with it replays the histories of definitions; nothing else is needed.

    Args:
        activities: What definitions can call: functions that `@activity.defn` marked, and modules
            with such functions. Workflows written by hand can call them too.
        definitions: A folder of definitions, or a file: followed as it changes. Default: what is
            deployed.
        registry: Whether the registry, which holds what is deployed, is run too, beside the
            worker. Somebody must, or nothing is found in it. Default: where no folder is named.
        registry_namespace: The namespace of the registry, if it is another.

    Raises:
        DslPluginError: if the activities cannot be used.
    """

    def __init__(
        self,
        *,
        activities: Iterable[Source] = (),
        definitions: str | Path | None = None,
        registry: bool | None = None,
        registry_namespace: str | None = None,
    ) -> None:
        super().__init__(_NAME)  # pyright: ignore[reportUnknownMemberType]
        try:
            self._registry = ActivityRegistry(_callables(activities))
        except ActivityModuleError as error:
            raise DslPluginError(str(error)) from None
        self._definitions = None if definitions is None else Path(definitions)
        self._hosts = definitions is None if registry is None else registry
        self._namespace = registry_namespace
        self._places: dict[tuple[object, str], _Place] = {}
        self._running: set[Worker] = set()

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Adds what runs definitions. See the base class.

        Raises:
            DslPluginError: if it does not go together with what the worker has, or a definition
                of the folder has an error.
        """
        config = super().configure_worker(config)
        given = cast("dict[str, Any]", config)
        interceptors: list[Interceptor] = list(given.get("interceptors", ()))
        if given["task_queue"] == QUEUE or any(
            isinstance(one, _Ours) and one.plugin is self for one in interceptors
        ):
            return config  # it is on the client and on the worker
        workflows: list[type] = list(given.get("workflows", ()))
        _check_workflows(workflows)
        client: Client = given["client"]
        place = self._place(client)
        parts = parts_of(client, place.serves.store, self._registry)
        activities: list[Callable[..., Any]] = list(given.get("activities", ()))
        ours = {_name(fn): fn for fn in parts.activities}
        names = {_name(fn) for fn in activities}
        twice = sorted(name for name in names & ours.keys() if name is not None)
        if twice:
            raise DslPluginError(
                f"the activity `{twice[0]}` is in the worker and in DslPlugin: give it to "
                "DslPlugin alone, workflows written by hand can call it too"
            )
        answer = ours.pop(None)
        if None not in names:
            ours[None] = _unregistered(answer, place, workflows, (*names, *ours))
        given["workflows"] = [*workflows, DslWorkflow]
        given["activities"] = [*activities, *ours.values()]
        given["interceptors"] = [*interceptors, _Ours(self, parts, ours)]
        given["activity_executor"] = _executor(given, ours.values())
        given["identity"] = _marked(given.get("identity") or client.identity, place.identity)
        return config

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Adds the workflow that runs definitions, and those of the registry."""
        config = super().configure_replayer(config)
        workflows: list[type] = list(config.get("workflows", ()))
        if DslWorkflow not in workflows:
            _check_workflows(workflows)
            others = [one for one in _OF_THE_REGISTRY if one not in workflows]
            config["workflows"] = [*workflows, DslWorkflow, *others]
            config["interceptors"] = [*config.get("interceptors", ()), HeaderInterceptor()]
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Follows the definitions, and runs the registry, as long as the worker runs.

        Raises:
            DslPluginError: if the registry cannot be used.
        """
        if worker.task_queue == QUEUE or worker in self._running:
            await next(worker)
            return
        self._running.add(worker)
        place = self._place(worker.client)
        try:
            await place.check()
            async with place.open():
                await next(worker)
        except DslPluginError:
            # `async with worker` waits until the worker has ended, and so it must have begun.
            ending = asyncio.ensure_future(worker.shutdown())
            await asyncio.sleep(0)
            await next(worker)
            await ending
            raise
        finally:
            self._running.discard(worker)

    def _place(self, client: Client) -> _Place:
        """What workers of a client share."""
        key = (client.service_client, client.namespace)
        if key not in self._places:
            home = Client(client.service_client, namespace=self._namespace or client.namespace)
            serves = self._files or Deployed(home, self._registry.catalogue)
            self._places[key] = _Place(serves, home, self._hosts)
        return self._places[key]

    @cached_property
    def _files(self) -> Files | None:
        """The definitions of the folder, which must be right at the start."""
        if self._definitions is None:
            return None
        files = Files(self._definitions, self._registry.catalogue)
        loaded = files.load()
        if not loaded.ok:
            said = "\n".join(map(_described, loaded.diagnostics))
            raise DslPluginError(f"{self._definitions} cannot run:\n{said}")
        if not loaded.definitions:
            raise DslPluginError(f"{self._definitions}: there are no definitions in it")
        _show(loaded.diagnostics)
        return files


class _Place:
    """Where definitions come from for the workers of a client; what goes on beside them, once."""

    def __init__(self, serves: Deployed | Files, home: Client, hosts: bool) -> None:
        self.serves = serves
        self.identity = serves.identity
        self._home = home
        self._hosts = hosts
        self._users = 0
        self._beside = AsyncExitStack()

    async def check(self) -> None:
        """Finds what will not mend itself, as a namespace that is not there.

        Raises:
            DslPluginError: if the registry cannot be used.
        """
        if isinstance(self.serves, Files):
            return
        try:
            await self.serves.names()
        except RPCError as error:
            if error.status not in _PASSING:
                where = f"the registry in the namespace {self._home.namespace}"
                raise DslPluginError(f"{where} cannot be used: {error.message}") from None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Does what goes on beside workers as long as there are any."""
        self._users += 1
        try:
            if self._users == 1:
                await self._beside.enter_async_context(meanwhile(*self._works()))
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                await self._beside.aclose()

    def _works(self) -> list[Callable[[], Any]]:
        serves = self.serves
        works = [serves.offer] if isinstance(serves, Deployed) else [lambda: serves.follow(_show)]
        if self._hosts:
            works.append(lambda: registry_worker(self._home).run())
        return works


class _Ours(Interceptor):
    """The interceptors of ours, for what is ours alone.

    Args:
        plugin: Whose they are.
        parts: What has them.
        activities: The activities that are ours.
    """

    def __init__(
        self, plugin: DslPlugin, parts: Parts, activities: Mapping[str | None, Callable[..., Any]]
    ) -> None:
        self.plugin = plugin
        self._of_workflows, self._of_activities = parts.interceptors
        self._activities = activities

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the base class."""
        return _Choice(self._of_activities.intercept_activity(next), next, self._activities)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        """See the base class. It leaves other workflows alone by itself."""
        return self._of_workflows.workflow_interceptor_class(input)


class _Choice(ActivityInboundInterceptor):
    """Through ours, or past it."""

    def __init__(
        self,
        ours: ActivityInboundInterceptor,
        theirs: ActivityInboundInterceptor,
        activities: Mapping[str | None, Callable[..., Any]],
    ) -> None:
        super().__init__(ours)
        self._theirs = theirs
        self._activities = activities

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        named = activity.info().activity_type in self._activities
        if named or input.fn is self._activities.get(None):
            return await super().execute_activity(input)
        return await self._theirs.execute_activity(input)


def _unregistered(
    answer: Callable[..., Any],
    place: _Place,
    workflows: Sequence[type],
    names: Iterable[str | None],
) -> Callable[..., Any]:
    """Answers for activities that nobody has: a definition is suspended, others are told as ever.

    Args:
        answer: What a definition is told.
        place: Says what is a definition.
        workflows: The workflows of the worker.
        names: The activities of the worker.
    """
    others = {_workflow_name(one) for one in workflows}
    listed = ", ".join(sorted(name for name in names if name is not None))

    @activity.defn(dynamic=True)
    async def unregistered(args: Sequence[RawValue]) -> None:
        info = activity.info()
        kind = info.workflow_type
        if kind is not None and kind not in others and await place.serves.knows(kind):
            await answer(args)
        raise ApplicationError(  # as the SDK says it
            f"Activity function {info.activity_type} for workflow {info.workflow_id} is not "
            f"registered on this worker, available activities: {listed}",
            type="NotFoundError",
        )

    return unregistered


def _callables(sources: Iterable[Source]) -> list[Callable[..., Any]]:
    """The activities of functions and modules."""
    found: list[Callable[..., Any]] = []
    for source in sources:
        if isinstance(source, str | Path):
            source = load_module(str(source))
        if isinstance(source, ModuleType):
            found += [one.fn for one in find_activities(source)]
        else:
            found.append(source)
    return found


def _name(fn: Callable[..., Any]) -> str | None:
    """The name of an activity; None for one that answers for every name."""
    # The SDK has no public way to ask; this attribute is what its own Worker reads.
    definition: Any = getattr(fn, "__temporal_activity_definition", None)
    return str(fn) if definition is None else definition.name  # the SDK will say what it is


def _workflow_name(workflow: type) -> str | None:
    """The name of a workflow; None for one that answers for every name."""
    definition: Any = getattr(workflow, "__temporal_workflow_definition", None)
    return workflow.__name__ if definition is None else definition.name


def _check_workflows(workflows: Sequence[type]) -> None:
    """Refuses a second dynamic workflow."""
    for one in workflows:
        if one is DslWorkflow:
            raise DslPluginError(
                "the worker runs definitions already: leave one DslPlugin, on the client or on "
                "the worker, and no DslWorkflow"
            )
        if _workflow_name(one) is None:
            raise DslPluginError(
                f"{one.__qualname__} is a dynamic workflow, and so is the one that DslPlugin adds; "
                "a worker can have one of them: give the other a worker and a task queue of its own"
            )


def _executor(config: dict[str, Any], ours: Iterable[Callable[..., Any]]) -> Any:
    """What runs the activities that are no coroutines: theirs, or one of ours where they have none.

    Raises:
        DslPluginError: if it cannot run ours.
    """
    executor = config.get("activity_executor")
    waiting = [fn for fn in ours if not inspect.iscoroutinefunction(fn) and _name(fn) is not None]
    if executor is None and waiting:
        return ThreadPoolExecutor(config.get("max_concurrent_activities") or _THREADS, "activity")
    if isinstance(executor, ProcessPoolExecutor) and waiting:
        raise DslPluginError(
            f"the activity `{_name(waiting[0])}` is no coroutine and needs a thread: "
            "`activity_executor` must be a ThreadPoolExecutor with DslPlugin"
        )
    return executor


def _marked(identity: str, ours: str) -> str:
    """The worker's own identity, with what tells who deploys that it runs definitions."""
    return f"{identity}#{ours.partition('#')[2]}"


def _described(diagnostic: Diagnostic) -> str:
    """A mistake in words, as a line; the hint below it."""
    said = f"{diagnostic.place}: {diagnostic.severity} {diagnostic.code}: {diagnostic.message}"
    return said if diagnostic.hint is None else f"{said}\n  hint: {diagnostic.hint}"


def _show(diagnostics: Iterable[Diagnostic]) -> None:
    """Logs what is wrong."""
    for one in diagnostics:
        LOGGER.warning("%s", _described(one))
