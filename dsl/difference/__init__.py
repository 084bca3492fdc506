"""What changed between two definitions, and which inputs the new one refuses."""

from dsl.difference.breaks import input_breaks
from dsl.difference.definitions import differences

__all__ = ["differences", "input_breaks"]
