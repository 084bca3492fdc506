"""Schedules of definitions, on a real server: what it starts, and what operators do meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecution,
)
from temporalio.service import RPCError, RPCStatusCode

from dsl.model.schedule import read_cron
from interpreter.definitions.registry import Head, Registry
from interpreter.definitions.schedules import settle
from tests.cli.support import EXAMPLE, Done
from tests.end_to_end.support import Site, WorkerProcess
from tests.support.servers import real_server

pytestmark = pytest.mark.waits

ROOT = Path(__file__).parents[2]
NOBODY = "nobody"
"""A task queue without workers: what is started there stays open."""
DAILY = {"cron": "0 6 * * *"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server, and a worker that follows its registry."""
    async with real_server() as server:
        site = Site(server)
        with WorkerProcess(site, tmp_path_factory.mktemp("worker") / "log") as worker:
            await worker.ready()
            yield site
        await site.replay()


class Plan:
    """A definition with a schedule, and its file.

    Args:
        site: Where it is deployed.
        folder: Where its file is.
        name: Its name.
        queue: The task queue of its runs.
    """

    def __init__(self, site: Site, folder: Path, name: str, queue: str = NOBODY) -> None:
        self.site = site
        self.name = name
        self.id = f"dsl.schedule/{name}"
        self.file = folder / f"{name}.yaml"
        self.queue = queue

    def write(self, schedule: Any = None, value: object = 1, **more: Any) -> None:
        """Writes the definition."""
        definition: dict[str, Any] = {"dsl": 1, "name": self.name} | more
        if schedule is not None:
            definition["schedule"] = schedule
        definition.setdefault("steps", [{"id": "only", "value": value}])
        self.file.write_text(yaml.safe_dump(definition, sort_keys=False))

    async def deploy(self, *arguments: str) -> Done:
        return await self.site.cli("deploy", self.file, "-t", self.queue, *arguments)

    async def deployed(self, *says: str, code: int = 0) -> None:
        """Deploys it, which must print so."""
        done = await self.deploy()
        assert (done.code, done.out) == (code, "".join(f"{self.name}  {s}\n" for s in says)), done

    async def definitions(self, command: str, *arguments: str) -> Done:
        return await self.site.cli("definitions", command, self.name, *arguments)

    async def there(self) -> ScheduleDescription:
        return await self.site.client.get_schedule_handle(self.id).describe()

    async def gone(self) -> bool:
        try:
            await self.there()
        except RPCError as error:
            assert error.status == RPCStatusCode.NOT_FOUND
            return True
        return False

    async def runs(self, *, open: bool = False) -> list[WorkflowExecution]:
        """Its runs, the oldest first."""
        query = f"WorkflowType = '{self.name}'"
        query += " AND ExecutionStatus = 'Running'" if open else ""
        found = [run async for run in self.site.client.list_workflows(query)]
        return sorted(found, key=lambda run: run.start_time)

    async def gives(self, value: Any) -> None:
        """Waits until a run has a result."""
        seen: list[Any] = []
        for _ in range(400):
            for run in (await self.runs())[len(seen) :]:
                handle = self.site.client.get_workflow_handle(run.id, run_id=run.run_id)
                seen.append(await asyncio.wait_for(handle.result(), 20))
            if value in seen:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"no run of {self.name} gives {value}: {seen}")

    async def until_open(self, count: int) -> None:
        """Waits until so many runs are open."""
        for _ in range(400):
            if len(await self.runs(open=True)) >= count:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} does not have {count} open runs")

    async def end(self) -> None:
        """Retires it, and ends what is open."""
        assert (await self.definitions("retire")).code == 0
        for run in await self.runs(open=True):
            await self.site.client.get_workflow_handle(run.id).terminate()


def action_of(there: ScheduleDescription) -> ScheduleActionStartWorkflow:
    action = there.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    return action


def input_of(there: ScheduleDescription) -> Any:
    [payload] = action_of(there).args
    return json.loads(payload.data)


# --- what the server starts


async def test_it_starts_what_is_live_until_it_is_retired(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "tick", queue="dsl")
    plan.write({"every": "1s"})
    await plan.deployed("live -> revision 1", "schedule created")
    await plan.gives(1)
    plan.write({"every": "1s"}, value=2)
    await plan.deployed("live -> revision 2")
    await plan.gives(2)
    done = await plan.definitions("retire")
    assert done.out == "tick  retired: it takes no starts\ntick  schedule removed\n", done
    assert await plan.gone()
    before = await plan.runs()
    assert all(re.fullmatch(r"tick-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", run.id) for run in before)
    assert (await before[0].memo())["dsl.schedule"]["id"] == plan.id
    await asyncio.sleep(1.5)
    assert len(await plan.runs()) == len(before)


async def test_runs_that_overlap(site: Site, tmp_path: Path) -> None:
    """Nobody works on them, so that each stays open."""
    plans: list[Plan] = []
    for overlap in ("skip", "allow_all"):
        plan = Plan(site, tmp_path, f"overlap-{overlap}")
        plan.write({"every": "1s", "overlap": overlap})
        await plan.deployed("live -> revision 1", "schedule created")
        plans.append(plan)
    skip, allow_all = plans
    await allow_all.until_open(3)
    await skip.until_open(1)
    assert len(await skip.runs()) == 1
    assert (await skip.there()).info.num_actions_skipped_overlap >= 1
    for plan in plans:
        await plan.end()


async def test_another_input_and_another_time(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "given", queue="dsl")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    plan.write({"every": "1s", "input": {"n": 1}}, input=schema, output="${ input.n }")
    await plan.deployed("live -> revision 1", "schedule created")
    await plan.gives(1)
    plan.write({"every": "1s", "input": {"n": 2}}, input=schema, output="${ input.n }")
    await plan.deployed("live -> revision 2", "schedule changed: input")
    await plan.gives(2)
    yearly = {"cron": "30 4 29 2 *", "timezone": "Asia/Tokyo", "input": {"n": 3}}
    plan.write(yearly, input=schema, output="${ input.n }")
    await plan.deployed("live -> revision 3", "schedule changed: cron, every, timezone, input")
    [first, *_] = (await plan.there()).info.next_action_times
    assert (first.year, first.isoformat()[5:]) == (2028, "02-28T19:30:00+00:00")
    await plan.end()


async def test_all_of_it_reaches_the_server(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "whole")
    schedule = {"every": "2h", "offset": "5m", "overlap": "buffer_one", "catchup": "1h"}
    given = {"z": 1, "a": [None, "x"]}
    plan.write(schedule | {"jitter": "1.5s", "input": given, "paused": True})
    await plan.deployed("live -> revision 1", "schedule created")
    there = await plan.there()
    spec, policy, state = there.schedule.spec, there.schedule.policy, there.schedule.state
    assert spec.intervals == [ScheduleIntervalSpec(timedelta(hours=2), timedelta(minutes=5))]
    assert spec.jitter == timedelta(seconds=1.5) and not spec.calendars
    assert policy.overlap == ScheduleOverlapPolicy.BUFFER_ONE
    assert policy.catchup_window == timedelta(hours=1)
    assert (state.paused, state.note) == (True, "paused by its definition")
    action = action_of(there)
    assert (action.workflow, action.id, action.task_queue) == ("whole", "whole", NOBODY)
    assert list(input_of(there)) == ["z", "a"] and input_of(there) == given
    # What is not said.
    plan.write(DAILY)
    keys = "cron, every, timezone, overlap, catchup, jitter, input, paused"
    await plan.deployed("live -> revision 2", f"schedule changed: {keys}")
    there = await plan.there()
    assert there.schedule.policy.overlap == ScheduleOverlapPolicy.SKIP
    assert there.schedule.policy.catchup_window == timedelta(days=365)
    assert there.schedule.spec.time_zone_name == "UTC"
    assert (there.schedule.state.paused, input_of(there)) == (False, {})
    await plan.deployed("live -> revision 2: unchanged")


def numbers(ranges: Iterable[ScheduleRange], least: int) -> set[int]:
    """What ranges of the server stand for, as far as years go."""
    found = {n for one in ranges for n in range(one.start, one.end + 1, one.step)}
    return found or set(range(least, 2101))


async def test_cron_means_what_it_means_to_temporal(site: Site) -> None:
    """The server is given the texts that are right, and what is read of them here."""
    documents = yaml.safe_load_all((ROOT / "tests/diagnostics/ok/schedules.yaml").read_text())
    texts = [text for document in documents for text in many(document["schedule"].get("cron"))]
    texts += ["0 0 13 * 5", "*/15 * * * *", "0 0 * * fri-7", "7-59/13 1,3-9/2,22 * * */2"]
    texts += ["@hourly", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"]
    assert len(texts) > 15
    action = ScheduleActionStartWorkflow("x", id="x", task_queue=NOBODY)
    for text in texts:
        spec = ScheduleSpec(cron_expressions=[text])
        handle = await site.client.create_schedule("cron", Schedule(action=action, spec=spec))
        [theirs] = (await handle.describe()).schedule.spec.calendars
        await handle.delete()
        ours = read_cron(text)
        for name in ("second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"):
            wanted = {n for one in getattr(ours, name) for n in one} or set(range(2000, 2101))
            assert wanted == numbers(getattr(theirs, name), 2000), (text, name)


def many(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


WRONG = [
    *("* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
    *("*/0 * * * *", "50-10 * * * *", "1,,2 * * * *", "1-2-3 * * * *", "0 0 ? * *"),
    *("0 0 L * *", "0 0 1 1 * 1999", "0 0 6 * * * * *", "@dayly"),
]


async def test_what_is_refused_here_is_refused_by_temporal(site: Site) -> None:
    action = ScheduleActionStartWorkflow("x", id="x", task_queue=NOBODY)
    for text in WRONG:
        with pytest.raises(ValueError):
            read_cron(text)
        schedule = Schedule(action=action, spec=ScheduleSpec(cron_expressions=[text]))
        with pytest.raises(RPCError, match="Invalid schedule spec"):
            await site.client.create_schedule("cron", schedule)


# --- what operators do


async def test_a_pause_outlives_deployments(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "pausing")

    async def toggle(flag: str, reason: str) -> None:
        await site.temporal("schedule", "toggle", "-s", plan.id, flag, "--reason", reason)

    async def state() -> tuple[bool, str | None]:
        found = (await plan.there()).schedule.state
        return found.paused, found.note

    plan.write(DAILY)
    await plan.deployed("live -> revision 1", "schedule created")
    await toggle("--pause", "holidays")
    plan.write(DAILY, value=2)
    await plan.deployed("live -> revision 2")
    plan.write({"cron": "0 7 * * *"}, value=2)
    await plan.deployed("live -> revision 3", "schedule changed: cron")
    assert await state() == (True, "holidays")
    # To say what it is by default is no change.
    plan.write({"cron": "0 7 * * *", "paused": False}, value=2)
    await plan.deployed("live -> revision 4")
    assert await state() == (True, "holidays")
    # The definition has its say where it says something else than before.
    plan.write({"cron": "0 7 * * *", "paused": True})
    await plan.deployed("live -> revision 5", "schedule changed: paused")
    assert await state() == (True, "paused by its definition")
    await toggle("--unpause", "needed")
    plan.write({"cron": "0 8 * * *", "paused": True})
    await plan.deployed("live -> revision 6", "schedule changed: cron")
    assert await state() == (False, "needed")
    await toggle("--pause", "again")
    plan.write({"cron": "0 8 * * *"})
    await plan.deployed("live -> revision 7", "schedule changed: paused")
    assert await state() == (False, None)


async def test_one_that_is_missing_or_was_changed_is_made_again(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "healed")
    plan.write(DAILY | {"input": {"n": 1}})
    await plan.deployed("live -> revision 1", "schedule created")
    await plan.deployed("live -> revision 1: unchanged")
    await site.client.get_schedule_handle(plan.id).delete()
    await plan.deployed("live -> revision 1: unchanged", "schedule created")

    def spoil(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = given.description.schedule
        schedule.spec = ScheduleSpec(cron_expressions=["0 6 * * *"], skip=schedule.spec.calendars)
        schedule.policy.pause_on_failure = True
        action = action_of(given.description)
        action.args, action.run_timeout = [{"n": 1.0}], timedelta(hours=1)
        return ScheduleUpdate(schedule)

    await site.client.get_schedule_handle(plan.id).update(spoil)
    keys = "cron, times, timezone, pause on failure, input, action"
    await plan.deployed("live -> revision 1: unchanged", f"schedule changed: {keys}")
    await plan.deployed("live -> revision 1: unchanged")
    # Temporal's own CLI replaces all of it.
    update = ["-s", plan.id, "--interval", "3h", "--type", "other", "--task-queue", "elsewhere"]
    await site.temporal("schedule", "update", *update, "--workflow-id", "other")
    done = await plan.deploy()
    assert re.search(r"healed  schedule changed: cron, .*task queue, action\n$", done.out), done
    assert (await plan.there()).info.next_action_times[0].hour == 6
    await plan.deployed("live -> revision 1: unchanged")


# --- what is live


async def test_it_follows_what_is_promoted(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "promoted")
    plan.write()
    await plan.deployed("live -> revision 1")
    plan.write(DAILY)
    await plan.deployed("live -> revision 2", "schedule created")
    plan.write({"every": "3h"})
    await plan.deployed("live -> revision 3", "schedule changed: cron, every, timezone")

    async def promoted(to: int, *says: str, more: tuple[str, ...] = ()) -> None:
        done = await plan.definitions("promote", "--to", str(to), *more)
        assert (done.code, done.out) == (0, "".join(f"promoted  {line}\n" for line in says)), done

    # The task queue stays.
    await promoted(2, "live -> revision 2", "schedule changed: cron, every, timezone")
    assert action_of(await plan.there()).task_queue == NOBODY
    await promoted(3, "canary -> revision 3 (10%)", more=("--weight", "10%"))
    assert (await plan.there()).schedule.spec.calendars
    await promoted(1, "live -> revision 1", "schedule removed")
    assert await plan.gone()
    await promoted(2, "live -> revision 2", "schedule created", more=("-t", "other"))
    assert action_of(await plan.there()).task_queue == "other"
    # One that is retired is taken back.
    done = await plan.definitions("retire", "-o", "json")
    about = {"name": "promoted", "alias": None, "retired": True, "moved": True}
    removed = {"id": plan.id, "change": "removed", "keys": []}
    assert done.json() == about | {"schedule": removed}
    assert await plan.gone()
    await promoted(2, "live -> revision 2", "schedule created")
    assert action_of(await plan.there()).task_queue == "dsl"


async def test_only_what_is_live_matters(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "staged")
    plan.write({"every": "3h"})
    done = await plan.deploy("--alias", "staging")
    assert (done.code, done.out) == (0, "staged  staging -> revision 1\n"), done
    assert await plan.gone()
    plan.write(DAILY)
    await plan.deployed("live -> revision 2", "schedule created")
    plan.write()
    done = await plan.deploy("--alias", "staging")
    assert (done.code, done.out) == (0, "staged  staging -> revision 3\n"), done
    for command in (("promote", "--to", "1", "--alias", "staging"), ("retire", "--alias=staging")):
        done = await plan.definitions(*command)
        assert done.code == 0 and "schedule" not in done.out, done
    assert (await plan.there()).schedule.spec.calendars
    # It is not even mended.
    await site.client.get_schedule_handle(plan.id).delete()
    done = await plan.deploy("--alias", "staging")
    assert (done.code, done.out) == (0, "staged  staging -> revision 3, which was there\n"), done
    assert await plan.gone()


async def test_what_is_said_before_and_to_programs(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "said")
    about = {"id": plan.id, "change": "created", "keys": []}
    plan.write(DAILY | {"timezone": "Europe/Vienna"})
    done = await plan.deploy("--dry-run")
    assert done.out == "said  live would be new\nsaid  schedule would be created\n", done
    done = await plan.deploy("--dry-run", "-o", "json")
    assert done.json()["schedules"] == {"said": about}
    assert await plan.gone()
    done = await plan.deploy("-o", "json")
    assert done.json()["deployed"][0]["schedule"] == about
    done = await plan.deploy("-o", "json")
    assert done.json()["deployed"][0]["schedule"] == about | {"change": None}
    plan.write({"cron": "0 7 * * *", "timezone": "Europe/Vienna"})
    done = await plan.deploy("--dry-run")
    assert done.out == (
        'said  would change:\n  definition: schedule.cron "0 6 * * *" -> "0 7 * * *"\n'
        "said  schedule would be changed: cron\n"
    ), done
    plan.write()
    done = await plan.deploy("--dry-run")
    assert done.out.endswith("said  schedule would be removed\n"), done
    assert (await plan.there()).schedule.spec.calendars[0].hour == (ScheduleRange(6),)
    done = await plan.deploy("-o", "json")
    assert done.json()["deployed"][0]["schedule"] == about | {"change": "removed"}
    done = await plan.deploy("-o", "json")
    assert "schedule" not in done.json()["deployed"][0]


async def test_several_who_deploy_at_once(site: Site, tmp_path: Path) -> None:
    """Whoever is last, the schedule is that of what is live then."""
    plans = [Plan(site, tmp_path / str(n), "contested") for n in range(4)]
    for number, plan in enumerate(plans):
        plan.file.parent.mkdir()
        plan.write(None if number == 3 else {"every": "3h", "input": {"by": number}}, value=number)
    outcomes = await asyncio.gather(*(plan.deploy() for plan in plans))
    assert [done.code for done in outcomes] == [0] * 4, outcomes
    registry = Registry(site.client)
    head = await registry.head("contested")
    assert head is not None
    # Who runs the registry is the worker of the site.
    live = (await registry.stored("contested", head.aliases["live"])).definition.schedule
    if live is None:
        assert await plans[0].gone()
    else:
        assert input_of(await plans[0].there()) == live.given


class Overtaken(Registry):
    """The registry as somebody slow sees it: the next deployment is over before it acts.

    Args:
        plan: What is deployed meanwhile, once.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.site.client)
        self.plan: Plan | None = plan

    async def head(self, name: str) -> Head | None:
        found = await super().head(name)
        if self.plan is not None:
            plan, self.plan = self.plan, None
            done = await plan.deploy()
            assert done.code == 0, done
        return found


async def test_one_who_is_overtaken(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "overtaken")
    plan.write({"every": "3h"})
    await plan.deployed("live -> revision 1", "schedule created")
    plan.write({"every": "4h"})
    settled = await settle(site.client, Overtaken(plan), plan.name)
    assert settled.change == "changed"  # back, and forth again
    [interval] = (await plan.there()).schedule.spec.intervals
    assert interval.every == timedelta(hours=4)
    # The same where one was made, or taken away, meanwhile.
    plan.write()
    await settle(site.client, Overtaken(plan), plan.name)
    assert await plan.gone()
    plan.write({"every": "5h"})
    await settle(site.client, Overtaken(plan), plan.name, NOBODY)
    [interval] = (await plan.there()).schedule.spec.intervals
    assert interval.every == timedelta(hours=5)


class Together(Registry):
    """The registry as eight see it who look at the same moment."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.barrier = asyncio.Barrier(8)
        self.looks = 0

    async def head(self, name: str) -> Head | None:
        found = await super().head(name)
        self.looks += 1
        if self.looks <= 8:
            await self.barrier.wait()
        return found


async def test_several_who_make_it_at_once(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "crowd")
    plan.write(DAILY)
    await plan.deployed("live -> revision 1", "schedule created")
    await site.client.get_schedule_handle(plan.id).delete()

    async def at_once() -> list[str | None]:
        together = Together(site.client)
        several = [settle(site.client, together, plan.name, NOBODY) for _ in range(8)]
        return [one.change for one in await asyncio.gather(*several)]

    assert sorted(map(str, await at_once())) == ["None"] * 7 + ["created"]
    await plan.deployed("live -> revision 1: unchanged")
    await Registry(site.client).retire(plan.name, by="test")
    assert {"removed"} <= set(await at_once()) <= {"removed", None}
    assert await plan.gone()


# --- what cannot be done


async def test_one_of_somebody_else_is_left_alone(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "foreign")
    action = ScheduleActionStartWorkflow("foreign", id="theirs", task_queue=NOBODY)
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=1))])
    await site.client.create_schedule(plan.id, Schedule(action=action, spec=spec))
    said = f"there is a schedule {plan.id} already, which was not made by temporal-dsl: "
    said += "delete it, or give the definition another name"
    plan.write(DAILY)
    for arguments in ((), ("--dry-run",)):
        done = await plan.deploy(*arguments)
        assert (done.code, done.out) == (2, ""), done
        assert f"error: nothing was deployed:\n  {said}\n" in done.err, done
    assert await Registry(site.client).head("foreign") is None
    # It is in the way of no definition without a schedule.
    plan.write()
    await plan.deployed("live -> revision 1")
    plan.write(DAILY)
    done = await plan.deploy("--alias", "staging")
    assert done.code == 0, done
    # Who promotes has moved `live` by then.
    done = await plan.definitions("promote", "--to", "2")
    assert (done.code, done.out) == (2, "foreign  live -> revision 2\n"), done
    follows = "foreign is live with revision 2, but its schedule does not follow"
    assert f"error: {follows}: {said}\n  hint: promote it again once that" in done.err, done
    assert (await plan.definitions("retire")).code == 0
    there = await plan.there()
    assert action_of(there).id == "theirs"
    await site.client.get_schedule_handle(plan.id).delete()
    done = await plan.definitions("promote", "--to", "2")
    assert done.out == "foreign  live -> revision 2\nforeign  schedule created\n", done


async def test_an_input_that_is_too_large(site: Site, tmp_path: Path) -> None:
    plan = Plan(site, tmp_path, "large")
    plan.write(DAILY | {"input": "x" * 2_100_000})
    done = await plan.deploy()
    said = "the input of the schedule of large: 2,100,002 bytes, 2,093,056 are allowed"
    assert (done.code, done.out) == (2, "") and f"nothing was deployed:\n  {said}\n" in done.err
    assert await Registry(site.client).head("large") is None


async def test_one_that_the_server_refuses(site: Site, tmp_path: Path) -> None:
    """Because of a task queue that there cannot be; whoever is asked for activities says so too."""
    plan = Plan(site, tmp_path, "refused", queue="q" * 2000)
    plan.write(DAILY)
    activities = ("--activities", str(EXAMPLE / "activities.py"))
    done = await plan.deploy(*activities)
    assert (done.code, done.out) == (2, "refused  live -> revision 1\n"), done
    follows = "refused is live with revision 1, but its schedule does not follow: "
    assert f"error: {follows}" in done.err and "hint: deploy again once that is" in done.err, done
    done = await plan.deploy(*activities, "-o", "json")
    document = done.json()
    assert done.code == 2 and document["error"]["message"].startswith(follows), done
    assert document["deployed"][0]["revision"] == 1
    plan.queue = NOBODY
    await plan.deployed("live -> revision 1: unchanged", "schedule created")
