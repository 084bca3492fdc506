"""A reference model of sagas: says whether a run did what its definition asks for.

It is written from the rules of compensation (`RULES`) and shares no code with the interpreter.

    observation = read_history(history.to_json_dict(), await handle.query("status"))
    for violation in check(definition, observation):
        print(violation)

`model` is the language as a small executable semantics, `log` is what was done and may have to
be undone, `turns` plays a run again and compares, `observation` is what is known of a run.

It knows every kind of step but the waits for messages and conditions, and nothing of handlers,
suspended runs, local activities, `retry.when` on activities, and undoing that ran out of time.
"""

from interpreter.testing.model import check
from interpreter.testing.observation import (
    Cancelled,
    Ended,
    Observation,
    Rang,
    Turn,
    read_history,
)
from interpreter.testing.rules import RULES, Unsupported, Violation

__all__ = [
    "RULES",
    "Cancelled",
    "Ended",
    "Observation",
    "Rang",
    "Turn",
    "Unsupported",
    "Violation",
    "check",
    "read_history",
]
