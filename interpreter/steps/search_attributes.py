"""`set_search_attributes`: how the run is found among others."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from temporalio import workflow
from temporalio.api.common.v1 import SearchAttributes
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributeUpdate
from temporalio.converter import encode_search_attributes, encode_typed_search_attribute_value
from temporalio.exceptions import ActivityError, FailureError

from dsl.durations import parse_time
from dsl.model.leaves import whole_number
from dsl.steps import SetSearchAttributesStep
from interpreter.definitions.attributes import LOOK_UP
from interpreter.errors import Fault
from interpreter.evaluation import evaluate
from interpreter.nodes import Node, Place
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["SetSearchAttributesNode"]

_MOST_VALUE = 2048
_MOST_TOTAL = 40 * 1024 - 2048
"""What Temporal takes of all attributes of a run together, in bytes, less some room."""
_MOST_KEYS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SetSearchAttributesNode(Node):
    """Search attributes of the run.

    Their types were looked up when the run began. They are looked up again where one was not
    registered then, and whenever an operator has the step tried again.
    """

    kind: ClassVar[str] = "set_search_attributes"

    def __init__(
        self, step: SetSearchAttributesStep, place: Place, compiler: Compiler, owner: Node
    ) -> None:
        super().__init__(step, place, compiler, owner)
        given = step.set_search_attributes
        self.values = tuple((name, compiler.template(value)) for name, value in given.items())
        self.names = tuple(given)

    async def run(self, act: Act, rec: Rec) -> Any:
        execution = act.execution
        types = execution.attribute_types
        stale = any(name not in types for name in self.names)
        while True:
            try:
                if stale:
                    await self._look_up(types)
                    act.token.check()
                values = {name: await evaluate(act, rec, value) for name, value in self.values}
                updates = [_update(name, types.get(name), value) for name, value in values.items()]
                size = _size(updates)
                break
            except Fault as fault:
                await execution.suspend(act, rec, fault)
                stale = True
        await execution.carry(act, rec, size)
        workflow.upsert_search_attributes(updates)  # pyright: ignore[reportUnknownMemberType]
        return None

    async def _look_up(self, types: dict[str, str]) -> None:
        """Asks the server which types the attributes have now."""
        try:
            found = await workflow.execute_local_activity(
                LOOK_UP,
                args=[self.names],
                result_type=dict[str, str],
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=3),
            )
        except FailureError as error:
            cause = error.cause if isinstance(error, ActivityError) else error
            message = f"the types of search attributes cannot be looked up: {cause}"
            raise Fault("UnregisteredSearchAttribute", message) from None
        for name in self.names:
            types.pop(name, None)
        types.update(found)


def _update(name: str, type: str | None, value: Any) -> SearchAttributeUpdate[Any]:
    """The change of an attribute.

    Raises:
        Fault: if it is not registered, or the value does not fit.
    """
    if type is None:
        command = f"temporal operator search-attribute create --name {name} --type ..."
        message = f"the search attribute `{name}` is not registered: `{command}` registers it"
        raise Fault("UnregisteredSearchAttribute", message)
    make, read, wanted = _TYPES[type]
    key = make(name)
    if value is None:
        return key.value_unset()
    try:
        fits = read(value)
    except (OverflowError, ValueError):
        fits = None
    if fits is None:
        message = f"the search attribute `{name}` is {type}: it must be {wanted}, is {value!r:.60}"
        raise Fault("InvalidArguments", message)
    update = key.value_set(fits)
    size = len(encode_typed_search_attribute_value(key, fits).data)
    if size > _MOST_VALUE:
        message = f"the search attribute `{name}`: {size:,} bytes, {_MOST_VALUE:,} are allowed"
        raise Fault("LimitExceeded", message)
    return update


def _size(updates: list[SearchAttributeUpdate[Any]]) -> int:
    """The bytes of all attributes that the run then has.

    Raises:
        Fault: if they are too many, or too large together.
    """
    all = SearchAttributes()
    encode_search_attributes(workflow.info().typed_search_attributes, all)
    for update in updates:
        payload = encode_typed_search_attribute_value(update.key, update.value)
        all.indexed_fields[update.key.name].CopyFrom(payload)
    size = all.ByteSize()
    if len(all.indexed_fields) > _MOST_KEYS or size > _MOST_TOTAL:
        shown = f"{len(all.indexed_fields)} with {size:,} bytes together"
        allowed = f"{_MOST_KEYS} with {_MOST_TOTAL:,} are allowed"
        raise Fault("LimitExceeded", f"the search attributes of the run: {shown}, {allowed}")
    return size


# From a JSON value to the value of an attribute; None where it does not fit.


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: Any) -> int | None:
    number = whole_number(value)
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _double(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _datetime(value: Any) -> datetime | None:
    seconds = parse_time(value) if isinstance(value, str) else _double(value)
    return None if seconds is None else _EPOCH + timedelta(seconds=seconds)


def _texts(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    texts = cast("list[Any]", value)
    return texts if all(isinstance(one, str) for one in texts) else None


_TYPES: dict[str, tuple[Callable[[str], SearchAttributeKey[Any]], Callable[[Any], Any], str]] = {
    "Text": (SearchAttributeKey.for_text, _text, "a text"),
    "Keyword": (SearchAttributeKey.for_keyword, _text, "a text"),
    "Int": (SearchAttributeKey.for_int, _int, "a whole number"),
    "Double": (SearchAttributeKey.for_float, _double, "a number"),
    "Bool": (SearchAttributeKey.for_bool, _bool, "true or false"),
    "Datetime": (
        SearchAttributeKey.for_datetime,
        _datetime,
        "a time like 2030-01-01T09:00:00Z, or seconds since 1970",
    ),
    "KeywordList": (SearchAttributeKey.for_keyword_list, _texts, "a list of texts"),
}
"""By type: its key, how a value is read, and what must be given."""
