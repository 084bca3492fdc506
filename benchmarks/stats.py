"""Ratios with their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

__all__ = ["Ratio", "Series"]

Series = dict[str, list[float]]
"""For each variant a number for each round."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the ratios of each round, and the half of them in the middle."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Ours by theirs, each round by itself: what disturbs a round disturbs both."""
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        if len(ratios) < 2:
            return cls(ratios[0], ratios[0], ratios[0])
        low, _, high = quantiles(ratios, n=4, method="inclusive")
        return cls(median(ratios), low, high)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.median:.2f}"
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"
