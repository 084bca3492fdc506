"""The published JSON Schema and the front end refuse the same structures.

AGREEMENT_EXAMPLES sets how many changed documents are tried; `make soak` tries 20,000.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.agreement.corpus import documents
from tests.agreement.keys import PLACES, keys_of, with_key
from tests.agreement.mutations import VALUES, mutated
from tests.agreement.verdicts import refused_by_the_front_end, refused_by_the_schema

EXAMPLES = os.environ.get("AGREEMENT_EXAMPLES")
PARTS = 4
CHANGES = settings(
    max_examples=int(EXAMPLES or 800) // PARTS,
    derandomize=EXAMPLES is None,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # to make a large document small would take minutes
    suppress_health_check=(HealthCheck.large_base_example, HealthCheck.too_slow),
)


@functools.cache
def refused() -> dict[str, list[str] | None]:
    """What the front end has against each document of the project."""
    return {name: refused_by_the_front_end(data) for name, data in documents().items()}


def right() -> list[Any]:
    """The documents that the front end does not refuse."""
    return [data for name, data in documents().items() if refused()[name] == []]


def disagreement(data: Any, front_end: list[str] | None) -> str | None:
    """What only one of the two has against a document."""
    schema = refused_by_the_schema(data)
    if front_end is None or bool(front_end) == bool(schema):
        return None
    return "\n".join(
        [f"front end: {one}" for one in front_end] + [f"schema: {one}" for one in schema]
    )


def test_there_is_enough_to_compare() -> None:
    assert len(right()) > 700
    assert len(documents()) - len(right()) > 40


def test_they_agree_on_every_document_of_the_project() -> None:
    found = {name: disagreement(data, refused()[name]) for name, data in documents().items()}
    assert {name: said for name, said in found.items() if said is not None} == {}


@pytest.mark.parametrize("place", PLACES)
def test_they_agree_on_every_key_with_every_value(place: str) -> None:
    found: dict[str, str] = {}
    for number, key in enumerate(keys_of(place)):
        # A third of the values each, but for `make soak`.
        for value in VALUES if EXAMPLES else VALUES[number % 3 :: 3]:
            document = with_key(place, key, value)
            said = disagreement(document, refused_by_the_front_end(document))
            if said is not None:
                found[repr(document)] = said
    assert found == {}


@pytest.mark.parametrize("part", range(PARTS))
def test_they_agree_on_changed_documents(part: int) -> None:
    some = right()[part::PARTS]

    @CHANGES
    @given(st.data())
    def agree(data: st.DataObject) -> None:
        document = mutated(lambda end: data.draw(st.integers(0, end - 1)), some)
        said = disagreement(document, refused_by_the_front_end(document))
        assert said is None, f"{document}\n{said}"

    agree()
