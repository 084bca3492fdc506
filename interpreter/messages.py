"""Signals: kept in order, consumed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

__all__ = ["MOST_KEPT", "Mailbox", "Message", "SignalType"]


MOST_KEPT = 10_000
"""How many signals are kept at the most."""
_MOST_NAMES = 100


class SignalType:
    """A declared signal.

    Args:
        name: Its name.
        schema: JSON Schema of its payload, or None for anything.
    """

    def __init__(self, name: str, schema: dict[str, Any] | None) -> None:
        self.name = name
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
        self._early: list[tuple[str, Any]] | None = []
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

    def open(self, types: dict[str, SignalType]) -> None:
        """Tells what was declared, and takes what came before."""
        early, self._early, self._types = self._early or [], None, types
        for name, payload in early:
            self.deliver(name, payload)

    def deliver(self, name: str, payload: Any) -> None:
        """Keeps a signal; counts one that is unknown or does not fit."""
        if self._early is not None:
            self._early.append((name, payload))
            return
        declared = self._types.get(name)
        if declared is None:
            self.refuse(name, "it is not declared")
            return
        if len(self._kept) >= MOST_KEPT:
            self.refuse(name, f"{MOST_KEPT:,} are waiting already")
            return
        if not declared.fits(payload):
            self.refuse(name, "its payload is not what was declared")
            return
        self.arrived += 1
        self._kept[self.arrived] = Message(self.arrived, name, payload)

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
