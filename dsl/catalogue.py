"""What the checker knows of activities: names, and the shapes of arguments and results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["ActivityType", "Catalogue"]


@dataclass(frozen=True, slots=True)
class ActivityType:
    """One activity that a worker can run.

    Attributes:
        name: The name a definition uses: `payments.charge`.
        description: The first paragraph of its docstring on one line, or "".
        arguments: JSON Schema 2020-12 of the object given to `with`. Its top level always has
            `type: object`, `properties`, `required` and `additionalProperties` (false, unless
            the function takes `**kwargs` or a model that allows extra keys); shared parts are
            in `$defs`.
        result: JSON Schema 2020-12 of the result; None where the function does not say.
    """

    name: str
    description: str
    arguments: dict[str, Any]
    result: dict[str, Any] | None


Catalogue: TypeAlias = Mapping[str, ActivityType]
"""Activities by name."""
