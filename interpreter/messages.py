"""Signals: kept in order, consumed once."""

from __future__ import annotations

from collections import deque
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

__all__ = ["Mailbox", "SignalType"]


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
        return bool(self._validator.is_valid(payload))  # pyright: ignore[reportUnknownMemberType]


class Mailbox:
    """The signals of a run that were not consumed yet.

    Signals may come before the definition is known; what was declared is asked for then.
    """

    def __init__(self) -> None:
        self.kept: dict[str, deque[Any]] = {}
        self.refused: dict[str, int] = {}
        self._early: list[tuple[str, Any]] | None = []
        self._types: dict[str, SignalType] = {}

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
        if declared is None or not declared.fits(payload):
            self.refuse(name)
            return
        self.kept.setdefault(name, deque()).append(payload)

    def refuse(self, name: str) -> None:
        """Counts a signal that is not kept."""
        self.refused[name] = self.refused.get(name, 0) + 1

    def take(self, name: str) -> tuple[bool, Any]:
        """Takes the first of a name: whether there was one, and its payload."""
        kept = self.kept.get(name)
        if not kept:
            return False, None
        payload = kept.popleft()
        if not kept:
            del self.kept[name]
        return True, payload
