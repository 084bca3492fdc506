"""Signals: kept in order, consumed once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

__all__ = ["MOST_KEPT", "Early", "Mailbox", "Message", "PayloadType", "SignalType"]


MOST_KEPT = 10_000
"""How many signals are kept at the most."""
_MOST_NAMES = 100


class PayloadType:
    """What a message may carry.

    Args:
        schema: JSON Schema of its payload, or None for anything.
    """

    def __init__(self, schema: dict[str, Any] | None) -> None:
        # An empty registry: nothing is ever fetched.
        self._validator = (
            None if schema is None else Draft202012Validator(schema, registry=Registry())
        )

    def fits(self, payload: Any) -> bool:
        """Whether a payload is what was declared."""
        if self._validator is None:
            return True
        try:
            return bool(
                self._validator.is_valid(payload)  # pyright: ignore[reportUnknownMemberType]
            )
        except RecursionError:  # nested without end against a schema that refers to itself
            return False


class SignalType(PayloadType):
    """A declared signal.

    Args:
        name: Its name.
        schema: JSON Schema of its payload, or None for anything.
        handled: Whether it has a handler: then it is not kept for waits.
    """

    def __init__(self, name: str, schema: dict[str, Any] | None, handled: bool = False) -> None:
        super().__init__(schema)
        self.name = name
        self.handled = handled


@dataclass(frozen=True, slots=True)
class Early:
    """A message that came before it could be handled.

    Args:
        name: Its name.
        payload: Its payload.
        waiter: What an update waits for; None for a signal.
    """

    name: str
    payload: Any
    waiter: asyncio.Future[None] | None = None


class Message:
    """A signal that arrived.

    Args:
        number: Its place in the order of arrival.
        name: Its name.
        payload: Its payload.
    """

    __slots__ = ("name", "number", "payload")

    def __init__(self, number: int, name: str, payload: Any) -> None:
        self.number = number
        self.name = name
        self.payload = payload


class Mailbox:
    """The signals of a run that were not consumed yet, in the order of their arrival.

    Signals may come before the definition is known; what was declared is asked for then.
    """

    def __init__(self) -> None:
        self.arrived = 0
        self.refused: dict[str, int] = {}
        self.reasons: dict[str, str] = {}
        self._kept: dict[int, Message] = {}
        self._early: list[Early] | None = []
        self._types: dict[str, SignalType] = {}

    @property
    def kept(self) -> dict[str, int]:
        """How many are kept, by name."""
        counts: dict[str, int] = {}
        for message in self._kept.values():
            counts[message.name] = counts.get(message.name, 0) + 1
        return counts

    def state(self) -> dict[str, Any]:
        """It as data, for a checkpoint."""
        kept = [(one.number, one.name, one.payload) for one in self._kept.values()]
        return {
            "arrived": self.arrived,
            "kept": kept,
            "refused": self.refused,
            "reasons": self.reasons,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up what an earlier run has kept."""
        self.arrived = state["arrived"]
        self.refused, self.reasons = state["refused"], state["reasons"]
        self._kept = {message[0]: Message(*message) for message in state["kept"]}

    def open(self, types: dict[str, SignalType]) -> list[Early]:
        """Tells what was declared, and takes what came before.

        Returns:
            What of that is for handlers, in the order of arrival.
        """
        early, self._early, self._types = self._early or [], None, types
        return [one for one in early if one.waiter or self.deliver(one.name, one.payload)]

    def waiter(self) -> asyncio.Future[None]:
        """What an update waits for that comes before the definition is known."""
        assert self._early is not None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early.append(Early("", None, waiter))
        return waiter

    def turn_away(self, error: Exception) -> bool:
        """Fails the updates that wait for a definition; says whether there are any."""
        waiters = [one.waiter for one in self._early or [] if one.waiter]
        for waiter in waiters:
            waiter.set_exception(error)
        return bool(waiters)

    def deliver(self, name: str, payload: Any) -> bool:
        """Keeps a signal; counts one that is unknown or does not fit.

        Returns:
            Whether it is to be handled now, and was not kept.
        """
        if self._early is not None:
            self._early.append(Early(name, payload))
            return False
        declared = self._types.get(name)
        if declared is None:
            self.refuse(name, "it is not declared")
            return False
        if len(self._kept) >= MOST_KEPT and not declared.handled:
            self.refuse(name, f"{MOST_KEPT:,} are waiting already")
            return False
        if not declared.fits(payload):
            self.refuse(name, "its payload is not what was declared")
            return False
        if declared.handled:
            return True
        self.arrived += 1
        self._kept[self.arrived] = Message(self.arrived, name, payload)
        return False

    def refuse(self, name: str, why: str) -> None:
        """Counts a signal that is not kept, and notes why."""
        if name not in self.refused and len(self.refused) >= _MOST_NAMES:
            name = "(others)"
        self.refused[name] = self.refused.get(name, 0) + 1
        self.reasons[name] = why

    def waiting(self, names: Iterable[str], after: int) -> Iterator[Message]:
        """The kept signals of some names that arrived after number `after`, in order."""
        wanted = tuple(names)
        for message in tuple(self._kept.values()):
            if message.number > after and message.name in wanted:
                yield message

    def take(self, message: Message) -> bool:
        """Consumes a signal; says whether it was still there."""
        return self._kept.pop(message.number, None) is not None

    def put_back(self, messages: Iterable[Message]) -> None:
        """Takes back what was consumed, each to its place in the order."""
        for message in messages:
            self._kept[message.number] = message
        self._kept = dict(sorted(self._kept.items()))
