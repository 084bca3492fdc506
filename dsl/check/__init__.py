"""Checks of a whole definition: what its parts say to one another."""

from dsl.check.walk import MAX_STEPS, check, count_steps

__all__ = ["MAX_STEPS", "check", "count_steps"]
