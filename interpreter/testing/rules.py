"""The rules of compensation, by number, and what breaks them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "Unsupported", "Violation"]

RULES = {
    "1": "A step is registered before it is sent: one that may have acted is undone. With "
    "`register: after` only one that completed is.",
    "2": "What provably never ran is not undone.",
    "3": "Undoing goes backwards: the last step of a sequence first, iterations in reverse. With "
    "`order: parallel` all steps of the block are undone at the same time.",
    "4": "After a failure among members the others are cancelled and settle. Only then they are "
    "undone, at the same time, each backwards; then what came before. No act in flight is undone.",
    "5": "When a scope closes its entries pass to the one round it. A block with a `compensate` of "
    "its own stands for its inside once it completed.",
    "6": "Undoing happens at the edge of a block with a matching `catch`, a `finally` or a "
    "`retry`, of the definition, and at `rollback`: the inside is undone, then the `catch` runs, "
    "then the `finally`. Other edges are transparent, and what lies outside is not undone.",
    "7": "An error or a timeout that reaches the top undoes everything. Nothing else does.",
    "8": "A cancellation stops forward work, which settles. Undoing runs to its end, whatever "
    "comes meanwhile.",
    "9": "After a compensation that failed the others are done all the same, with "
    "`on_failure: halt` none.",
    "10": "Once a pivot succeeded, nothing before it is undone.",
    "11": "The status is `completed failed compensated compensation_failed cancelled`, and the "
    "saga log has every entry with how it ended and how its undoing did.",
    "12": "One path is one act: it is done once, and undone once.",
    "joins": "Losers are cancelled, settle, and are undone; with `losers: finish` they run on, and "
    "the definition waits for them. What failed and is tolerated is undone.",
    "flow": "Steps run in the order and under the conditions that the definition says.",
}
"""What each rule says."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a run broke.

    Args:
        rule: Which: a key of `RULES`.
        message: What happened.
    """

    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.message}\n  rule {self.rule}: {RULES[self.rule]}"


class Unsupported(Exception):
    """The definition has what the model does not know."""
