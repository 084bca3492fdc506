"""Checks of a whole definition: what its parts say to one another."""

from dsl.check.walk import check

__all__ = ["check"]
