"""What may be published: the same check where it is sent from and where it is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dsl.loader import is_normal, load_text
from dsl.model.definition import digest
from interpreter.definitions.packed import unpack

if TYPE_CHECKING:
    from interpreter.definitions.entity import Publication

__all__ = ["MOST_BYTES", "refusal", "too_large"]

MOST_BYTES = 512 * 1024
"""The largest definition that is kept, packed."""
_MOST_EXPLAINED = 100_000
"""The most characters that are read again only to say what is wrong: who deploys was told."""


def too_large(publication: Publication) -> str | None:
    """Why a publication is too large; None where it is not."""
    if len(publication.body) <= MOST_BYTES:
        return None
    size = f"{len(publication.body):,} bytes when packed, {MOST_BYTES:,} are kept"
    return f"the definition is too large: {size}"


def refusal(name: str, publication: Publication) -> str | None:
    """Why a publication under a name is refused; None where it is not."""
    if (why := too_large(publication)) is not None:
        return why
    try:
        text = unpack(publication.body)
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"this is no definition: {error}"
    if digest(text) != publication.digest:
        return "the digest is not that of the definition"
    if not is_normal(text):
        if len(text) > _MOST_EXPLAINED:
            return "it is not a valid definition in its normal form"
        said = "\n".join(map(str, load_text(text, name).diagnostics))
        return said or "it is not in its normal form: this worker has another version than you"
    if content["name"] != name:
        return f"this is the definition of {content['name']}, not of {name}"
    return None
