"""The reference model finds what is wrong: runs that are right, and forgeries of them.

A turn is written `what was seen -> what was sent`. Seen: `a` completed, `a failed`,
`a timed_out`, `a cancelled`, `cancel` of the run, `ring x` of a timer. Sent: `a`, and `stop a`
for its cancellation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from dsl.loader import load_text
from interpreter.testing import Cancelled, Ended, Observation, Rang, Turn, check


def act(id: str, **more: Any) -> dict[str, Any]:
    """An act that can be undone."""
    return {"id": id, "activity": id, "compensate": {"activity": f"undo_{id}"}, **more}


def plain(id: str, **more: Any) -> dict[str, Any]:
    """An act that cannot."""
    return {"id": id, "activity": id, **more}


FAIL: dict[str, Any] = {"raise": "X"}


@dataclass(frozen=True)
class Forgery:
    """What is wrong, and the rule that says so.

    Args:
        rule: The rule.
        turns: What the run did.
        status: Its status; None where that is the right one.
        saga: Its saga log; None where that is the right one.
    """

    rule: str
    turns: tuple[str, ...]
    status: str | None = None
    saga: str | None = None


@dataclass(frozen=True)
class Example:
    """A definition and a run of it that is right.

    Args:
        definition: The definition.
        turns: What the run did.
        status: Its status.
        saga: Its saga log: `path status compensation, ...`.
        forgeries: What it must not do.
    """

    definition: dict[str, Any]
    turns: tuple[str, ...]
    status: str
    saga: str
    forgeries: dict[str, Forgery]


EXAMPLES = {
    "a sequence": Example(
        {"steps": [act("a"), act("b"), plain("c"), act("d")]},
        ("-> a", "a -> b", "b -> c", "c failed -> b!undo", "b!undo -> a!undo", "a!undo ->"),
        "compensated",
        "b completed compensated, a completed compensated",
        {
            "an undo is missing": Forgery(
                "7", ("-> a", "a -> b", "b -> c", "c failed -> b!undo", "b!undo ->")
            ),
            "an act is undone twice": Forgery(
                "12",
                ("-> a", "a -> b", "b -> c", "c failed -> b!undo", "b!undo -> a!undo, b!undo"),
            ),
            "undone in the order of doing": Forgery(
                "3", ("-> a", "a -> b", "b -> c", "c failed -> a!undo", "a!undo -> b!undo")
            ),
            "both undone at the same time": Forgery(
                "3", ("-> a", "a -> b", "b -> c", "c failed -> b!undo, a!undo")
            ),
            "undone what never ran": Forgery(
                "2", ("-> a", "a -> b", "b -> c", "c failed -> b!undo, d!undo")
            ),
            "undone without a reason": Forgery("7", ("-> a", "a -> b, a!undo")),
            "undone while in flight": Forgery("4", ("-> a", "a -> b", "-> b!undo")),
            "what cannot be undone is undone": Forgery(
                "1", ("-> a", "a -> b", "b -> c", "c failed -> c!undo")
            ),
            "it goes on after the failure": Forgery(
                "6", ("-> a", "a -> b", "b -> c", "c failed -> b!undo, d")
            ),
            "a step is left out": Forgery("flow", ("-> a", "a -> c")),
            "a step is done twice": Forgery("12", ("-> a", "a -> a")),
            "the status is wrong": Forgery(
                "11",
                ("-> a", "a -> b", "b -> c", "c failed -> b!undo", "b!undo -> a!undo", "a!undo ->"),
                status="failed",
            ),
            "the saga log lacks an entry": Forgery(
                "11",
                ("-> a", "a -> b", "b -> c", "c failed -> b!undo", "b!undo -> a!undo", "a!undo ->"),
                saga="b completed compensated",
            ),
        },
    ),
    "an act that timed out": Example(
        {"steps": [act("a")]},
        ("-> a", "a timed_out -> a!undo", "a!undo ->"),
        "compensated",
        "a timed_out compensated",
        {"is not undone": Forgery("7", ("-> a", "a timed_out ->"), "failed", "")},
    ),
    "register after": Example(
        {"compensation": {"register": "after"}, "steps": [act("a"), act("b")]},
        ("-> a", "a -> b", "b failed -> a!undo", "a!undo ->"),
        "compensated",
        "a completed compensated",
        {"what failed is undone": Forgery("1", ("-> a", "a -> b", "b failed -> b!undo"))},
    ),
    "members": Example(
        {"steps": [{"parallel": {"x": [act("k"), act("l")], "y": [act("m")], "z": [plain("r")]}}]},
        (
            "-> k, m, r",
            "k -> l",
            "m ->",
            "r failed -> stop l",
            "l cancelled -> l!undo, m!undo",
            "l!undo -> k!undo",
            "m!undo, k!undo ->",
        ),
        "compensated",
        "l cancelled compensated, m completed compensated, k completed compensated",
        {
            "in flight when it is undone": Forgery(
                "4", ("-> k, m, r", "k -> l", "m ->", "r failed -> stop l, l!undo")
            ),
            "undone before a sibling settled": Forgery(
                "4", ("-> k, m, r", "k -> l", "m ->", "r failed -> stop l, m!undo")
            ),
            "not cancelled": Forgery("4", ("-> k, m, r", "k -> l", "m ->", "r failed ->")),
            "cancelled without a reason": Forgery("4", ("-> k, m, r", "k -> l, stop m")),
            "undone one after the other": Forgery(
                "7",
                ("-> k, m, r", "k -> l", "m ->", "r failed -> stop l", "l cancelled -> l!undo"),
            ),
        },
    ),
    "a race": Example(
        {"steps": [{"parallel": {"x": [act("a")], "y": [act("b")]}, "join": "any"}, plain("c")]},
        ("-> a, b", "b -> stop a", "a -> a!undo", "a!undo -> c", "c ->"),
        "completed",
        "a completed compensated",
        {
            "the loser is not undone": Forgery("joins", ("-> a, b", "b -> stop a", "a -> c")),
            "the winner is undone": Forgery(
                "7", ("-> a, b", "b -> stop a", "a -> a!undo", "a!undo -> c, b!undo")
            ),
        },
    ),
    "losers that run on": Example(
        {
            "steps": [
                {"parallel": {"x": [act("a")], "y": [act("b")]}, "join": "any", "losers": "finish"},
                plain("c"),
            ]
        },
        ("-> a, b", "b -> c", "c ->", "a ->"),
        "completed",
        "",
        {
            "nobody waits for them": Forgery("joins", ("-> a, b", "b -> c", "c ->")),
            "they are undone": Forgery("7", ("-> a, b", "b -> c", "a -> a!undo")),
        },
    ),
    "a catch": Example(
        {"steps": [act("z"), {"do": [act("a"), plain("b")], "catch": [{"do": [plain("c")]}]}]},
        ("-> z", "z -> a", "a -> b", "b failed -> a!undo", "a!undo -> c", "c ->"),
        "completed",
        "a completed compensated",
        {
            "it runs before the inside is undone": Forgery(
                "6", ("-> z", "z -> a", "a -> b", "b failed -> c")
            ),
            "it runs while the inside is undone": Forgery(
                "6", ("-> z", "z -> a", "a -> b", "b failed -> a!undo, c")
            ),
            "what lies outside is undone too": Forgery(
                "7", ("-> z", "z -> a", "a -> b", "b failed -> a!undo", "a!undo -> c, z!undo")
            ),
        },
    ),
    "a finally": Example(
        {"steps": [{"id": "d", "do": [act("a"), FAIL], "finally": [plain("f")]}]},
        ("-> a", "a -> a!undo", "a!undo -> d!finally.f", "d!finally.f ->"),
        "compensated",
        "a completed compensated",
        {
            "it runs before the inside is undone": Forgery("6", ("-> a", "a -> d!finally.f")),
            "it does not run": Forgery("flow", ("-> a", "a -> a!undo", "a!undo ->")),
        },
    ),
    "a retry": Example(
        {"steps": [{"id": "r", "retry": {"maximum_attempts": 2}, "do": [act("a"), plain("b")]}]},
        (
            "-> a",
            "a -> b",
            "b failed -> a!undo",
            "a!undo ->",
            "ring before try 2 of r -> r~2.a",
            "r~2.a -> r~2.b",
            "r~2.b ->",
        ),
        "completed",
        "a completed compensated",
        {
            "the first try is not undone": Forgery("6", ("-> a", "a -> b", "b failed ->")),
            "the second try is the same act": Forgery(
                "12",
                (
                    "-> a",
                    "a -> b",
                    "b failed -> a!undo",
                    "a!undo ->",
                    "ring before try 2 of r -> a",
                ),
            ),
        },
    ),
    "a block that stands for its inside": Example(
        {
            "steps": [
                {"id": "o", "do": [act("a")], "compensate": {"activity": "undo_o"}},
                FAIL,
            ]
        },
        ("-> a", "a -> o!undo", "o!undo ->"),
        "compensated",
        "o completed compensated",
        {"the inside is undone": Forgery("5", ("-> a", "a -> a!undo"))},
    ),
    "a pivot": Example(
        {"steps": [act("a"), plain("p", pivot=True), act("c"), FAIL]},
        ("-> a", "a -> p", "p -> c", "c -> c!undo", "c!undo ->"),
        "compensated",
        "c completed compensated",
        {
            "what came before is undone": Forgery(
                "10", ("-> a", "a -> p", "p -> c", "c -> c!undo", "c!undo -> a!undo")
            ),
        },
    ),
    "a cancellation": Example(
        {"steps": [act("a"), act("b"), plain("c")]},
        ("-> a", "a -> b", "cancel -> stop b", "b -> b!undo", "b!undo -> a!undo", "a!undo ->"),
        "cancelled",
        "b completed compensated, a completed compensated",
        {
            "nothing is undone": Forgery(
                "8", ("-> a", "a -> b", "cancel -> stop b", "b ->"), "cancelled", ""
            ),
            "it goes on": Forgery("8", ("-> a", "a -> b", "cancel -> stop b", "b -> c")),
            "it ends while an act runs": Forgery("8", ("-> a", "a -> b", "cancel -> stop b")),
            "what runs is not cancelled": Forgery("8", ("-> a", "a -> b", "cancel ->")),
            "it ends completed": Forgery(
                "11",
                (
                    "-> a",
                    "a -> b",
                    "cancel -> stop b",
                    "b -> b!undo",
                    "b!undo -> a!undo",
                    "a!undo ->",
                ),
                "completed",
            ),
        },
    ),
    "on_failure halt": Example(
        {"compensation": {"on_failure": "halt"}, "steps": [act("a"), act("b"), FAIL]},
        ("-> a", "a -> b", "b -> b!undo", "b!undo failed ->"),
        "compensation_failed",
        "b completed failed, a completed skipped",
        {
            "the others are undone": Forgery(
                "9", ("-> a", "a -> b", "b -> b!undo", "b!undo failed -> a!undo")
            ),
        },
    ),
    "on_failure continue": Example(
        {"steps": [act("a"), act("b"), FAIL]},
        ("-> a", "a -> b", "b -> b!undo", "b!undo failed -> a!undo", "a!undo ->"),
        "compensation_failed",
        "b completed failed, a completed compensated",
        {
            "the others are not undone": Forgery(
                "7", ("-> a", "a -> b", "b -> b!undo", "b!undo failed ->")
            ),
        },
    ),
    "iterations": Example(
        {"steps": [{"id": "f", "foreach": [1, 2], "do": [act("a")]}, FAIL]},
        (
            "-> f[0].a",
            "f[0].a -> f[1].a",
            "f[1].a -> f[1].a!undo",
            "f[1].a!undo -> f[0].a!undo",
            "f[0].a!undo ->",
        ),
        "compensated",
        "f[1].a completed compensated, f[0].a completed compensated",
        {
            "are undone in the order of doing": Forgery(
                "3", ("-> f[0].a", "f[0].a -> f[1].a", "f[1].a -> f[0].a!undo")
            ),
        },
    ),
    "rollback": Example(
        {"steps": [act("a"), act("b"), {"rollback": ["a"]}, plain("c")]},
        ("-> a", "a -> b", "b -> a!undo", "a!undo -> c", "c ->"),
        "completed",
        "a completed compensated",
        {
            "it is ignored": Forgery("6", ("-> a", "a -> b", "b -> c")),
            "more than it says is undone": Forgery("7", ("-> a", "a -> b", "b -> a!undo, b!undo")),
        },
    ),
}


def turn(text: str) -> Turn:
    before, after = (part.strip() for part in text.split("->"))
    seen: list[Ended | Rang | Cancelled] = []
    for word in filter(None, (part.strip() for part in before.split(","))):
        path, _, outcome = word.partition(" ")
        if word == "cancel":
            seen.append(Cancelled())
        elif path == "ring":
            seen.append(Rang(outcome))
        else:
            type = {"failed": "X", "timed_out": "Timeout"}.get(outcome)
            error = {"type": type, "message": "", "details": None} if type else None
            seen.append(Ended(path, outcome or "completed", error=error))
    words = list(filter(None, (part.strip() for part in after.split(","))))
    stopped = tuple(word.removeprefix("stop ") for word in words if word.startswith("stop "))
    sent = tuple(word for word in words if not word.startswith("stop "))
    return Turn(tuple(seen), sent, stopped)


def judge(example: Example, turns: tuple[str, ...], status: str, saga: str) -> list[str]:
    text = json.dumps({"dsl": 1, "name": "forged", **example.definition})
    entries = [tuple(entry.split()) for entry in saga.split(", ") if entry]
    log = tuple((path, forward, undone) for path, forward, undone in entries)
    observation = Observation(tuple(map(turn, turns)), status, log)
    return [v.rule for v in check(load_text(text).definitions[0], observation)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_right(name: str) -> None:
    example = EXAMPLES[name]
    assert judge(example, example.turns, example.status, example.saga) == []


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name, one in EXAMPLES.items() for what in one.forgeries]
)
def test_what_is_wrong(name: str, what: str) -> None:
    example = EXAMPLES[name]
    forgery = example.forgeries[what]
    status = example.status if forgery.status is None else forgery.status
    saga = example.saga if forgery.saga is None else forgery.saga
    assert forgery.rule in judge(example, forgery.turns, status, saga)
