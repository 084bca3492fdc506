"""Small changes of documents: what a slip of the pen, a copy, or a wrong idea of a key makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from dsl.model.definition import Definition
from dsl.steps import KINDS

__all__ = ["VALUES", "mutated"]

_T = TypeVar("_T")

_MODELS = (Definition, *KINDS)
_KINDS = [kind.kind for kind in KINDS]
_NESTED = (
    "maximum_attempts",
    "backoff_coefficient",
    "order",
    "register",
    "payload",
    "errors",
    "check",
)
_KEYS = sorted(
    {field.alias or name for model in _MODELS for name, field in model.model_fields.items()}
    | {"when", "else", "initial_interval", "non_retryable_error_types", "on_failure"}
    | {"priority_key", "fairness_weight", *_NESTED}
)
_STEP = {"value": 1}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 2.0, 0.5, -0.5, 1e9),
    *("", " ", "a", "A", "1", "a-b", "a.b", "_a", "a b", "é", "all", "any", "unlimited", "fail"),
    *("reverse", "after", "halt", "wait_all", "finish"),
    *("input", "steps", "None", "len", "item", "error", "true"),
    *("${ 1 }", "${}", "${ }", " ${ input } ", "${", "$", "$${ a }", "x ${ a } y", "{}", "a > 1"),
    *("${ error }", "${error}", "error", " ${ error } ", "${ error.type }"),
    *("30s", "30", "1.5h", "1.5h30m", "30m1h", "1h1h", "5w", "250ms", " 30s", "0s", "-5s", "5 s"),
    *("PT5M", "P1W", "P1D", "P", "PT", "P1DT", "P1DT2H", "PT1.5H5M", "P1W1D", "pt5m"),
    *("2030-01-01T09:00:00Z", "2030-02-29T09:00:00Z", "2032-02-29 09:00:00.5+05:30"),
    *("2030-01-01", "2030-13-01T00:00:00Z", "0000-01-01T00:00:00Z", "2030-01-01T24:00:00Z"),
    *("5%", "101%", "100%", "5.5%", "%", "5 %"),
    *([], {}, [[]], [{}], [1], ["a"], ["a", "a"], ["a", "b"], [None], {"a": 1}, {"A": 1}),
    *({"input": 1}, {"a": [_STEP]}, {"a": []}, [_STEP], [_STEP, _STEP], _STEP),
    *({"activity": "a"}, [{"activity": "a"}], {"id": "x", "activity": "a"}, {"id": "x"}),
    *([{"activity": "a"}, _STEP], {"activity": "${ 1 }", "id": "x", "one_of": ["a"]}),
    *({"break": True}, [{"break": True}], {"return": 1}, {"rollback": "all"}),
    *([{"when": "a", "do": [_STEP]}], [{"else": [_STEP]}], [{"do": [_STEP]}], [{"when": "a"}]),
    *([{"else": [_STEP], "when": "a"}], [{"else": [_STEP]}, {"when": "a", "do": [_STEP]}]),
    *({"type": "object"}, {"type": "thing"}, {"type": ["string", "string"]}, {"required": "a"}),
    *({"$ref": "#/$defs/a"}, {"$ref": "other.json"}, {"properties": {"a": {"minimum": "x"}}}),
    *({"properties": {"a": {"pattern": "^a$"}}}, {"items": True}, {"anyOf": []}, {"enum": 1}),
    *({"maximum_attempts": 3}, {"maximum_attempts": 0}, {"when": "attempt < 3"}),
]
"""Values that some key takes, and those that are nearly so."""
_Place = tuple[str | int, ...]


class Pick:
    """Chooses.

    Args:
        number: Gives a whole number from 0 that is less than the one given.
    """

    def __init__(self, number: Callable[[int], int]) -> None:
        self.number = number

    def of(self, several: Sequence[_T]) -> _T:
        """One of several."""
        return several[self.number(len(several))]


def _places(value: Any, place: _Place = ()) -> Iterator[_Place]:
    """Where there is something in a document."""
    yield place
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _places(inner, (*place, key))


def _copy(value: Any) -> Any:
    """A copy in which nothing is there twice."""
    return json.loads(json.dumps(value))


def _at(document: Any, place: _Place) -> Any:
    for part in place:
        document = document[part]
    return document


def _rename(holder: dict[str, Any], old: str, new: str) -> None:
    """Gives a key another name, in its place."""
    changed = {new if key == old else key: value for key, value in holder.items() if key != new}
    holder.clear()
    holder.update(changed)


def _slip(pick: Pick, word: str) -> str:
    """A word with a letter more, less or changed."""
    at = pick.number(len(word) + 1)
    return word[:at] + pick.of(("", "e", "_", "S")) + word[at + pick.number(2) :]


# Each changes what stands at a key of a map, or a place of a list, in a document.


def _delete(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    del holder[key]


def _replace(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    holder[key] = _copy(pick.of(VALUES))


def _exchange(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    """Takes what stands somewhere else."""
    holder[key] = _copy(_at(document, pick.of(list(_places(document)))))


def _rename_key(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        others = [_slip(pick, key), pick.of(_KEYS), pick.of(("input", "len", "A", "", "a b"))]
        _rename(holder, key, pick.of(others))


def _change_kind(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    if isinstance(holder, dict) and key in _KINDS:
        _rename(holder, key, pick.of(_KINDS))


def _double(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        holder.insert(key, _copy(holder[key]))


def _add(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[pick.of(_KEYS)] = _copy(pick.of(VALUES))


def _move(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    """Puts an option into another map."""
    if isinstance(holder, dict):
        value = holder.pop(key)
        things = [_at(document, place) for place in _places(document)]
        pick.of([thing for thing in things if isinstance(thing, dict)])[key] = value


def _wrap(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    inner = holder[key]
    name = pick.of(("do", "finally", "compensate", "a", "catch", "else"))
    holder[key] = pick.of(([inner], {name: inner}, {name: [inner]}))


def _unwrap(pick: Pick, document: Any, holder: Any, key: Any) -> None:
    inner = holder[key]
    if isinstance(inner, list | dict) and inner:
        holder[key] = pick.of(inner if isinstance(inner, list) else list(inner.values()))


_CHANGES = (
    *(_delete, _replace, _replace, _exchange, _rename_key, _change_kind),
    *(_double, _add, _add, _move, _wrap, _unwrap),
)


def mutated(number: Callable[[int], int], documents: Sequence[Any]) -> Any:
    """One of the documents, with one to three changes.

    Args:
        number: Gives a whole number from 0 that is less than the one given.
        documents: The documents.
    """
    pick = Pick(number)
    whole = {"document": _copy(pick.of(documents))}
    for _ in range(1 + pick.number(3)):
        *way, key = pick.of(list(_places(whole))[1:])
        change = pick.of(_CHANGES)
        change(pick, whole, _at(whole, tuple(way)), key)
        if "document" not in whole:
            break
    return whole.get("document")
