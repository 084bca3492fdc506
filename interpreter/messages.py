"""Signals: kept in order, consumed once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

from interpreter.payloads import INLINE, LARGEST_STORED, Budget

__all__ = [
    "MOST_KEPT",
    "MOST_KEPT_BYTES",
    "Early",
    "Mailbox",
    "Message",
    "PayloadType",
    "SignalType",
]


MOST_KEPT = 10_000
"""How many signals are kept at the most."""
MOST_KEPT_BYTES = 4 * 1024 * 1024
"""How large the payloads of those that are kept may be, together; with external storage as large
as the largest value."""
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
        size: The bytes of its payload.
    """

    name: str
    payload: Any
    waiter: asyncio.Future[None] | None = None
    size: int = 0


class Message:
    """A signal that arrived.

    Args:
        number: Its place in the order of arrival.
        name: Its name.
        payload: Its payload.
        size: The bytes of its payload.
    """

    __slots__ = ("name", "number", "payload", "size")

    def __init__(self, number: int, name: str, payload: Any, size: int = 0) -> None:
        self.number = number
        self.name = name
        self.payload = payload
        self.size = size


class Mailbox:
    """The signals of a run that were not consumed yet, in the order of their arrival.

    Signals may come before the definition is known; what was declared is asked for then.
    """

    def __init__(self) -> None:
        self.arrived = 0
        self.refused: dict[str, int] = {}
        self.reasons: dict[str, str] = {}
        self._kept: dict[int, Message] = {}
        self._bytes = 0  # of what is kept, or came early
        self._early: list[Early] | None = []
        self._budget = INLINE
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
        kept = [(one.number, one.name, one.payload, one.size) for one in self._kept.values()]
        return {
            "arrived": self.arrived,
            "kept": kept,
            "refused": dict(self.refused),
            "reasons": dict(self.reasons),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up what an earlier run has kept."""
        self.arrived = state["arrived"]
        self.refused, self.reasons = state["refused"], state["reasons"]
        kept = [Message(*message) for message in state["kept"]]
        self._kept = {message.number: message for message in kept}
        self._count()

    def open(self, types: dict[str, SignalType], budget: Budget) -> list[Early]:
        """Tells what was declared and how large values may be, and takes what came before.

        Returns:
            What of that is for handlers, in the order of arrival.
        """
        early, self._early, self._types, self._budget = self._early or [], None, types, budget
        self._count()
        return [one for one in early if one.waiter or self.deliver(one.name, one.payload, one.size)]

    def _count(self) -> None:
        self._bytes = sum(message.size for message in self._kept.values())

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

    def deliver(self, name: str, payload: Any, size: int) -> bool:
        """Keeps a signal; counts one that is unknown or does not fit.

        Args:
            name: Its name.
            payload: Its payload.
            size: The bytes of that.

        Returns:
            Whether it is to be handled now, and was not kept.
        """
        if self._early is not None:
            # How large values may be is not known yet.
            if self._has_room(name, len(self._early), size, LARGEST_STORED):
                self._early.append(Early(name, payload, None, size))
                self._bytes += size
            return False
        declared = self._types.get(name)
        if declared is None:
            self.refuse(name, "it is not declared")
            return False
        most = max(MOST_KEPT_BYTES, self._budget.largest)
        if not declared.handled and not self._has_room(name, len(self._kept), size, most):
            return False
        if not declared.fits(payload):
            self.refuse(name, "its payload is not what was declared")
            return False
        if declared.handled:
            return True
        self.arrived += 1
        self._kept[self.arrived] = Message(self.arrived, name, payload, size)
        self._bytes += size
        return False

    def _has_room(self, name: str, waiting: int, size: int, most: int) -> bool:
        """Whether one more may wait; refuses it otherwise."""
        if waiting >= MOST_KEPT:
            self.refuse(name, f"{MOST_KEPT:,} are waiting already")
        elif self._bytes + size > most:
            self.refuse(name, f"those that are waiting would have over {most:,} bytes")
        else:
            return True
        return False

    def shed(self) -> int:
        """Refuses the largest of those that are kept, so that the run can go on as new.

        Returns:
            How many.
        """
        most = self._budget.largest // 4
        shed = 0
        for message in sorted(self._kept.values(), key=lambda one: (-one.size, -one.number)):
            if self._bytes <= most:
                break
            self.take(message)
            self.refuse(message.name, f"over {most:,} bytes waited when the history was full")
            shed += 1
        return shed

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
        if self._kept.pop(message.number, None) is None:
            return False
        self._bytes -= message.size
        return True

    def put_back(self, messages: Iterable[Message]) -> None:
        """Takes back what was consumed, each to its place in the order."""
        for message in messages:
            self._kept[message.number] = message
            self._bytes += message.size
        self._kept = dict(sorted(self._kept.items()))
