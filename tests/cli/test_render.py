"""How the state of a run is shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from interpreter.cli import render
from interpreter.cli.retries import Retried

AGAIN = Retried("charge", "payments.charge", 3, "NameError: name 'nmae' is not defined", 0)
SHOWN = "↻ charge  payments.charge  attempt 3 after NameError: name 'nmae' is not defined"


def step(path: str, status: str, ended: float | None = None, *steps: Any) -> dict[str, Any]:
    """A step of a state."""
    times = {} if ended is None else {"started": 0.0, "ended": ended}
    return {"path": path, "status": status, "steps": list(steps)} | times


def paths(printed: str) -> list[str]:
    return [line.split()[1] for line in printed.splitlines()]


def test_lines_come_as_steps_ended_those_inside_before(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        step("waits", "waiting"),
        step("outer", "completed", 5.0, step("b", "completed", 5.0), step("a", "completed", 4.0)),
        step("early", "completed", 1.0),
        step("switch", "completed", 2.0, step("other", "skipped")),
    ]
    with render.RunView() as view:
        view.show({"steps": steps})
        shown = paths(capsys.readouterr().err)
        assert shown == ["other", "early", "switch", "a", "b", "outer", "waits"]
        view.show({"steps": steps})
        assert capsys.readouterr().err == ""


def test_undoing_comes_as_it_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [step("a", "compensated", 1.0), step("b", "compensated", 2.0), step("c", "failed", 3.0)]
    with render.RunView() as view:
        view.show({"steps": steps, "compensations": [{"step": "b"}, {"step": "a"}]})
    assert paths(capsys.readouterr().err) == ["c", "b", "a"]


def test_each_failed_attempt_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    state = {"steps": [step("charge", "running")]}
    with render.RunView() as view:
        view.show(state, [AGAIN])
        view.show(state, [AGAIN])
        assert capsys.readouterr().err == f"  {SHOWN}\n"


def test_on_a_terminal_it_is_in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, color_system=None, width=200)
    monkeypatch.setattr(render, "_ERR", terminal)
    undoing = Retried("pay!undo", "payments.refund", 2, "OSError: no", 7.0)
    with render.RunView() as view:
        view.show({"steps": [step("charge", "running"), step("c", "pending")]}, [AGAIN, undoing])
    lines = out.getvalue().splitlines()
    shown = [index for index, line in enumerate(lines) if SHOWN in line]
    assert shown and "· c" in lines[shown[0] + 1], lines
    last = "↻ pay!undo  payments.refund  attempt 2 after OSError: no  in 7.0 s"
    assert last in lines[shown[0] + 2], lines


def test_the_place_of_a_step_without_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"type": "Boom", "message": "no", "step": None}
    inner = step("do[1].raise[2]", "failed", 1.0) | {"error": error}
    outer = step("do[1]", "failed", 1.0, inner) | {"error": error}
    state = {"status": "failed", "steps": [outer], "error": error}
    render.outcome("x", state, 1.0, ("Boom", "no"))
    assert capsys.readouterr().err.startswith("x failed at do[1].raise[2]: Boom: no\n")
