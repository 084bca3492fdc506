"""What an activity may ask while it runs: its idempotency key, and how far it got before.

The interpreter sends two headers with a task. An interceptor on the worker keeps them in a context
variable, which the SDK copies into the threads of synchronous activities.
"""

import dataclasses
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, overload

import temporalio.activity
import temporalio.api.common.v1
import temporalio.api.failure.v1
import temporalio.converter
import temporalio.exceptions
import temporalio.worker
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from interpreter.errors import Fault, legible
from interpreter.payloads import INLINE, LARGEST_LOCAL, Budget, bounded, written

__all__ = [
    "ARGS_HEADER",
    "ROOT_HEADER",
    "ActivityContextInterceptor",
    "heartbeat",
    "idempotency_key",
    "last_progress",
    "positional_arguments",
]

ROOT_HEADER = "temporal-dsl-root"
"""Header with the root of idempotency keys, where it is not the id of the run itself."""

ARGS_HEADER = "temporal-dsl-args"
"""Header that says: these payloads are positional arguments, even if there is one object only."""

_MOST_OF_AN_ERROR = 1024 * 1024 + 256 * 1024
"""The largest error of an activity, in bytes, with its causes."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Headers:
    root: str | None = None
    positional: bool = False


_headers: ContextVar[_Headers] = ContextVar("temporal_dsl_headers", default=_Headers())  # noqa: B039  (frozen)


def _read(headers: Mapping[str, temporalio.api.common.v1.Payload]) -> _Headers:
    root: str | None = None
    if (payload := headers.get(ROOT_HEADER)) is not None:
        converter = temporalio.converter.DataConverter.default.payload_converter
        value = converter.from_payload(payload)
        if not isinstance(value, str) or not value:
            raise ApplicationError(
                f"the header `{ROOT_HEADER}` must be a text that is not empty",
                type="dsl.InvalidArguments",
                non_retryable=True,
            )
        root = value
    return _Headers(root, ARGS_HEADER in headers)


class ActivityContextInterceptor(temporalio.worker.Interceptor):
    """Hands the interpreter's headers to `idempotency_key` and to the binding of arguments.

    Every worker that runs an `ActivityRegistry` needs it::

        Worker(client, task_queue="dsl", activities=registry.callables(),
               activity_executor=ThreadPoolExecutor(100),
               interceptors=[ActivityContextInterceptor()])

    Args:
        budget: How large results may be.
    """

    def __init__(self, budget: Budget = INLINE) -> None:
        self._budget = budget

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Put the reader of headers before `next`."""
        return _Inbound(next, self._budget)


class _Inbound(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, next: temporalio.worker.ActivityInboundInterceptor, budget: Budget) -> None:
        super().__init__(next)
        self._budget = budget

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        # Never reset: each task runs in an asyncio task, and so in a context, of its own.
        if input.headers:
            _headers.set(_read(input.headers))
        local = temporalio.activity.info().is_local
        try:
            result = await super().execute_activity(input)
            if local:
                return _as_payload(result, "the result of a local activity", self._budget.local)
            return _as_payload(result, "the result", self._budget.largest)
        except ApplicationError as error:
            if error.type is None or not error.type.startswith("dsl.") or error.details:
                self._check(error, local)
                raise
            # Which attempt it was tells whether one before it may have acted.
            attempt = temporalio.activity.info().attempt
            raise ApplicationError(
                error.message, attempt, type=error.type, non_retryable=error.non_retryable
            ) from None
        except temporalio.exceptions.CancelledError:
            raise
        except Exception as error:
            self._check(error, local)
            raise
        except temporalio.activity._CompleteAsyncError:  # pyright: ignore[reportPrivateUsage]
            if not local:
                raise
            # Temporal would let it run out of time, again and again.
            raise ApplicationError(
                "others cannot complete a local activity: take `local: true` away",
                type="dsl.InvalidResult",
                non_retryable=True,
            ) from None

    def _check(self, error: Exception, local: bool) -> None:
        smaller = _smaller(error, LARGEST_LOCAL if local else _MOST_OF_AN_ERROR)
        if smaller is not None:
            raise smaller from None


def _smaller(error: Exception, most: int) -> ApplicationError | None:
    """What is sent for an error that is too large: the server would not even keep its type."""
    failure = temporalio.api.failure.v1.Failure()
    converter = temporalio.converter.DataConverter.default
    try:
        converter.failure_converter.to_failure(error, converter.payload_converter, failure)
    except Exception:
        return None  # the worker's own converter knows what it is
    size = failure.ByteSize()
    if size <= most:
        return None
    own = error if isinstance(error, ApplicationError) else None
    message = str(error) if own is None else own.message
    return ApplicationError(
        legible(message),
        *([] if own is None or not own.details else [f"(the error had {size:,} bytes)"]),
        type=legible((own and own.type) or type(error).__name__, 200),
        non_retryable=own is not None and own.non_retryable,
        next_retry_delay=own and own.next_retry_delay,
    )


def _as_payload(result: Any, what: str, most: int) -> Any:
    """A result of plain JSON as a payload: its maps keep their order, and its size is bounded."""
    if result is None:
        return None
    try:
        if isinstance(result, RawValue):
            bounded(result, what, most)
            return result
        return written(result, what, most)
    except TypeError:
        return result  # the worker's own converter knows what it is
    except Fault as fault:
        # The act is done: another attempt would do it again and fail again.
        raise ApplicationError(
            fault.message, type="dsl.InvalidResult", non_retryable=True
        ) from None


def positional_arguments() -> bool:
    """Whether the running task says that its payloads are positional arguments."""
    return _headers.get().positional


def idempotency_key() -> str:
    """The key of the act that the running activity performs: `<root>/<activity id>`.

    All attempts of one act have the same key, also after a worker was killed, after the workflow
    continued as new, was reset, redriven or resumed. Another act (the next iteration, the undoing
    of this one, the next run of a schedule) has another key. Give it to whatever can tell a
    repeated request: the `Idempotency-Key` header of an HTTP call, a unique column of a table::

        @activity.defn(name="payments.charge")
        async def charge(order_id: str, amount: Decimal) -> dict[str, str]:
            headers = {"Idempotency-Key": idempotency_key()}
            response = await http.post("/charges", json=..., headers=headers)

    Works in asynchronous and synchronous, regular and local activities.

    Returns:
        A text of printable characters such as `0199...-9e1c/ship_all[3].ship`.

    Raises:
        RuntimeError: When no activity is running.
    """
    if not temporalio.activity.in_activity():
        raise RuntimeError(
            "idempotency_key() was called outside an activity: call it in the activity's own "
            "function, or in a test through temporalio.testing.ActivityEnvironment().run(...)"
        )
    info = temporalio.activity.info()
    # An activity that a client started by itself has no workflow, but a run id of its own.
    root = _headers.get().root or info.workflow_run_id or info.activity_run_id
    return f"{root}/{info.activity_id}"


def heartbeat(progress: object = None) -> None:
    """Say that this attempt is alive, and how far it got.

    If the attempt dies (its worker is killed, or it fails), the next one reads the progress with
    `last_progress` and goes on from there. An import of 10,000 rows::

        @activity.defn(name="catalogue.import_rows")
        def import_rows(file: str) -> int:
            rows = read_rows(file)
            for number in range(last_progress(0), len(rows)):
                store(rows[number], key=f"{idempotency_key()}#{number}")
                heartbeat(number + 1)          # the next attempt starts here
            return len(rows)

    Temporal *throttles* heartbeats: calls are cheap and may be made for every row, but only the
    newest is sent, about every 0.8 x `heartbeat_timeout` of the step (30 s where it has none, and
    60 s at most). So after a kill the reported progress lags behind what was really done, and the
    rows between are done again: each must be harmless when repeated, as with the key above. A step
    with a long activity should have a `heartbeat_timeout`: without it a dead worker is noticed
    only when `start_to_close_timeout` ends. Cancellation, too, reaches an activity only through
    heartbeats.

    Args:
        progress: Anything JSON can hold, also a pydantic model or a dataclass: a count, a cursor,
            a page's token. It is kept in Temporal's database, so keep it small (under a few kB).

    Raises:
        RuntimeError: When no activity is running.
    """
    if not temporalio.activity.in_activity():
        raise RuntimeError("heartbeat() was called outside an activity")
    if not isinstance(progress, (str, int, float, bool, type(None))):
        # Imported late: most activities report plain numbers and need no pydantic.
        import pydantic_core

        progress = pydantic_core.to_jsonable_python(progress)
    temporalio.activity.heartbeat(progress)


@overload
def last_progress(default: None) -> Any: ...
@overload
def last_progress(default: T) -> T: ...
def last_progress(default: Any) -> Any:
    """What the attempt before this one reported last with `heartbeat`.

    Args:
        default: The answer where nothing was reported: on the first attempt, or if an attempt died
            before its first report was sent. Its type is the type of the answer: with a pydantic
            model, a dataclass or a `set` as default, the JSON that was reported becomes one again.

    Returns:
        The progress. `default` too where the report does not fit the type of `default`, as after
        a new version of the activity was deployed: starting again is safe for an activity that
        can be repeated, failing for ever is not. A warning is logged then.

    Raises:
        RuntimeError: When no activity is running.
    """
    if not temporalio.activity.in_activity():
        raise RuntimeError("last_progress() was called outside an activity")
    details = temporalio.activity.info().heartbeat_details
    if not details:
        return default
    found: Any = details[0]
    kind: type[Any] = default.__class__
    if default is None or type(found) is kind:
        return found
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_python(found)
    except pydantic.ValidationError:
        temporalio.activity.logger.warning(
            "The progress that the attempt before reported is no %s: starting again", kind.__name__
        )
        return default
