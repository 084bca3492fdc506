"""The activities of one worker: what is known of them, and how they are run."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from dsl.catalogue import ActivityType, Catalogue

from .context import positional_arguments
from .loading import (
    ActivityModuleError,
    FoundActivity,
    describe,
    find_activities,
    load_module,
    same,
)
from .problems import nearest
from .signature import Signature

__all__ = ["ActivityRegistry"]


class ActivityRegistry:
    """Activities by name, with the schemas of their arguments and results.

    Example::

        registry = ActivityRegistry.load(["shop.activities", "examples/mail/activities.py"])
        Worker(client, task_queue="dsl", activities=registry.callables(),
               activity_executor=ThreadPoolExecutor(100),
               interceptors=[ActivityContextInterceptor()])
    """

    def __init__(self, activities: Iterable[Callable[..., Any]] = ()) -> None:
        """A registry of callables that `@activity.defn` marked; `load` takes modules.

        Raises:
            ActivityModuleError: One is no activity, or two have one name.
        """
        self._found: dict[str, FoundActivity] = {}
        self._signatures: dict[str, Signature] = {}
        for fn in activities:
            found = describe(fn)
            if found is None:
                raise ActivityModuleError(
                    f"{getattr(fn, '__qualname__', fn)} is no activity: decorate it with "
                    f"@activity.defn(name=...)"
                )
            self._add(found)

    @classmethod
    def load(cls, modules: Sequence[str], *, base: Path | None = None) -> "ActivityRegistry":
        """Import modules and take the activities in them.

        Taken are the functions of the module that `@activity.defn` marked (its own and those it
        imports) and the items of a list called `activities`: functions, or bound methods of
        instances.

        Args:
            modules: Dotted names of modules, or paths that end in `.py`.
            base: The folder relative paths start from; default: the working directory.

        Raises:
            ActivityModuleError: A module does not exist, fails while it is imported, or has no
                activities; two activities have one name; a type hint cannot be used.
        """
        registry = cls()
        for entry in modules:
            for found in find_activities(load_module(entry, base)):
                registry._add(found)
        return registry

    def _add(self, found: FoundActivity) -> None:
        other = self._found.get(found.name)
        if other is None:
            self._found[found.name] = found
            self._signatures[found.name] = Signature(found)
        elif not same(found, other):
            if found.where == other.where:
                raise ActivityModuleError(
                    f"the activity `{found.name}` is there twice, from {found.where}: its module "
                    f"was imported under two names, or two objects offer the method"
                )
            raise ActivityModuleError(
                f"two activities are named `{found.name}`: {other.where} and {found.where}; "
                f"rename one with @activity.defn(name=...)"
            )

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        """What the checker needs to know of each activity, by name, sorted."""
        catalogue: dict[str, ActivityType] = {}
        for name in sorted(self._found):
            signature = self._signatures[name]
            catalogue[name] = ActivityType(
                name=name,
                description=_description(self._found[name].fn),
                arguments=signature.arguments,
                result=signature.result,
            )
        return MappingProxyType(catalogue)

    def callables(self) -> list[Callable[..., Any]]:
        """What to give to `temporalio.worker.Worker(activities=...)`.

        One wrapper an activity, which binds the payloads and calls it, and one that answers for
        every other name. Synchronous activities need an `activity_executor` with threads.
        """
        wrappers = [
            _wrapper(self._found[name], self._signatures[name]) for name in sorted(self._found)
        ]
        return [*wrappers, self._unregistered()]

    def _unregistered(self) -> Callable[..., Any]:
        names = tuple(sorted(self._found))

        @activity.defn(dynamic=True)
        async def unregistered(args: Sequence[RawValue]) -> None:
            raise ApplicationError(
                _no_such_activity(activity.info().activity_type, names),
                type="dsl.UnregisteredActivity",
                non_retryable=True,
            )

        return unregistered


def _no_such_activity(name: str, names: Sequence[str]) -> str:
    meant = nearest(name, names)
    listed = ", ".join(f"`{each}`" for each in names[:10]) + (", ..." if len(names) > 10 else "")
    return (
        f"no activity is named `{name}` on this worker"
        + (f": did you mean `{meant}`?" if meant else f", which has {listed or 'none'}.")
        + f' To register it, decorate a function with @activity.defn(name="{name}") and start the '
        f"worker with its module: --activities MODULE"
    )


def _description(fn: Callable[..., Any]) -> str:
    source = fn if inspect.isroutine(fn) else type(fn).__call__
    return " ".join((inspect.getdoc(source) or "").split("\n\n", 1)[0].split())


def _wrapper(found: FoundActivity, signature: Signature) -> Callable[..., Any]:
    """What the SDK calls: no type hints, so that it decodes each payload as plain JSON.

    It is asynchronous where the activity is, because the SDK decides by that between the event
    loop and a thread, with their own ways of cancelling.
    """
    fn = found.fn
    wrapper: Callable[..., Any]

    if found.is_async:

        async def run_async(*payloads: Any) -> Any:
            args, named = signature.bind(payloads, positional=positional_arguments())
            return signature.dump(await fn(*args, **named))

        wrapper = run_async
    else:

        def run_in_thread(*payloads: Any) -> Any:
            args, named = signature.bind(payloads, positional=positional_arguments())
            return signature.dump(fn(*args, **named))

        wrapper = run_in_thread

    wrapper.__name__ = wrapper.__qualname__ = found.name
    return activity.defn(
        name=found.name, no_thread_cancel_exception=found.no_thread_cancel_exception
    )(wrapper)
