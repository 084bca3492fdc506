"""Checks of a whole definition: what its parts say to one another."""

from dsl.check.ids import MAX_STEPS, count_steps
from dsl.check.walk import check

__all__ = ["MAX_STEPS", "check", "count_steps"]
