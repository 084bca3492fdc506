"""The search attributes that the server has registered, and those that a definition sets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from dsl.model.common import steps_in
from dsl.model.definition import Definition
from dsl.steps import SetSearchAttributesStep

__all__ = ["LOOK_UP", "AttributeTypes", "attributes_set_by"]

LOOK_UP = "dsl.search_attributes"
"""The name of the local activity that looks them up again."""
_KEPT = 5.0
"""How long an answer of the server is good, in seconds."""
_PATIENCE = timedelta(seconds=3)
_NAMES = dict(
    enumerate(("Text", "Keyword", "Int", "Double", "Bool", "Datetime", "KeywordList"), start=1)
)
"""The types by the server's numbers."""


def attributes_set_by(definition: Definition) -> tuple[str, ...]:
    """The names of the search attributes that the steps of a definition set, sorted."""
    steps = (step for step in steps_in(definition) if isinstance(step, SetSearchAttributesStep))
    return tuple(sorted({name for step in steps for name in step.set_search_attributes}))


class AttributeTypes:
    """What the server has registered. One answer serves all who ask within a few seconds."""

    def __init__(self) -> None:
        self._answer: asyncio.Task[dict[str, str]] | None = None
        self._asked = 0.0

    async def of(
        self, client: Client, names: Sequence[str], *, again: bool = False
    ) -> dict[str, str]:
        """The types of those of the names that are registered, such as `Keyword`.

        Args:
            client: Where to ask.
            names: Which.
            again: Whether an answer from before does not count.

        Raises:
            RPCError: if the server does not answer.
        """
        answer, now = self._answer, time.monotonic()
        if answer is None or again or now - self._asked > _KEPT or _failed(answer):
            answer = self._answer = asyncio.ensure_future(_ask(client))
            self._asked = now
        known = await asyncio.shield(answer)
        return {name: known[name] for name in names if name in known}


def _failed(answer: asyncio.Task[Any]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


async def _ask(client: Client) -> dict[str, str]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request, timeout=_PATIENCE)
    types = answer.custom_attributes
    return {name: _NAMES[number] for name, number in types.items() if number in _NAMES}
