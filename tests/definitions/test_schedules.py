"""Schedules as data: how they are compared, what is read of them, and what is said of failures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from temporalio.service import RPCError, RPCStatusCode

from dsl.difference import differences
from dsl.loader import load_text
from dsl.model.definition import Definition
from dsl.model.schedule import Range, read_cron
from interpreter.cli.deploy import unsettled
from interpreter.cli.errors import Exit
from interpreter.definitions.schedules import ScheduleError
from tests.cli.support import cli


def text(schedule: str) -> str:
    return (
        f"dsl: 1\nname: x\n{f'schedule: {schedule}' if schedule else ''}\nsteps: [{{value: 1}}]\n"
    )


def definition(schedule: str) -> Definition:
    loaded = load_text(text(schedule))
    assert not loaded.diagnostics
    return loaded.definitions[0]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "{every: 1h}", ['schedule added: {"every":"3600s"}']),
        ("{every: 1h}", "", ['schedule removed, was {"every":"3600s"}']),
        ("{every: 1h}", "{every: 60m}", None),
        (
            "{every: 1h, offset: 60s, catchup: 1d}",
            "{every: 90m, offset: 2m, catchup: 2d, jitter: 5s}",
            [
                *("schedule.every 1h -> 1h30m", "schedule.offset 1m -> 2m"),
                *("schedule.catchup 1d -> 2d", "schedule.jitter added: 5s"),
            ],
        ),
        (
            '{cron: "0 6 * * *", input: {a: 1}, overlap: skip}',
            '{cron: ["0 6 * * *"], input: {a: 2}, overlap: allow_all, paused: true}',
            [
                'schedule.cron "0 6 * * *" -> ["0 6 * * *"]',
                'schedule.overlap "skip" -> "allow_all"',
                *("schedule.input.a 1 -> 2", "schedule.paused added: true"),
            ],
        ),
    ],
)
def test_what_changed_is_said(old: str, new: str, lines: list[str] | None) -> None:
    found = differences(definition(old), definition(new))
    assert found == [f"definition: {line}" for line in lines or []]


def test_what_a_cron_expression_stands_for() -> None:
    cron = read_cron(" 5/20  8-10,12 1-31/10 feb-apr/2 FRI-7 ")
    assert cron.second == (Range(0, 0),) and cron.year == ()
    assert [list(one) for one in cron.minute] == [[5, 25, 45]]
    assert cron.hour == (Range(8, 10), Range(12, 12))
    assert [list(one) for one in cron.day_of_month] == [[1, 11, 21, 31]]
    assert [list(one) for one in cron.month] == [[2, 4]]
    assert cron.day_of_week == (Range(0, 0), Range(5, 5), Range(6, 6))
    assert read_cron("15 0 0 29 2 * 2028").second == (Range(15, 15),)
    assert read_cron("* * * * * * *").year == ()


def test_a_system_without_time_zones(tmp_path: Path) -> None:
    """Whether there is one of that name is then for the server to say."""
    (tmp_path / "x.yaml").write_text(text('{cron: "0 6 * * *", timezone: Europe/Viena}'))
    assert cli("validate", "x.yaml", cwd=tmp_path).code == 2
    done = cli("validate", "x.yaml", cwd=tmp_path, env={"PYTHONTZPATH": ""})
    known = importlib.util.find_spec("tzdata") is not None  # a package that has them too
    assert done.code == (2 if known else 0), done


def test_what_is_said_where_schedules_do_not_follow() -> None:
    away = RPCError("no connection", RPCStatusCode.UNAVAILABLE, b"")
    denied = RPCError("not yours", RPCStatusCode.PERMISSION_DENIED, b"")
    done = {name: f"{name} is live" for name in "abc"}
    error = unsettled({"b": away, "a": ScheduleError("in its place")}, done, "deploy again")
    assert error.message == (
        "a is live, but its schedule does not follow: in its place\n"
        "  b is live, but its schedule does not follow: no connection"
    )
    assert error.code == Exit.UNREACHABLE and error.hint and "deploy again" in error.hint
    assert unsettled({"c": denied}, done, "deploy again").code == Exit.WRONG_INPUT
