"""Where a run stands, from the answer to its `status` query."""

from __future__ import annotations

from typing import Any

import pytest

from dsl.graph import Format, State, States, draw, states
from dsl.graph.build import picture
from dsl.graph.states import filled
from dsl.loader import load_text

TEXT = """\
dsl: 1
name: x
input: {type: object, required: [go], properties: {go: {type: boolean}}}
signals: {word: {}}
steps:
  - id: asked
    foreach: [1, 2, 3]
    do:
      - id: wait
        wait_signal: word
        timeout: 1h
        catch:
          - do: [{sleep: 1s}, {id: last, sleep: 2s}]
      - while: input.go
        do: [{sleep: 3s}]
  - id: tried
    retry: {maximum_attempts: 3}
    do:
      - {id: inner, sleep: 1s}
      - {sleep: 2s}
  - id: which
    switch:
      - when: input.go
        do: [{id: taken, sleep: 1s}]
      - else: [{id: left, sleep: 1s}]
  - id: guarded
    if: input.go
    do: [{id: first, sleep: 1s}]
    finally: [{id: cleanup, sleep: 1s}]
"""


def step(
    path: str, status: str = "completed", kind: str = "sleep", *steps: Any, **more: Any
) -> Any:
    return {"path": path, "kind": kind, "status": status, "steps": list(steps), **more}


def seen(*steps: Any, compensations: tuple[Any, ...] = ()) -> dict[str, State]:
    answer = {"status": "running", "steps": list(steps), "compensations": list(compensations)}
    found = states("run", answer)
    assert (found.run, found.status) == ("run", "running")
    return dict(found.steps)


def test_iterations_are_summed_up() -> None:
    found = seen(
        step(
            "asked",
            "running",
            "foreach",
            *(step(f"asked[{n}].wait", status) for n, status in ((0, "completed"), (3, "waiting"))),
        ),
    )
    assert found == {
        "asked": State("running", "4 rounds"),
        "asked[].wait": State("waiting", "1/2"),
    }


@pytest.mark.parametrize(
    "statuses, worst, label",
    [
        (("completed", "completed"), "completed", "2/2"),
        (("completed", "caught", "skipped"), "caught", "3/3"),
        (("completed", "failed", "running", "waiting"), "failed", "1/4"),
        (("pending", "running"), "running", "0/2"),
        (("compensated", "compensation_failed"), "compensation_failed", "1/2"),
        (("timed_out", "suspended", "cancelled"), "suspended", "0/3"),
    ],
)
def test_the_worst_is_shown(statuses: tuple[str, ...], worst: str, label: str) -> None:
    inner = (step(f"asked[{n}].wait", status) for n, status in enumerate(statuses))
    assert seen(step("asked", "running", "foreach", *inner))["asked[].wait"] == State(worst, label)


def test_paths_of_all_sorts() -> None:
    loop = step("asked[1].while[1]", "completed", "while", step("asked[1].while[1][0].sleep[0]"))
    caught = (step("asked[1].wait!catch[0].sleep[0]"), step("asked[1].last"))
    found = seen(
        step("asked", "completed", "foreach", step("asked[1].wait", "caught", "x", *caught), loop),
        step("tried", "completed", "do", step("tried~2.inner"), step("tried~2.tried.sleep[1]")),
        step("guarded", "completed", "do", step("guarded!finally.cleanup", attempt=3)),
    )
    assert found == {
        "asked": State("completed", "2 rounds"),
        "asked[].wait": State("caught"),
        "asked[].wait!catch[0].sleep[0]": State("completed"),
        "asked[].last": State("completed"),
        "asked[].while[1]": State("completed", "1 round"),
        "asked[].while[1][].sleep[0]": State("completed"),
        "tried": State("completed"),
        "inner": State("completed"),
        "tried.sleep[1]": State("completed"),
        "guarded": State("completed"),
        "guarded!finally.cleanup": State("completed", "try 3"),
    }


def test_loops_without_ids_in_each_other() -> None:
    def loop(path: str, *steps: Any) -> Any:
        return step(path, "completed", "foreach", *steps)

    inner = (
        loop(f"foreach[0][{n}].foreach[0]", step(f"foreach[0][{n}].foreach[0][0].a"))
        for n in (0, 1)
    )
    assert seen(loop("foreach[0]", *inner)) == {
        "foreach[0]": State("completed", "2 rounds"),
        "foreach[0][].foreach[0]": State("completed", "1 round"),
        "foreach[0][].foreach[0][].a": State("completed", "2/2"),
    }


def test_the_keys_are_those_of_the_picture() -> None:
    test_paths_of_all_sorts()
    definition = load_text(TEXT).definitions[0]
    everything = filled(States("run", "running", {}), picture(definition).body)
    wanted = {
        *("asked", "asked[].wait", "asked[].wait!catch[0].sleep[0]", "asked[].last"),
        *("asked[].while[1]", "asked[].while[1][].sleep[0]", "tried", "inner", "tried.sleep[1]"),
        *("which", "taken", "left", "guarded", "first", "guarded!finally.cleanup"),
    }
    assert set(everything.steps) == wanted
    assert set(everything.steps.values()) == {State("pending")}


def test_what_undid_a_step() -> None:
    found = seen(
        step("asked", "failed", "foreach", step("asked[11].wait", "compensated")),
        step("inner", "failed"),
        compensations=(
            {"step": "inner", "compensation": "failed"},
            {"step": "asked[11].wait", "compensation": "compensated"},
            {"step": "asked[0].wait", "compensation": "running"},  # too long ago to be listed
            {"step": "tried~2.tried.sleep[1]", "compensation": "skipped"},  # not to be told
        ),
    )
    assert found["inner!undo"] == State("compensation_failed")
    assert found["asked[].wait!undo"] == State("running", "1/2")
    assert found["asked"] == State("failed", "12 rounds")
    assert set(found) == {"asked", "asked[].wait", "inner", "inner!undo", "asked[].wait!undo"}


def test_what_a_run_did_not_come_to() -> None:
    definition = load_text(TEXT).definitions[0]
    there = {
        "asked": State("completed"),
        "asked[].wait": State("completed"),
        "which": State("completed"),
        "taken": State("completed"),
        "guarded": State("running"),
    }
    found = filled(States("run", "running", there), picture(definition).body).steps
    assert there.items() <= found.items()
    skipped = {key for key, state in found.items() if state.status == "skipped"}
    assert skipped == {
        *("asked[].wait!catch[0].sleep[0]", "asked[].last", "left"),
        *("asked[].while[1]", "asked[].while[1][].sleep[0]"),
    }
    pending = {key for key, state in found.items() if state.status == "pending"}
    assert pending == {"tried", "inner", "tried.sleep[1]", "first", "guarded!finally.cleanup"}


def test_statuses_that_only_a_newer_worker_knows() -> None:
    definition = load_text(TEXT).definitions[0]
    answer = {
        "status": "odd",
        "steps": [step("inner", "odd"), step("first")],
        "compensations": [{"step": "first", "compensation": "odd"}],
    }
    found = states("run", answer)
    assert found.steps["inner"] == found.steps["first!undo"] == State("odd")
    for format in Format:
        drawn = draw(definition, format, found)
        assert "is-odd" not in drawn and "odd" in drawn
