"""Activities: plain Python functions that steps of a definition call by name.

An author's module needs only `temporalio` itself, and from here what an activity may ask while it
runs::

    from temporalio import activity
    from interpreter.activities import idempotency_key

    @activity.defn(name="mail.send")
    async def send(to: str, subject: str) -> None:
        await outbox.put(to, subject, key=idempotency_key())

A worker turns modules of such functions into an `ActivityRegistry`.
"""

from typing import TYPE_CHECKING, Any

from .context import ActivityContextInterceptor, heartbeat, idempotency_key, last_progress

if TYPE_CHECKING:
    from .loading import ActivityModuleError
    from .registry import ActivityRegistry

__all__ = [
    "ActivityContextInterceptor",
    "ActivityModuleError",
    "ActivityRegistry",
    "heartbeat",
    "idempotency_key",
    "last_progress",
]


def __getattr__(name: str) -> Any:
    # Authors' modules import this package: what only a worker needs (pydantic, the catalogue of
    # the language) is loaded when a worker asks for it.
    if name == "ActivityRegistry":
        from .registry import ActivityRegistry

        return ActivityRegistry
    if name == "ActivityModuleError":
        from .loading import ActivityModuleError

        return ActivityModuleError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
