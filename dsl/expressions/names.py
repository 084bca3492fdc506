"""Names with a fixed meaning."""

import keyword
from typing import Final

from .frame import Value

__all__ = ["CONSTANTS", "RESERVED", "STEP_FIELDS"]

CONSTANTS: Final[dict[str, Value]] = {"true": True, "false": False, "null": None, "none": None}
"""Names that stand for a value, beside Python's True, False and None."""

STEP_FIELDS: Final = ("output", "status", "error")
"""What `steps.<id>` has."""

RESERVED: Final = (
    frozenset(keyword.kwlist)
    | frozenset(CONSTANTS)
    | frozenset(
        (
            "attempt",
            "error",
            "input",
            "payload",
            "result",
            "secrets",
            "signal",
            "status",
            "step",
            "steps",
            "vars",
            "workflow",
        )
    )
)
"""Names nobody may give to a step or a variable, beside those of the functions."""
