"""Retrying: Temporal's policy for activities, and the attempts that the interpreter makes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.common import RetryPolicy

from dsl.model.common import Retry
from interpreter.errors import StepError
from interpreter.evaluation import Duration, holds
from interpreter.scope import Act, Rec

if TYPE_CHECKING:
    from interpreter.program import Compiler

__all__ = ["ONCE", "Retries"]

ONCE = RetryPolicy(maximum_attempts=1)
"""For an activity whose attempts the interpreter makes."""
_INITIAL = 1.0
_COEFFICIENT = 2.0


class Retries:
    """A `retry`, compiled.

    Args:
        retry: The retry of the model.
        compiler: Compiles its parts.

    Attributes:
        policy: The policy for Temporal, where nothing in it has to be evaluated.
    """

    def __init__(self, retry: Retry, compiler: Compiler) -> None:
        self.when = compiler.expression(retry.when)
        attempts = retry.maximum_attempts
        self.most = attempts if isinstance(attempts, int) else 0
        self.coefficient = retry.backoff_coefficient or _COEFFICIENT
        self.final_types = tuple(retry.non_retryable_error_types)
        self.initial = compiler.duration(retry.initial_interval)
        self.longest = compiler.duration(retry.maximum_interval)
        self.policy: RetryPolicy | None = None
        if _known(self.initial) and _known(self.longest):
            first = self.initial.constant if self.initial else None
            last = self.longest.constant if self.longest else None
            self.policy = self._policy(first, last)

    def _policy(self, first: float | None, last: float | None) -> RetryPolicy:
        initial = _INITIAL if first is None else max(first, 0.001)
        return RetryPolicy(
            initial_interval=timedelta(seconds=initial),
            backoff_coefficient=self.coefficient,
            maximum_interval=None if last is None else timedelta(seconds=max(last, initial)),
            maximum_attempts=self.most,
            non_retryable_error_types=self.final_types or None,
        )

    async def evaluated(self, act: Act, rec: Rec) -> RetryPolicy:
        """The policy for Temporal in an act."""
        if self.policy is not None:
            return self.policy
        first = await self.initial.seconds(act, rec) if self.initial else None
        last = await self.longest.seconds(act, rec) if self.longest else None
        return self._policy(first, last)

    async def pause(self, act: Act, rec: Rec, summary: str) -> None:
        """Waits before the next attempt of a step, after one that failed.

        The record keeps that error as `failed`, and from when on it is tried `again`.

        Raises:
            StepError: if there is no further attempt.
        """
        error: StepError = rec.kept("failed")
        if not rec.keeps("again"):
            seconds = await self.wait_after(act, rec, error, rec.attempt)
            if seconds is None:
                raise error
            rec.keep("again", act.execution.clock() + seconds if seconds > 0 else None)
        if rec.kept("again") is not None:
            await act.execution.pause_until(act, rec, rec.kept("again"), summary)
        rec.release("failed", "again")
        rec.attempt += 1

    async def wait_after(self, act: Act, rec: Rec, error: StepError, attempt: int) -> float | None:
        """How long to wait before the next attempt, in seconds; None if there is none.

        Args:
            act: The act of the step.
            rec: Its record.
            error: How the attempt failed.
            attempt: Which it was, counted from 1.
        """
        if self.most and attempt >= self.most:
            return None
        if error.final or error.type in self.final_types:
            return None
        if self.when is not None:
            seen = act.inner(names={"error": error.data(), "attempt": attempt})
            if not await holds(seen, rec, self.when):
                return None
        policy = await self.evaluated(act, rec)
        first = policy.initial_interval.total_seconds()
        longest = policy.maximum_interval
        most = longest.total_seconds() if longest is not None else first * 100
        exponent = min(attempt - 1, 1000)
        try:
            return min(most, first * policy.backoff_coefficient**exponent)
        except OverflowError:
            return most


def _known(duration: Duration | None) -> bool:
    return duration is None or duration.constant is not None
