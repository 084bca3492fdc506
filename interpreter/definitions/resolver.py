"""The first command of every run: which definition it is, and whether its input fits.

It is a local activity, and its result, the pinned definition, is a marker in the history: all
that a replay needs, whatever is deployed later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from dsl.model.inputs import check_input, with_defaults
from interpreter.definitions.attributes import LOOK_UP, AttributeTypes, attributes_set_by
from interpreter.definitions.store import (
    DefinitionStore,
    StoredDefinition,
    UnknownDefinitionError,
)
from interpreter.payloads import INLINE, Budget

__all__ = ["ENGINE", "RESOLVE", "Resolver"]

ENGINE = 1
"""The version of the interpreter's behaviour. A run keeps the one it began with."""
RESOLVE = "dsl.resolve"
"""The name of the local activity."""
_NOTHING: dict[str, Any] = {}
_CACHED = 1000


class Resolver:
    """Answers for the definitions of a store.

    Args:
        store: Where they come from.
        continue_after: After how many events a run goes on as new, for tests. It is pinned with
            the definition: a replay does the same.
        budget: How large a run's values may be. It is pinned too, where it is not the usual.
    """

    def __init__(
        self,
        store: DefinitionStore,
        continue_after: int | None = None,
        budget: Budget = INLINE,
    ) -> None:
        self._store = store
        self._budget = budget
        self._head: dict[str, Any] = {"engine": ENGINE}
        if budget != INLINE:
            self._head["payloads"] = [budget.largest, budget.stored_from]
        if continue_after is not None:
            self._head["continue_after"] = continue_after
        self._types = AttributeTypes()
        self._attributes: dict[str, tuple[str, ...]] = {}  # that definitions set, by digest

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.resolve, self.search_attributes]

    @activity.defn(name=RESOLVE)
    async def resolve(
        self, name: str, wanted: dict[str, str] | None, given: Any = _NOTHING
    ) -> RawValue:
        """Pins a definition by value and checks the input.

        Args:
            name: The definition's name, which is the Workflow Type.
            wanted: `{revision}` or `{alias}`, where the run asks for one.
            given: The input; an empty object where there is none.

        Returns:
            `{engine, revision, digest, definition}`; `input` where it is not what was given; and
            where the definition sets search attributes, their types by name.

        Raises:
            ApplicationError: `UnknownDefinition` or `InvalidInput`, not to be tried again.
        """
        try:
            stored = await self._store.get(name, **(wanted or {}), draw=_draw())
        except UnknownDefinitionError as error:
            raise ApplicationError(
                str(error), type="UnknownDefinition", non_retryable=True
            ) from None
        head = {**self._head, "revision": stored.revision, "digest": stored.digest}
        text = f'{json.dumps(head)[:-1]}, "definition": {stored.text}'
        schema = stored.definition.input
        if schema is not None:
            completed = with_defaults(schema, given)
            problems = check_input(schema, completed)
            if problems:
                raise ApplicationError("; ".join(problems), type="InvalidInput", non_retryable=True)
            if completed is not given:
                text += f', "input": {json.dumps(completed, ensure_ascii=False)}'
        attributes = self._attributes_of(stored)
        if attributes:
            text += f', "search_attributes": {json.dumps(await self._registered(attributes))}'
        data = (text + "}").encode()
        most = self._budget.largest
        if len(data) > most:
            size = f"{len(data):,} bytes, {most:,} are allowed"
            message = f"the definition, with its input and defaults: {size}"
            raise ApplicationError(message, type="InvalidInput", non_retryable=True)
        payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
        return RawValue(payload)

    @activity.defn(name=LOOK_UP)
    async def search_attributes(self, names: list[str]) -> dict[str, str]:
        """The types of those of the search attributes that are registered now.

        Raises:
            RPCError: if the server does not answer.
        """
        return await self._types.of(activity.client(), names, again=True)

    def _attributes_of(self, stored: StoredDefinition) -> tuple[str, ...]:
        """The search attributes that a definition sets."""
        found = self._attributes.get(stored.digest)
        if found is None:
            if len(self._attributes) >= _CACHED:
                del self._attributes[next(iter(self._attributes))]
            found = self._attributes[stored.digest] = attributes_set_by(stored.definition)
        return found

    async def _registered(self, names: tuple[str, ...]) -> dict[str, str]:
        """Their types. Where the server does not tell, the step that sets them asks again."""
        try:
            return await self._types.of(activity.client(), names)
        except RPCError:
            return {}


def _draw() -> float:
    """A number from 0 to 1 for the run that asks: the same each time, as if drawn by lot."""
    run_id = activity.info().workflow_run_id or ""
    return int.from_bytes(hashlib.blake2b(run_id.encode(), digest_size=6).digest()) / 2**48
