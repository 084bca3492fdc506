"""Conformance cases: a definition, what its activities answer, and what must come of it.

A case is data (see tests/conformance/README.md). It runs on a real server in virtual time, its
activities are real activities whose answers the case gives, and its history is replayed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.common import RawValue
from temporalio.converter import default as default_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.durations import parse_duration
from dsl.loader import load_text
from dsl.source import Source
from dsl.syntax import compose
from interpreter.activities import ActivityContextInterceptor
from interpreter.definitions.resolver import Resolver
from interpreter.definitions.store import MemoryStore
from interpreter.headers import HeaderInterceptor
from interpreter.workflow import DslWorkflow
from tests.support.servers import replay

__all__ = ["Case", "Runner", "read_cases"]

TASK_QUEUE = "conformance"
_KEYS = frozenset(
    ("name", "definition", "input", "mocks", "signals", "cancel", "expect", "more", "run")
)
_EXPECTED = frozenset(
    (
        "status",
        "output",
        "error",
        "activities",
        "unordered",
        "calls",
        "saga",
        "steps",
        "elapsed",
        "suspended",
        "refused",
        "paths",
    )
)


@dataclass(frozen=True)
class Case:
    """A case.

    Args:
        id: Where it stands: `foreach/collect.yaml::name`.
        data: Its content.
    """

    id: str
    data: dict[str, Any]


@dataclass
class Call:
    """A call of an activity."""

    activity: str
    path: str
    arguments: Any


@dataclass
class World:
    """What the activities of a run answer, and what they were asked."""

    mocks: dict[str, Any]
    calls: list[Call] = field(default_factory=list[Call])
    counts: dict[str, int] = field(default_factory=dict[str, int])


def read_cases(folder: Path) -> list[Case]:
    """The cases of all files below a folder."""
    cases: list[Case] = []
    for file in sorted(folder.rglob("*.yaml")):
        documents, diagnostics = compose(Source(str(file), file.read_text()))
        assert not diagnostics, diagnostics
        for document in documents:
            content: Any = document.data()
            for data in content if isinstance(content, list) else [content]:
                case = Case(f"{file.relative_to(folder)}::{data['name']}", data)
                unknown = set(data) - _KEYS | set(data["expect"]) - _EXPECTED
                assert not unknown, f"{case.id}: unknown keys {unknown}"
                cases.append(case)
    names = [case.id for case in cases]
    assert len(names) == len(set(names)), "two cases have the same name"
    return cases


class Runner:
    """Runs cases on one server with one worker.

    Args:
        server: The server, in virtual time.
    """

    def __init__(self, server: WorkflowEnvironment) -> None:
        self.server = server
        self.client: Client = server.client
        self.store = MemoryStore([])
        self.worlds: dict[str, World] = {}
        self._count = 0

        @activity.defn(dynamic=True)
        async def answer(args: Sequence[RawValue]) -> Any:
            return await self._answer(args)

        self.worker = Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=[DslWorkflow],
            activities=[answer, Resolver(self.store).resolve],
            interceptors=[HeaderInterceptor(), ActivityContextInterceptor()],
        )

    async def _answer(self, args: Sequence[RawValue]) -> Any:
        info = activity.info()
        assert info.workflow_id is not None
        world = self.worlds[info.workflow_id]
        converter = default_converter().payload_converter
        values = [converter.from_payload(arg.payload) for arg in args]
        arguments = values[0] if len(values) == 1 else values or None
        world.calls.append(Call(info.activity_type, info.activity_id, arguments))
        count = world.counts[info.activity_type] = world.counts.get(info.activity_type, 0) + 1
        mock: Any = world.mocks.get(info.activity_type)
        if isinstance(mock, dict) and "sequence" in mock:
            mock = mock["sequence"][min(count, len(mock["sequence"])) - 1]
        if isinstance(mock, dict) and "when" in mock:
            mock = next((m for m in mock["when"] if _contains(arguments, m.get("with"))), None)
        return await self._play(mock or {"return": None}, arguments)

    async def _play(self, mock: dict[str, Any], arguments: Any) -> Any:
        if "delay" in mock:
            await asyncio.sleep(parse_duration(mock["delay"]) or 0)
        if "block" in mock:
            # Works until it is cancelled; `block: completes` then answers all the same.
            try:
                while True:
                    activity.heartbeat()
                    await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                if mock["block"] != "completes":
                    raise
        if "hang" in mock:
            await asyncio.sleep(parse_duration(mock["hang"]) or 60)
        if "raise" in mock:
            error = mock["raise"]
            details = [error["details"]] if "details" in error else []
            raise ApplicationError(
                error.get("message", "as the case says"),
                *details,
                type=error["type"],
                non_retryable=not error.get("retryable", False),
            )
        if "echo" in mock:
            return arguments
        return mock.get("return")

    async def run(self, case: Case) -> WorkflowHistory:
        """Runs a case and its replay; gives its history.

        Raises:
            AssertionError: if something else came of it than the case expects.
        """
        data = case.data
        self._count += 1
        name = f"case-{self._count}"
        parts = [{"dsl": 1, "name": name, **data["definition"]}, *data.get("more", [])]
        loaded = load_text("\n---\n".join(json.dumps(part, indent=1) for part in parts), case.id)
        problems = [f"{d.code} {d.place} {d.message}" for d in loaded.diagnostics]
        assert loaded.ok, problems
        self.store.add(loaded.definitions)
        world = self.worlds[name] = World(data.get("mocks", {}))
        handle = await self._start(name, data)
        expect = data["expect"]
        if "suspended" in expect:
            await self._check_suspended(handle, expect, world)
        else:
            await self._check_end(handle, expect, world)
        history = await handle.fetch_history()
        await replay(history)
        return history

    async def _start(self, name: str, data: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        arguments = [data["input"]] if "input" in data else []
        cancel = data.get("cancel")
        # Messages come at times of the run's own clock: it is driven from one to the next.
        moments: list[tuple[float, dict[str, Any] | None]] = [
            (parse_duration(s.get("after", "0s")) or 0.0, s) for s in data.get("signals", [])
        ]
        if cancel is not None:
            moments.append((parse_duration(cancel) or 0.0, None))
        moments.sort(key=lambda moment: moment[0])  # stable: as in the text where times are equal
        with self.server.with_time_skipping_disabled():
            handle = await self.client.start_workflow(
                name, args=arguments, id=name, task_queue=TASK_QUEUE
            )
        now = 0.0
        for moment, message in moments:
            if moment > now:
                await self.server.fast_forward(handle, moment - now)
                now = moment
            if message is None:
                await handle.cancel()
            else:
                await handle.signal(message["name"], message.get("payload"))
        return handle

    async def _skip(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Lets the run's time fly until it ends."""
        await self.server.fast_forward(handle)

    async def _check_suspended(
        self, handle: WorkflowHandle[Any, Any], expect: dict[str, Any], world: World
    ) -> None:
        state: dict[str, Any] = {}
        for _ in range(200):
            state = await handle.query("status")
            if "suspended" in state:
                break
            await asyncio.sleep(0.02)
        faults = [{"step": s["step"], "fault": s["fault"]} for s in state.get("suspended", [])]
        assert faults == expect["suspended"], state
        self._check_state(state, expect, world)
        await handle.cancel()
        try:
            await handle.result()
        except WorkflowFailureError:
            pass

    async def _check_end(
        self, handle: WorkflowHandle[Any, Any], expect: dict[str, Any], world: World
    ) -> None:
        error: BaseException | None = None
        output: Any = None
        await self._skip(handle)
        try:
            output = await handle.result()
        except WorkflowFailureError as failure:
            error = failure.cause
        state = await handle.query("status")
        assert state["status"] == expect["status"], (state, error)
        if "output" in expect:
            assert error is None, error
            assert output == expect["output"]
        if "error" in expect:
            assert isinstance(error, ApplicationError), error
            wanted = expect["error"]
            wanted = {"type": wanted} if isinstance(wanted, str) else wanted
            details = error.details[0] if error.details else None
            actual = {"type": error.type, "message": error.message, "details": details}
            report = error.details[1] if len(error.details) > 1 else {}
            actual["step"] = report.get("step")
            assert {key: actual[key] for key in wanted} == wanted
        self._check_state(state, expect, world)
        if "elapsed" in expect:
            events = (await handle.fetch_history()).events
            first = events[0].event_time.ToDatetime()
            last = events[-1].event_time.ToDatetime()
            elapsed = (last - first).total_seconds()
            wanted_seconds = parse_duration(expect["elapsed"]) or 0.0
            assert abs(elapsed - wanted_seconds) <= max(2.0, wanted_seconds * 0.01), elapsed

    def _check_state(self, state: dict[str, Any], expect: dict[str, Any], world: World) -> None:
        if "activities" in expect:
            actual = [call.activity for call in world.calls]
            wanted = list(expect["activities"])
            if expect.get("unordered"):
                actual, wanted = sorted(actual), sorted(wanted)
            assert actual == wanted, actual
        if "calls" in expect:
            calls = [
                {"activity": call.activity, "path": call.path, "with": call.arguments}
                for call in world.calls
            ]
            shown = [
                {k: v for k, v in call.items() if k in wanted}
                for call, wanted in zip(calls, expect["calls"], strict=True)
            ]
            assert shown == expect["calls"], calls
        if "paths" in expect:
            assert [call.path for call in world.calls] == expect["paths"]
        if "saga" in expect:
            saga = [[entry["step"], entry["compensation"]] for entry in state["compensations"]]
            assert saga == expect["saga"], saga
        if "steps" in expect:
            found = dict(_statuses(state["steps"]))
            assert {p: found.get(p) for p in expect["steps"]} == expect["steps"], found
        if "refused" in expect:
            assert state["signals"]["refused"] == expect["refused"]


def _statuses(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for step in steps:
        found.append((step["path"], step["status"]))
        found += _statuses(step.get("steps", []))
    return found


def _contains(arguments: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    return isinstance(arguments, dict) and all(arguments.get(k) == v for k, v in wanted.items())  # pyright: ignore
